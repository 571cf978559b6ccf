"""The command line as a person meets it: sentences, exit codes, files."""

from __future__ import annotations

import csv
import io
import json
import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cli_rig import huiyin, serving
from shop import Shop, play
from telegram_api import TelegramApi

from bot.cli.writing import defused
from bot.commands.faq import import_faq, plan_import
from bot.faq_file import DEFAULT_FAQ, read_faq
from desk.errors import NotFoundError

TOKEN = "7000000001:AAstandin-token-of-the-command-line"
COMMENT = "=HYPERLINK(0)\n@差评，漏水"


def filled(folder: Path) -> None:
    """An installation in ``folder/var`` with a customer, feedback, a case and a dead letter."""

    async def story(shop: Shop) -> None:
        await shop.reports_event("delivered")
        customer = await shop.customer("wang", await shop.link())
        await shop.later(timedelta(days=1, minutes=1))
        await customer.says("4")
        await customer.says(COMMENT)
        await customer.says("转人工")
        await shop.run(
            lambda unit: unit.inbox.add(
                "webchat", "1:bad", "0" * 64, "identity:1", b"\x1b[31mred", shop.clock()
            )
        )
        for _ in range(8):
            await shop.later(timedelta(minutes=10))

    play(folder / "var", story)


# --- The first minutes ---------------------------------------------------------------------------------------


def test_help_names_every_command() -> None:
    shown = huiyin(Path.cwd(), "--help").stdout
    for name in (
        "serve",
        "demo",
        "migrate",
        "doctor",
        "understand",
        "staff",
        "orders",
        "faq",
        "contact",
        "dead",
    ):
        assert f" {name} " in shown
    assert "item_quantity" in huiyin(Path.cwd(), "orders", "import", "--help").stdout


@pytest.mark.parametrize(
    "args",
    [
        ("staff", "list"),
        ("surveys", "report"),
        ("contact", "find", "王"),
        ("dead", "list"),
        ("faq", "export"),
    ],
)
def test_before_there_are_data_reading_commands_say_what_to_do(tmp_path: Path, args: tuple[str, ...]) -> None:
    done = huiyin(tmp_path, *args)
    assert done.returncode == 1
    assert "run huiyin serve" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_setting_is_a_sentence_that_names_it(tmp_path: Path) -> None:
    done = huiyin(tmp_path, "staff", "list", LISTEN="everywhere", API_KEY="short")
    assert done.returncode == 2
    assert "HUIYIN_LISTEN" in done.stderr
    assert "HUIYIN_API_KEY" in done.stderr
    assert "everywhere" not in done.stderr


def test_a_slip_of_the_pen_is_told(tmp_path: Path) -> None:
    assert "HUIYIN_LISTEN" in huiyin(tmp_path, "doctor", LISTN="127.0.0.1:1").stdout


def test_doctor_finds_what_must_be_mended_and_says_how(tmp_path: Path) -> None:
    well = huiyin(tmp_path, "doctor", LISTEN="127.0.0.1:18999")
    assert well.returncode == 0, well.stdout
    assert list(tmp_path.iterdir()) == []
    assert huiyin(tmp_path, "migrate").returncode == 0
    database = tmp_path / "var" / "huiyin.db"
    database.chmod(0o644)
    (tmp_path / "var").chmod(0o777)
    ill = huiyin(tmp_path, "doctor", LISTEN="127.0.0.1:18999")
    assert ill.returncode == 1
    assert "chmod 600 var/huiyin.db" in ill.stdout
    assert "chmod 700 var" in ill.stdout


def test_doctor_looks_at_telegram_and_never_shows_the_token(tmp_path: Path) -> None:
    assert "@BotFather" in huiyin(tmp_path, "doctor", LISTEN="127.0.0.1:18999").stdout
    with TelegramApi(TOKEN).in_thread() as api:
        settings = {"LISTEN": "127.0.0.1:18999", "TELEGRAM_TOKEN": api.token, "TELEGRAM_API": api.url}
        api.group(-1001234567890, forum=True)
        well = huiyin(tmp_path, "doctor", **settings, TELEGRAM_STAFF_CHAT="-1001234567890")
        assert well.returncode == 0, well.stdout
        assert "@huiyin_test_bot" in well.stdout
        assert "一个话题" in well.stdout
        lost = huiyin(tmp_path, "doctor", **settings, TELEGRAM_STAFF_CHAT="-1009999999999")
        assert lost.returncode == 1
        assert "不在群里" in lost.stdout
        api.refuse()
        down = huiyin(tmp_path, "doctor", **settings)
        assert down.returncode == 0
        assert "连不上" in down.stdout
        secret = api.token.partition(":")[2]
        assert not any(secret in each.stdout + each.stderr for each in (well, lost, down))


def test_doctor_tells_a_damaged_database_in_words(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir(mode=0o700)
    (tmp_path / "var" / "huiyin.db").write_bytes(b"not a database at all" * 100)
    done = huiyin(tmp_path, "doctor")
    assert done.returncode == 1
    assert "✗" in done.stdout
    read = huiyin(tmp_path, "staff", "list")
    assert read.returncode == 1
    assert "on our side" not in read.stderr


def test_migrations_go_forth_and_back(tmp_path: Path) -> None:
    assert "0001" in huiyin(tmp_path, "migrate").stderr
    assert "(0 applied)" in huiyin(tmp_path, "migrate").stdout
    assert "Nothing was changed" in huiyin(tmp_path, "migrate", "--to", "base", stdin="n\n").stderr
    assert huiyin(tmp_path, "migrate", "--to", "base", "--yes").returncode == 0
    assert "run huiyin serve" in huiyin(tmp_path, "staff", "list").stderr
    assert huiyin(tmp_path, "migrate", "--to", "0815", "--yes").returncode == 1


# --- Staff -----------------------------------------------------------------------------------------------------


def test_passwords_are_made_or_read_and_weak_ones_refused(tmp_path: Path) -> None:
    made = huiyin(tmp_path, "staff", "add", "li", "--name", "小李", "--role", "lead")
    assert made.returncode == 0, made.stderr
    assert "no admin yet" in made.stderr
    password = made.stdout.strip().rpartition(": ")[2]
    assert len(password) == 16
    given = huiyin(
        tmp_path, "staff", "add", "wang", "--role", "admin", "--password-stdin", stdin="Ein-gutes-Wort-7\n"
    )
    assert given.returncode == 0
    assert "Ein-gutes" not in given.stdout + given.stderr
    assert "no admin" not in given.stderr
    for weak in ("short\n", "password12\n", "\n", ""):
        assert huiyin(tmp_path, "staff", "add", "chen", "--password-stdin", stdin=weak).returncode == 2
    assert huiyin(tmp_path, "staff", "add", "小王").returncode == 1
    assert huiyin(tmp_path, "staff", "add", "chen", "--role", "king").returncode == 2


def test_a_code_that_links_telegram_comes_with_a_new_account_or_later(tmp_path: Path) -> None:
    made = huiyin(tmp_path, "staff", "add", "li", "--telegram", TELEGRAM_TOKEN=TOKEN)
    assert made.returncode == 0, made.stderr
    first = re.findall(r"/link ([0-9A-Z]{10})", made.stdout)
    assert len(first) == 1
    assert "密码 password" in made.stdout
    assert "Telegram is off" not in made.stderr
    later = huiyin(tmp_path, "staff", "link", "li")
    assert later.returncode == 0, later.stderr
    second = re.findall(r"/link ([0-9A-Z]{10})", later.stdout)
    assert second != first
    assert "Telegram is off" in later.stderr
    assert huiyin(tmp_path, "staff", "link", "nobody").returncode == 1

    async def only_the_newest_works(shop: Shop) -> None:
        shop.clock.now = datetime.now(UTC)
        with pytest.raises(NotFoundError):
            await shop.staff_desk.link_account(first[0], "telegram", "5")
        assert (await shop.staff_desk.link_account(second[0], "telegram", "5")).login == "li"

    play(tmp_path / "var", only_the_newest_works)


def test_a_running_service_makes_the_code_for_the_command_line(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        done = huiyin(tmp_path, "staff", "add", "li", "--telegram")
        assert done.returncode == 0, done.stderr
        code = re.findall(r"/link ([0-9A-Z]{10})", done.stdout)
        assert len(code) == 1
        assert huiyin(tmp_path, "staff", "link", "li").returncode == 0
        assert code[0] not in service.output


# --- FAQ -------------------------------------------------------------------------------------------------------


def test_a_faq_that_goes_out_and_in_again_changes_nothing(tmp_path: Path) -> None:
    assert huiyin(tmp_path, "faq", "import", str(DEFAULT_FAQ)).returncode == 0
    assert huiyin(tmp_path, "faq", "export", "mine.yml").returncode == 0
    again = huiyin(tmp_path, "faq", "import", "mine.yml")
    assert "0 added, 0 changed, 0 deleted" in again.stdout


def test_a_bad_faq_file_changes_nothing(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yml"
    bad.write_text("entries:\n  - slug: a\n    question: 几点关门\n    categori: x\n", "utf-8")
    for command in ("check", "import"):
        done = huiyin(tmp_path, "faq", command, "bad.yml")
        assert done.returncode == 1
        assert "entry 1 (a)" in done.stderr
        assert "几点关门" not in done.stderr
    assert not (tmp_path / "var").exists()
    bad.write_bytes("entries: 几".encode("gbk"))
    assert "not UTF-8" in huiyin(tmp_path, "faq", "check", "bad.yml").stderr


def test_an_import_tells_first_and_then_does_what_it_told(tmp_path: Path) -> None:
    text = (
        "variables: {hours: 全天}\n"
        "entries:\n"
        "  - {slug: hours, category: 店铺, question: 几点关门, answer: '{hours}都在，{shop_name}。'}\n"
    )

    async def story(shop: Shop) -> None:
        stored = await shop.run(lambda unit: unit.faq.all())
        plan = plan_import(read_faq(text.replace("shop_name", "hours")), stored, {}, replace=True)
        assert [entry.answer for entry in plan.added] == ["全天都在，全天。"]
        assert len(plan.deleted) == len(stored)
        file = text.replace("{shop_name}", "本店")
        done = await import_faq(shop.installation, {"text": file})
        assert (done["added"], done["deleted"], done["kept"]) == (1, 0, len(stored))
        assert (await import_faq(shop.installation, {"text": file}))["unchanged"] == 1
        customer = await shop.customer()
        # The installation does not know this variable, so its value went into the answer.
        assert await customer.says("几点关门") == ["全天都在，本店。"]
        done = await import_faq(shop.installation, {"text": file, "replace": True})
        assert done["deleted"] == len(stored)
        assert [entry.slug for entry in await shop.run(lambda unit: unit.faq.all())] == ["hours"]

    play(tmp_path, story)


# --- What leaves the installation --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("+86", "'+86"),
        ("-5", "'-5"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("\nx", "'\nx"),
        ("\0x", "'\0x"),
        ("＝1", "'＝1"),
        ("＋1", "'＋1"),
        ("－1", "'－1"),
        ("＠x", "'＠x"),
        ("  \u00a0\u3000=1", "'  \u00a0\u3000=1"),
        ("\ufeff\u200b=1", "'\ufeff\u200b=1"),
        ("好\n=1\r\n-2\n平常", "好\n'=1\r\n'-2\n平常"),
        ("很好，1=1", "很好，1=1"),
        ("", ""),
        ("'=1", "'=1"),
    ],
)
def test_no_cell_is_a_formula(text: str, safe: str) -> None:
    assert defused(text) == safe


def test_feedback_cases_and_customers_are_told(tmp_path: Path) -> None:
    filled(tmp_path)
    done = huiyin(tmp_path, "feedback", "export", "out.csv")
    assert done.returncode == 0, done.stderr
    file = tmp_path / "out.csv"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    rows = list(csv.DictReader(io.StringIO(file.read_bytes().decode("utf-8-sig"), newline="")))
    assert [row["rating"] for row in rows] == ["4"]
    assert rows[0]["comment"] == "'=HYPERLINK(0)\n'@差评，漏水"
    assert rows[0]["sentiment"] == "negative"
    assert rows[0]["score"] == "-0.8"
    assert rows[0]["created_at"].endswith("+08:00")

    lines = huiyin(tmp_path, "feedback", "export", "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["comment"] for line in lines] == [COMMENT]

    report = huiyin(tmp_path, "surveys", "report")
    assert report.returncode == 0
    assert "balanced: 1 + 0 + 0 + 0 = 1" in report.stdout
    assert "A-1\t" in huiyin(tmp_path, "surveys", "report", "--orders").stdout

    dead = huiyin(tmp_path, "dead", "list", "--bodies")
    assert (
        "inbox 2\twebchat\tidentity:1\tInvalidInputError" in dead.stdout or "InvalidInputError" in dead.stdout
    )
    assert "\x1b" not in dead.stdout
    number = dead.stdout.split("\t")[0].split()[1]
    assert huiyin(tmp_path, "dead", "replay", "inbox", number).returncode == 0
    assert huiyin(tmp_path, "dead", "replay", "inbox", number).returncode == 1

    found = huiyin(tmp_path, "contact", "find", "王女士")
    assert "13812345678" not in found.stdout
    assert "*******5678" in found.stdout
    contact = found.stdout.split("\t")[0]
    exported = huiyin(tmp_path, "contact", "export", contact, "wang.json")
    assert exported.returncode == 0, exported.stderr
    assert json.loads((tmp_path / "wang.json").read_text("utf-8"))["contact"]["phone"] == "13812345678"
    assert huiyin(tmp_path, "contact", "export", "nobody").returncode == 1
    assert "Nothing was changed" in huiyin(tmp_path, "contact", "erase", contact, stdin="n\n").stderr
    erased = huiyin(tmp_path, "contact", "erase", "b-1", "--yes")
    assert erased.returncode == 0, erased.stderr
    assert huiyin(tmp_path, "contact", "find", "王女士").returncode == 1
    assert "balanced: 1 + 0 + 0 + 0 = 1" in huiyin(tmp_path, "surveys", "report").stdout

    async def audited(shop: Shop) -> None:
        actions = {line.action for line in (await shop.reports(lambda r: r.audit(50))).rows}
        assert {"feedback.export", "contact.export", "contact.erase", "dead_letter.replay"} <= actions
        assert await shop.run(lambda unit: unit.staff.verify_audit()) is None

    play(tmp_path / "var", audited)


# --- Understanding -------------------------------------------------------------------------------------------------


def test_understand_says_what_the_bot_would_do_and_why(tmp_path: Path) -> None:
    texts = ("什么时候发货", "转人工", "你们就是骗子，我要投诉", "\x00", "发货")
    done = huiyin(tmp_path, "understand", stdin="\n".join(texts) + "\n")
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["action"] for one in told[:4]] == ["answer", "person", "person", "none"]
    assert told[0]["intent"] == "shipping_time"
    assert (told[0]["source"], told[0]["degraded"]) == ("faq-search", False)
    assert "NLU_URL" in done.stderr
    assert told[2]["sentiment"]["upset"] == "angry"
    assert "骗子" in told[2]["sentiment"]["evidence"]
    for one in told:
        assert set(one) >= {"text", "intent", "confidence", "action", "entities", "sentiment", "aspects"}
        assert 0 <= one["sentiment"]["p_negative"] <= 1
        assert one["reason"]
    assert not (tmp_path / "var").exists()
    comment = json.loads(huiyin(tmp_path, "understand", "--feedback", "质量很好，就是物流慢").stdout)
    assert comment["reason"] == "survey_comment"
