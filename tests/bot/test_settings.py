"""Settings: what is read, what is refused and in which words, and how secrets are made and kept."""

from __future__ import annotations

import base64
import os
import re
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import time, timedelta
from pathlib import Path

import pytest

from bot.settings import (
    Address,
    LogLevel,
    Settings,
    SettingsError,
    TelegramMode,
    load_settings,
    unknown_settings,
)
from desk.quiet_hours import QuietHours

ROOT = Path(__file__).parents[2]
STRONG_KEY = "Zr8-q1WnT0_vX4bLs7GdK2yHcE9aPmUj"
STRONG_SHOP_SECRET = "whsec_" + base64.b64encode(bytes(n * n % 251 for n in range(40, 72))).decode()


@pytest.fixture(autouse=True)
def _nothing_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test starts in an empty folder and without our variables."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("HUIYIN_"):
            monkeypatch.delenv(name)


def refusal(name: str, value: str, **others: str) -> str:
    """The one sentence that refuses a value; it names the setting and does not repeat the value."""
    with pytest.raises(SettingsError) as caught:
        load_settings({name: value, **others})
    (sentence,) = caught.value.sentences
    assert sentence.startswith(f"{name}：")
    assert re.search("[一-鿿].*。.* [A-Z]", sentence), "Chinese first, then English"
    assert len(value) < 16 or value not in sentence
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    return sentence


# The page that people read


def documented() -> Iterator[tuple[str, str]]:
    page = (ROOT / "docs" / "settings.md").read_text("utf-8")
    for name, default, english, chinese in re.findall(
        r"^\| `(HUIYIN_\w+)` \| (.+?) \| (.+?) \| (.+?) \|$", page, re.M
    ):
        assert english
        assert re.search("[一-鿿]", chinese), name
        yield name, default


def test_the_page_lists_every_setting_once_and_in_order() -> None:
    assert [name for name, _ in documented()] == ["HUIYIN_" + name.upper() for name in Settings.model_fields]


@pytest.mark.parametrize(("name", "default"), list(documented()))
def test_the_page_tells_the_default(name: str, default: str) -> None:
    field = name.removeprefix("HUIYIN_").lower()
    real = getattr(load_settings({}), field)
    if default.startswith("`"):
        assert getattr(load_settings({name: default.strip("`")}), field) == real
    else:
        assert default in ("unset", "generated")
        assert not real


def test_secrets_on_our_pages_are_no_secrets() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob(".env*"), *ROOT.glob("docs/**/*.md")]
    shown = {
        found for page in pages for found in re.findall(r"whsec_[A-Za-z0-9+/=]{8,}", page.read_text("utf-8"))
    }
    for secret in shown:
        assert refusal("HUIYIN_SHOP_SECRET", secret)


# Where values come from


def test_an_empty_value_is_the_same_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.setenv("HUIYIN_" + name.upper(), "")
    assert load_settings() == load_settings({})
    assert load_settings({"HUIYIN_" + name.upper(): "  " for name in Settings.model_fields}) == load_settings(
        {}
    )


def test_the_environment_wins_over_the_file_unless_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text(
        "# 我们的店\nHUIYIN_SHOP_NAME=小满茶铺\nHUIYIN_LISTEN='127.0.0.1:9001'\nPOSTGRES_PASSWORD=x\n",
        "utf-8",
    )
    monkeypatch.setenv("HUIYIN_LISTEN", "127.0.0.1:9002")
    monkeypatch.setenv("HUIYIN_SHOP_NAME", "")
    settings = load_settings()
    assert settings.listen.port == 9002
    assert settings.shop_name == "小满茶铺"


def test_a_file_in_another_encoding_is_told() -> None:
    Path(".env").write_bytes("HUIYIN_SHOP_NAME=小满茶铺".encode("gbk"))
    with pytest.raises(SettingsError, match=r"无法读取 \.env.*UTF-8"):
        load_settings()


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"HUIYIN_LISTEN": "here", "HUIYIN_LOG_LEVEL": "loud", "HUIYIN_ALLOW_HTTP": "perhaps"})
    assert [sentence.partition("：")[0] for sentence in caught.value.sentences] == [
        "HUIYIN_LISTEN",
        "HUIYIN_ALLOW_HTTP",
        "HUIYIN_LOG_LEVEL",
    ]
    assert str(caught.value) == "\n".join(caught.value.sentences)


def test_a_slip_in_a_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("HUIYIN_QUIET_HOUR=off\nOTHER=1\n")
    monkeypatch.setenv("HUIYIN_TEST_POSTGRES", "…")
    monkeypatch.setenv("HUIYIN_LISTEN", "127.0.0.1:9002")
    (sentence,) = unknown_settings()
    assert "是不是 HUIYIN_QUIET_HOURS？" in sentence
    assert unknown_settings({"HUIYIN_COLOUR": "red"}) == (
        "没有叫 HUIYIN_COLOUR 的设置。 There is no setting HUIYIN_COLOUR.",
    )


# Values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("P1D", timedelta(days=1)),
        ("P1W", timedelta(weeks=1)),
        ("PT90M", timedelta(minutes=90)),
        ("p1dt12h", timedelta(hours=36)),
        ("PT0.5S", timedelta(milliseconds=500)),
        ("30s", timedelta(seconds=30)),
        ("15m", timedelta(minutes=15)),
        ("2 h", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
        ("0s", timedelta(0)),
    ],
)
def test_durations(text: str, expected: timedelta) -> None:
    assert load_settings({"HUIYIN_SURVEY_DELAY": text}).survey_delay == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("P1M", "年或月"),
        ("P1Y", "年或月"),
        ("-P1D", "不能为负"),
        ("P9999999D", "十年"),
        ("P99999999999999D", "写法"),
        ("999999999d", "十年"),
        ("-3d", "写法"),
        ("1", "写法"),
        ("一天", "写法"),
        ("３d", "写法"),
        ("P", "写法"),
        ("nan", "写法"),
    ],
)
def test_durations_that_are_refused(text: str, why: str) -> None:
    assert why in refusal("HUIYIN_SURVEY_DELAY", text)


def test_nothing_is_kept_for_no_time_at_all() -> None:
    assert "大于零" in refusal("HUIYIN_RAW_RETENTION", "0s")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("22:00-09:00", QuietHours(time(22), time(9))),
        ("9:30 - 10:00", QuietHours(time(9, 30), time(10))),
        ("２２：００～０９：００", QuietHours(time(22), time(9))),
        ("22:00–24:00", QuietHours(time(22), time(0))),
        ("off", None),
        ("OFF", None),
    ],
)
def test_quiet_hours(text: str, expected: QuietHours | None) -> None:
    assert load_settings({"HUIYIN_QUIET_HOURS": text}).quiet_hours == expected


@pytest.mark.parametrize(
    "text", ["22:00", "22-09", "24:00-09:00", "25:00-09:00", "09:00-09:00", "00:00-24:00", "晚上"]
)
def test_quiet_hours_that_are_refused(text: str) -> None:
    refusal("HUIYIN_QUIET_HOURS", text)


@pytest.mark.parametrize(
    ("text", "address", "url"),
    [
        ("127.0.0.1:9000", Address("127.0.0.1", 9000), "http://127.0.0.1:9000"),
        ("LOCALHOST:80", Address("localhost", 80), "http://localhost"),
        ("[::1]:8080", Address("::1", 8080), "http://[::1]:8080"),
        ("127.8.8.8:1", Address("127.8.8.8", 1), "http://127.8.8.8:1"),
    ],
)
def test_listen_and_the_public_url_that_follows(text: str, address: Address, url: str) -> None:
    settings = load_settings({"HUIYIN_LISTEN": text})
    assert (settings.listen, settings.public_url) == (address, url)
    assert not settings.is_secure


@pytest.mark.parametrize(
    "text",
    [
        "8080",
        ":8080",
        "127.0.0.1",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "::1:8080",
        "[x]:1",
        "[1::2::3]:1",
        "a b:1",
    ],
)
def test_listen_that_is_refused(text: str) -> None:
    assert "主机:端口" in refusal("HUIYIN_LISTEN", text)


@pytest.mark.parametrize("text", ["0.0.0.0:8080", "[::]:8080", "192.168.1.4:8080", "kefu.shop.cn:8080"])
def test_plain_http_beyond_this_machine_needs_a_word(text: str) -> None:
    assert "HUIYIN_ALLOW_HTTP=1" in refusal("HUIYIN_LISTEN", text)
    assert "HUIYIN_ALLOW_HTTP=1" in refusal("HUIYIN_LISTEN", text, HUIYIN_PUBLIC_URL="http://kefu.shop.cn")
    assert load_settings({"HUIYIN_LISTEN": text, "HUIYIN_ALLOW_HTTP": "1"}).listen.port == 8080
    assert load_settings({"HUIYIN_LISTEN": text, "HUIYIN_PUBLIC_URL": "https://kefu.shop.cn"}).is_secure


def test_a_wildcard_is_no_address_for_links() -> None:
    settings = load_settings({"HUIYIN_LISTEN": "0.0.0.0:8080", "HUIYIN_ALLOW_HTTP": "1"})
    assert settings.public_url == "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://Kefu.Shop.cn/", "https://kefu.shop.cn"),
        ("https://kefu.shop.cn:443", "https://kefu.shop.cn"),
        ("https://kefu.shop.cn:8443", "https://kefu.shop.cn:8443"),
        (
            "https://客服.商店.cn",
            "https://xn--ubtq9x.xn--czrs0t.cn",
        ),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_public_url(text: str, expected: str) -> None:
    assert load_settings({"HUIYIN_PUBLIC_URL": text}).public_url == expected


BAD_ORIGINS = [
    "kefu.shop.cn",
    "ftp://kefu.shop.cn",
    "https://",
    "https://a b.cn",
    "https://kefu.shop.cn/huiyin",
    "https://kefu.shop.cn?x=1",
    "https://kefu.shop.cn#x",
    "https://me@kefu.shop.cn",
    "https://*.shop.cn",
    "https://kefu.shop.cn:99999",
    "https://a;script-src 'unsafe-inline'",
    "https://[::1",
    "*",
    "null",
]


@pytest.mark.parametrize("text", BAD_ORIGINS)
def test_origins_that_are_refused(text: str) -> None:
    refusal("HUIYIN_PUBLIC_URL", text)
    refusal("HUIYIN_EMBED_ORIGINS", f"https://www.shop.cn, {text}")


def test_a_plain_public_url_needs_a_word() -> None:
    assert "https" in refusal("HUIYIN_PUBLIC_URL", "http://kefu.shop.cn")
    assert "https" in refusal("HUIYIN_EMBED_ORIGINS", "http://www.shop.cn")
    load_settings({"HUIYIN_PUBLIC_URL": "http://kefu.shop.cn", "HUIYIN_ALLOW_HTTP": "yes"})


def test_embed_origins() -> None:
    settings = load_settings(
        {"HUIYIN_EMBED_ORIGINS": "https://WWW.shop.cn/, https://m.shop.cn,,https://www.shop.cn"}
    )
    assert settings.embed_origins == ("https://www.shop.cn", "https://m.shop.cn")
    assert load_settings({}).embed_origins == ()


@pytest.mark.parametrize("text", ["Mars/Olympus", "../../etc/passwd", "Asia", "+08:00"])
def test_time_zones_that_are_refused(text: str) -> None:
    refusal("HUIYIN_TIMEZONE", text)


@pytest.mark.parametrize(
    "text", ["mysql://x", "sqlite://", "sqlite:///:memory:", "postgresql://", "huiyin.db"]
)
def test_databases_that_are_refused(text: str) -> None:
    refusal("HUIYIN_DATABASE_URL", text)


def test_the_database_lies_in_the_data_folder_and_its_password_is_not_shown() -> None:
    assert load_settings({"HUIYIN_VAR_DIR": "/srv/demo"}).database_url == "sqlite:////srv/demo/huiyin.db"
    settings = load_settings({"HUIYIN_DATABASE_URL": "postgres://me:hunter2@db/huiyin"})
    assert settings.database_url == "postgresql://me:hunter2@db/huiyin"
    assert "hunter2" not in repr(settings)


def test_shop_names() -> None:
    assert load_settings({"HUIYIN_SHOP_NAME": " 小满茶铺 🍵 "}).shop_name == "小满茶铺 🍵"
    refusal("HUIYIN_SHOP_NAME", "店" * 41)
    refusal("HUIYIN_SHOP_NAME", "a\nb")


def test_telegram_settings() -> None:
    token = "7000000001:" + STRONG_KEY + "abc"
    settings = load_settings(
        {
            "HUIYIN_TELEGRAM_TOKEN": token,
            "HUIYIN_TELEGRAM_MODE": "Webhook",
            "HUIYIN_TELEGRAM_STAFF_CHAT": "-1001234567890",
            "HUIYIN_TELEGRAM_API": "http://127.0.0.1:8081/",
            "HUIYIN_LOG_LEVEL": "DEBUG",
        }
    )
    assert settings.telegram_token is not None
    assert settings.telegram_token.get_secret_value() == token
    assert token not in repr(settings)
    assert settings.telegram_mode is TelegramMode.WEBHOOK
    assert settings.telegram_staff_chat == -1001234567890
    assert settings.telegram_api == "http://127.0.0.1:8081"
    assert settings.log_level is LogLevel.DEBUG


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("HUIYIN_TELEGRAM_TOKEN", "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"),
        ("HUIYIN_TELEGRAM_TOKEN", "my-token-my-token-my-token-my-token"),
        ("HUIYIN_TELEGRAM_MODE", "push"),
        ("HUIYIN_TELEGRAM_STAFF_CHAT", "@our_staff"),
        ("HUIYIN_TELEGRAM_STAFF_CHAT", "0"),
        ("HUIYIN_TELEGRAM_API", "api.telegram.org"),
        ("HUIYIN_TELEGRAM_API", "https://api.telegram.org:port"),
        ("HUIYIN_NLU_URL", "http://me:pass@nlu:5005"),
        ("HUIYIN_NLU_URL", "http://nlu:5005?token=x"),
        ("HUIYIN_LOG_FORMAT", "xml"),
    ],
)
def test_other_values_that_are_refused(name: str, text: str) -> None:
    refusal(name, text)


# Secrets

WEAK_KEYS = [
    "changeme",
    "secret",
    "hunter2",
    "a" * 64,
    "abababababababababababababababab",
    "0123456789abcdefghijklmnopqrstuvwxyz",
    "change-me-change-me-change-me-change-me",
    "my-super-secret-password-for-huiyin",
    "your_api_key_your_api_key_your_api_key",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "密钥密钥密钥密钥密钥密钥密钥密钥",
    STRONG_KEY + " " + STRONG_KEY,
    STRONG_KEY[:23],
    STRONG_KEY + STRONG_KEY,
]


@pytest.mark.parametrize("name", ["HUIYIN_API_KEY", "HUIYIN_SESSION_SECRET", "HUIYIN_TELEGRAM_SECRET"])
@pytest.mark.parametrize("text", WEAK_KEYS)
def test_weak_keys_are_refused(name: str, text: str) -> None:
    refusal(name, text)


@pytest.mark.parametrize(
    "text",
    [
        *(key for key in WEAK_KEYS if not key.startswith("whsec_")),
        STRONG_KEY,
        "whsec_",
        "whsec_not base64",
        "whsec_" + STRONG_KEY,
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        *(
            "whsec_" + base64.b64encode(raw).decode()
            for raw in (bytes(32), bytes(range(32)), b"changeme" * 4, b"s3")
        ),
    ],
)
def test_weak_shop_secrets_are_refused(text: str) -> None:
    refusal("HUIYIN_SHOP_SECRET", text)


def test_strong_secrets_are_used_as_they_are_and_not_stored() -> None:
    settings = load_settings(
        {
            "HUIYIN_SHOP_SECRET": STRONG_SHOP_SECRET,
            "HUIYIN_API_KEY": STRONG_KEY,
            "HUIYIN_SESSION_SECRET": STRONG_KEY[::-1],
            "HUIYIN_TELEGRAM_SECRET": STRONG_KEY[1:],
        }
    )
    secrets = settings.secrets
    assert secrets.shop.get_secret_value() == STRONG_SHOP_SECRET
    assert secrets.api_key.get_secret_value() == STRONG_KEY
    assert secrets.session.get_secret_value() == STRONG_KEY[::-1]
    assert secrets.telegram.get_secret_value() == STRONG_KEY[1:]
    for shown in (repr(settings), str(settings), repr(secrets), settings.model_dump_json()):
        assert STRONG_SHOP_SECRET not in shown
        assert STRONG_KEY not in shown
    assert not Path("var").exists()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_that_are_not_set_are_made_once_and_kept() -> None:
    first = load_settings({}).secrets
    assert load_settings({"HUIYIN_API_KEY": ""}).secrets == first
    folder = Path("var/secrets")
    assert sorted(path.name for path in folder.iterdir()) == [
        "API_KEY",
        "SESSION_SECRET",
        "SHOP_SECRET",
        "TELEGRAM_SECRET",
    ]
    assert mode(folder) == 0o700
    assert {mode(path) for path in folder.iterdir()} == {0o600}
    assert len({first.shop, first.api_key, first.session, first.telegram}) == 4
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", first.telegram.get_secret_value())
    load_settings(
        {
            "HUIYIN_SHOP_SECRET": first.shop.get_secret_value(),
            "HUIYIN_API_KEY": first.api_key.get_secret_value(),
            "HUIYIN_SESSION_SECRET": first.session.get_secret_value(),
            "HUIYIN_TELEGRAM_SECRET": first.telegram.get_secret_value(),
        }
    )


def test_secrets_are_private_whatever_the_umask() -> None:
    before = os.umask(0)
    try:
        assert load_settings({}).secrets.notes == ()
    finally:
        os.umask(before)
    assert mode(Path("var/secrets")) == 0o700
    assert mode(Path("var/secrets/API_KEY")) == 0o600


def test_a_file_that_others_could_read_is_made_private_and_told() -> None:
    first = load_settings({}).secrets
    Path("var/secrets").chmod(0o755)
    Path("var/secrets/API_KEY").chmod(0o644)
    again = load_settings({}).secrets
    assert again.api_key == first.api_key
    assert mode(Path("var/secrets")) == 0o700
    assert mode(Path("var/secrets/API_KEY")) == 0o600
    (note,) = again.notes
    assert "API_KEY" in note
    assert first.api_key.get_secret_value() not in note


@pytest.mark.parametrize("kept", ["", "changeme", "密钥"])
def test_a_file_with_a_weak_secret_stops_the_start(kept: str) -> None:
    load_settings({}).secrets  # noqa: B018 - makes the files.
    Path("var/secrets/API_KEY").write_text(kept, "utf-8")
    with pytest.raises(SettingsError, match=r"密钥文件 .*API_KEY"):
        load_settings({}).secrets  # noqa: B018 - reads the files.


def test_a_folder_that_cannot_be_made_is_told() -> None:
    Path("var").write_text("not a folder")
    with pytest.raises(SettingsError, match=r"无法读写密钥文件 .*SHOP_SECRET"):
        load_settings({}).secrets  # noqa: B018 - makes the files.


def test_those_who_start_together_use_the_same_secrets() -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: load_settings({}).secrets, range(32)))
    assert len({secrets.api_key.get_secret_value() for secrets in found}) == 1
    assert len(list(Path("var/secrets").iterdir())) == 4
