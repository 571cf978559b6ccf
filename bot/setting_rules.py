"""How the text of one setting becomes a value, and which texts are refused.

Every function takes the text (already stripped, never empty) and returns the value or raises
:class:`RefusedError` with a Chinese and an English sentence that never repeat the text.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import itertools
import re
import unicodedata
from collections.abc import Iterable
from datetime import time, timedelta
from typing import NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import isodate

from desk.errors import InvalidInputError
from desk.quiet_hours import QuietHours

PREFIX = "HUIYIN_"
MINIMUM_SECRET_BYTES = 24
SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix that Standard Webhooks gives to every secret.

_LONGEST = timedelta(days=3660)
_SHORT_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

# The secret in the Standard Webhooks specification, and the two tokens in Telegram's manual.
_KNOWN_EXAMPLES = frozenset(
    {
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        "123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11",
        "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw",
        "4839574812:AAFD39kkdpWt3ywyRZergyOLMaJhac60qc",
    }
)
_PLACEHOLDERS = re.compile(
    rb"change[ _-]?me|replace[ _-]?me|example|placeholder|password|passwd|secret|your[ _-]?api[ _-]?key"
    rb"|huiyin|test|demo|docs|only|qwerty|abcdefgh|12345678|x{4,}",
    re.IGNORECASE,
)


class SettingsError(Exception):
    """The installation cannot start as it is set up.

    Attributes:
        sentences: One for each fault, Chinese first, ready to print; none repeats a value.
    """

    def __init__(self, sentences: Iterable[str]) -> None:
        self.sentences = tuple(sentences)
        super().__init__("\n".join(self.sentences))


class RefusedError(ValueError):
    """A text that a setting cannot take.

    Attributes:
        zh: Why, in Chinese.
        en: The same in English.
    """

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.zh = zh
        self.en = en


class Address(NamedTuple):
    """Where a server listens. ``host`` is without brackets, ``port`` from 1 to 65535."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    @property
    def url(self) -> str:
        """An address for this machine's browser; a wildcard becomes the loopback address."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return origin(f"http://{f'[{host}]' if ':' in host else host}:{self.port}")


def is_loopback(host: str) -> bool:
    """Whether ``host`` (a name or an address without brackets) is this machine itself."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def duration(text: str) -> timedelta:
    """``P1D``, ``PT90M`` (ISO 8601) or ``30s``, ``15m``, ``2h``, ``3d``; from 0 to ten years."""
    short = re.fullmatch(r"([0-9]{1,9})\s?([smhd])", text)
    if short:
        found = timedelta(**{_SHORT_UNITS[short[2]]: int(short[1])})
    else:
        try:
            parsed = isodate.parse_duration(text.upper())
        except (ValueError, ArithmeticError) as error:
            raise RefusedError(
                "时长写法不对，例如 P1D（一天）、PT90M、30s、15m、2h、3d。",
                "Not a duration; write P1D (a day), PT90M, 30s, 15m, 2h or 3d.",
            ) from error
        if not isinstance(parsed, timedelta):
            raise RefusedError(
                "不能用年或月，因为它们长短不一；请写天数，例如 P30D。",
                "Years and months differ in length; write days, such as P30D.",
            )
        found = parsed
    if found < timedelta(0):
        raise RefusedError("时长不能为负。", "A duration cannot be negative.")
    if found > _LONGEST:
        raise RefusedError("时长不能超过十年。", "A duration is at most ten years.")
    return found


def positive_duration(text: str) -> timedelta:
    """Like :func:`duration`, but not zero."""
    found = duration(text)
    if not found:
        raise RefusedError("时长必须大于零。", "The duration must be more than zero.")
    return found


def quiet_hours(text: str) -> QuietHours | None:
    """``22:00-09:00`` (full-width signs and 24:00 as the end are fine too), or ``off`` for None."""
    plain = unicodedata.normalize("NFKC", text).replace("–", "-").replace("—", "-").replace("~", "-")
    if plain.lower() == "off":
        return None
    hour = r"([01]?[0-9]|2[0-3]):([0-5][0-9])"
    match = re.fullmatch(rf"{hour}\s*-\s*(?:{hour}|24:00)", plain, re.ASCII)
    if match is None:
        raise RefusedError(
            "免打扰时段写作 22:00-09:00，不需要就写 off。",
            "Write quiet hours as 22:00-09:00, or off for none.",
        )
    try:
        return QuietHours(time(int(match[1]), int(match[2])), time(int(match[3] or 0), int(match[4] or 0)))
    except InvalidInputError as error:
        raise RefusedError(
            "免打扰时段的开始和结束不能相同；不需要就写 off。",
            "Quiet hours cannot start and end at the same time; write off for none.",
        ) from error


def listen(text: str) -> Address:
    """``127.0.0.1:8080``, ``localhost:8080`` or ``[::1]:8080``."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})", text)
    if match and 1 <= int(match[3]) <= 65535:
        try:
            host = str(ipaddress.IPv6Address(match[1])) if match[1] else match[2].lower()
        except ValueError:
            pass
        else:
            return Address(host, int(match[3]))
    raise RefusedError(
        "监听地址写作 主机:端口，例如 127.0.0.1:8080 或 [::1]:8080，端口 1 到 65535。",
        "Write host:port, such as 127.0.0.1:8080 or [::1]:8080, with a port from 1 to 65535.",
    )


def origin(text: str) -> str:
    """Scheme, host and port of a web address: ``https://shop.cn``, lower case, IDNA, no end slash.

    A path other than ``/``, a user, a query or a wildcard is refused.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
        name = parts.hostname or ""
        host = name if ":" in name else name.encode("idna").decode("ascii")
    except ValueError as error:
        raise _bad_origin() from error
    extras = parts.path.rstrip("/") or parts.query or parts.fragment or "@" in parts.netloc
    plain = re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:.]+", host)
    if parts.scheme not in ("http", "https") or extras or plain is None:
        raise _bad_origin()
    shown = f"[{host}]" if ":" in host else host
    if port is None or port == {"http": 80, "https": 443}[parts.scheme]:
        return f"{parts.scheme}://{shown}"
    return f"{parts.scheme}://{shown}:{port}"


def _bad_origin() -> RefusedError:
    return RefusedError(
        "网址只写协议、主机和端口，例如 https://kefu.example.cn，不带路径、参数、用户名或 *。",
        "Write only scheme, host and port, such as https://kefu.example.cn: no path, query, user or *.",
    )


def origins(text: str) -> tuple[str, ...]:
    """Several origins with commas between them, each once, in the order given."""
    return tuple(dict.fromkeys(origin(part.strip()) for part in text.split(",") if part.strip()))


def is_safe_origin(value: str) -> bool:
    """Whether what goes to an origin cannot be read on the way: https, or this machine itself."""
    parts = urlsplit(value)
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


def service_url(text: str) -> str:
    """An ``http`` or ``https`` address of a server, with a path or without, no slash at the end."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or "@" in parts.netloc or not text.isprintable():
        raise RefusedError(
            "要写完整的网址，以 http:// 或 https:// 开头，不带参数和用户名。",
            "Write a whole address that starts with http:// or https://, without query and user.",
        )
    return text.rstrip("/")


def database_url(text: str) -> str:
    """``sqlite:///FILE`` or ``postgresql://…``; ``postgres://`` is taken for the latter."""
    if text.startswith("postgres://"):
        text = "postgresql://" + text.removeprefix("postgres://")
    if re.match(r"postgresql(\+psycopg)?://.", text):
        return text
    if re.match(r"sqlite:///.", text) and ":memory:" not in text:
        return text
    raise RefusedError(
        "数据库地址写作 sqlite:///文件 或 postgresql://…（内存数据库会丢数据，不支持）。",
        "Write sqlite:///FILE or postgresql://…; a database in memory would forget everything.",
    )


def zone(text: str) -> ZoneInfo:
    """A zone of the IANA database by its name."""
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        try:
            ZoneInfo("Asia/Shanghai")
        except ZoneInfoNotFoundError:
            raise RefusedError(
                "这台机器没有时区数据，请安装系统的 tzdata。",
                "This machine has no time zone data; install the system's tzdata.",
            ) from error
        raise RefusedError(
            "没有这个时区，例如 Asia/Shanghai。",
            "There is no such time zone; Asia/Shanghai is one.",
        ) from error


def shop_name(text: str) -> str:
    """What customers read: at most 40 characters in one line."""
    if len(text) > 40 or not text.isprintable():
        raise RefusedError(
            "店名最多 40 个字，只能一行。", "A shop name is one line of at most 40 characters."
        )
    return text


def staff_chat(text: str) -> int:
    """The number of a Telegram chat; groups have negative ones."""
    if re.fullmatch(r"-?[1-9][0-9]{0,18}", text) is None:
        raise RefusedError(
            "要写 Telegram 群的数字编号，例如 -1001234567890。",
            "Write the number of the Telegram group, such as -1001234567890.",
        )
    return int(text)


def telegram_token(text: str) -> str:
    """A bot's token as BotFather gives it out."""
    _refuse_known(text)
    if re.fullmatch(r"[0-9]{3,20}:[A-Za-z0-9_-]{30,80}", text) is None:
        raise RefusedError(
            "不像 Telegram 机器人的令牌（数字、冒号、至少 30 个字符），请从 BotFather 完整复制。",
            "Not a Telegram bot token (digits, a colon, at least 30 characters); copy it from BotFather.",
        )
    return text


def telegram_secret(text: str) -> str:
    """What Telegram may be told to show at the webhook: 24 to 256 of ``A-Z a-z 0-9 _ -``, hard to guess."""
    _refuse_known(text)
    if re.fullmatch(r"[A-Za-z0-9_-]{1,256}", text) is None:
        raise RefusedError(
            "只能用英文字母、数字、_ 和 -，最多 256 个；留空就会自动生成一个好的。",
            "Only letters, digits, _ and -, at most 256; leave it empty to have a good one made.",
        )
    _refuse_weak(text.encode())
    return text


def shop_secret(text: str) -> str:
    """``whsec_`` and at least 24 random bytes in base64, as Standard Webhooks wants it."""
    _refuse_known(text)
    try:
        raw = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not text.startswith(SECRET_PREFIX) or not raw:
        raise RefusedError(
            "签名密钥写作 whsec_ 加 base64；留空就会自动生成一个好的。",
            "A signing secret is whsec_ and base64; leave it empty to have a good one made.",
        )
    _refuse_weak(raw)
    return text


def key(text: str) -> str:
    """At least 24 bytes of visible ASCII without blanks, hard to guess."""
    _refuse_known(text)
    if re.fullmatch(r"[!-~]+", text) is None:
        raise RefusedError(
            "密钥只能用可见的英文字符，不含空格；留空就会自动生成一个好的。",
            "A key is visible ASCII without blanks; leave it empty to have a good one made.",
        )
    _refuse_weak(text.encode())
    return text


def _refuse_known(text: str) -> None:
    if text in _KNOWN_EXAMPLES:
        raise RefusedError(
            "这是说明书里的示例，谁都知道；留空就会自动生成一个好的。",
            "This is a published example that everybody knows; leave it empty or use your own.",
        )


def _refuse_weak(raw: bytes) -> None:
    """Refuse what is short, published or repetitive.

    Words that people put where a secret should go do not count towards its length. Random secrets
    have many different bytes and steps between them (24 random hex digits have fewer than 8
    different ones about once in 20,000 times); typed and counted ones do not.
    """
    rest = _PLACEHOLDERS.sub(b"", raw)
    if len(raw) < MINIMUM_SECRET_BYTES or len(rest) < MINIMUM_SECRET_BYTES:
        what = (
            ("太短", "too short") if len(rest) == len(raw) else ("像示例或口令", "an example or a password")
        )
        raise RefusedError(
            f"密钥{what[0]}，至少要 {MINIMUM_SECRET_BYTES} 个随机字节；留空就会自动生成一个好的。",
            f"The secret is {what[1]}; it needs {MINIMUM_SECRET_BYTES} random bytes."
            " Leave it empty to have a good one made.",
        )
    steps = {(b - a) % 256 for a, b in itertools.pairwise(rest)}
    repeats = (rest + rest).find(rest, 1) < len(rest)
    if len(set(rest)) < 8 or len(steps) < 8 or repeats:
        raise RefusedError(
            "密钥太有规律，容易猜到；留空就会自动生成一个好的。",
            "The secret is too regular and easy to guess; leave it empty to have a good one made.",
        )
