"""What ``doctor`` looks at in Telegram. It only asks; nothing at Telegram is changed.

The token appears in no finding: not even the address of the Bot API server is told beyond its host.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from aiogram import Bot
from aiogram.exceptions import (
    AiogramError,
    TelegramAPIError,
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNetworkError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.methods import GetChat, GetChatMember, GetMe, GetWebhookInfo
from aiogram.types import (
    ChatFullInfo,
    ChatMemberAdministrator,
    ChatMemberBanned,
    ChatMemberLeft,
    ChatMemberOwner,
    ChatMemberRestricted,
    User,
    WebhookInfo,
)

from bot.findings import Finding, State
from bot.telegram.setup import WEBHOOK_PATH

_PORTS = (443, 80, 88, 8443)
"""Where Telegram delivers to (https://core.telegram.org/bots/webhooks)."""
_MANY_PENDING = 100
_RECENT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class WantedSetup:
    """How Telegram should be set up.

    Attributes:
        public_url: Without a trailing slash.
        webhook: Updates come by webhook; otherwise they are polled.
        staff_chat: The number of the staff group; None when none is set.
    """

    public_url: str
    webhook: bool
    staff_chat: int | None


async def check_telegram(
    bot: Bot, wanted: WantedSetup, now: datetime, limit: timedelta = timedelta(seconds=10)
) -> list[Finding]:
    """Returns what was found within ``limit``; network trouble is a finding too, never an error."""
    found: list[Finding] = []
    try:
        async with asyncio.timeout(limit.total_seconds()):
            await _ask(bot, wanted, now, found)
    except TimeoutError:
        found.append(_out_of_reach(bot, f"{limit.total_seconds():g} 秒内没有答复 no answer in time"))
    except TelegramRetryAfter as error:
        found.append(
            Finding(
                State.WATCH,
                f"Telegram: 问得太多，{error.retry_after} 秒后再试 asked too often, wait {error.retry_after} s",
            )
        )
    except (TelegramNetworkError, TelegramServerError) as error:
        found.append(_out_of_reach(bot, f"连不上 cannot be reached ({type(error).__name__})"))
    except (AiogramError, OSError) as error:
        found.append(_out_of_reach(bot, f"答复看不懂 answered something unexpected ({type(error).__name__})"))
    return found


def _out_of_reach(bot: Bot, what: str) -> Finding:
    host = urlsplit(bot.session.api.base).netloc or "?"
    return Finding(
        State.WATCH,
        f"Telegram {host.rpartition('@')[2]}: {what}",
        "检查网络、代理和 HUIYIN_TELEGRAM_API；在中国大陆无法直连 Telegram。"
        " Check the network, a proxy and HUIYIN_TELEGRAM_API; Telegram cannot be reached directly from"
        " mainland China.",
    )


async def _ask(bot: Bot, wanted: WantedSetup, now: datetime, found: list[Finding]) -> None:
    try:
        me = await bot(GetMe())
    except (TelegramUnauthorizedError, TelegramNotFound):
        found.append(
            Finding(
                State.MEND,
                "Telegram 令牌不对 the token is not known to Telegram",
                "到 @BotFather 复制令牌，重新设置 HUIYIN_TELEGRAM_TOKEN。"
                " Copy the token from @BotFather into HUIYIN_TELEGRAM_TOKEN.",
            )
        )
        return
    found.append(Finding(State.WELL, f"Telegram 机器人 bot @{me.username}"))
    info = await bot(GetWebhookInfo())
    found.extend(_webhook(info, wanted) if wanted.webhook else _polling(info))
    found.extend(_queue(info, now))
    if wanted.staff_chat is None:
        found.append(
            Finding(
                State.OFF,
                "Telegram 客服群：没有设置，工单只在控制台 staff group: none is set, cases are in the console",
                "想在群里接单，请设 HUIYIN_TELEGRAM_STAFF_CHAT。"
                " To work cases in a group set HUIYIN_TELEGRAM_STAFF_CHAT.",
            )
        )
        return
    await _staff_group(bot, me, wanted.staff_chat, found)


def _webhook(info: WebhookInfo, wanted: WantedSetup) -> list[Finding]:
    parts = urlsplit(wanted.public_url)
    if parts.scheme != "https":
        return [
            Finding(
                State.MEND,
                "Telegram webhook：需要 https 的对外网址 a webhook needs an https public address",
                "把 HUIYIN_PUBLIC_URL 设为 https 地址，或设 HUIYIN_TELEGRAM_MODE=polling。"
                " Set HUIYIN_PUBLIC_URL to an https address, or HUIYIN_TELEGRAM_MODE=polling.",
            )
        ]
    if (parts.port or 443) not in _PORTS:
        return [
            Finding(
                State.MEND,
                f"Telegram webhook：端口 {parts.port} 不行 Telegram does not deliver to port {parts.port}",
                "只能用 443、80、88 或 8443。 Use 443, 80, 88 or 8443.",
            )
        ]
    if not info.url:
        return [
            Finding(
                State.WATCH,
                "Telegram webhook：还没有设置，收不到消息 no webhook is set yet, so no message arrives",
                "huiyin serve 启动时会设置；正在运行的话，请看它的日志。"
                " huiyin serve sets it when it starts; if it is running, read its log.",
            )
        ]
    if info.url != f"{wanted.public_url}{WEBHOOK_PATH}":
        # Only the host: the rest of somebody else's address may be a secret of theirs.
        host = _host(info.url)
        return [
            Finding(
                State.MEND,
                f"Telegram webhook 指向别处（{host}）the webhook points elsewhere ({host})",
                "停掉也在用这个机器人的程序，再重启 huiyin serve。"
                " Stop the other program that uses this bot, then restart huiyin serve.",
            )
        ]
    return [Finding(State.WELL, "Telegram webhook 指向这里 the webhook points here")]


def _polling(info: WebhookInfo) -> list[Finding]:
    if info.url:
        host = _host(info.url)
        return [
            Finding(
                State.WATCH,
                f"Telegram 轮询：还设着 webhook（{host}）polling, but a webhook is set ({host})",
                "huiyin serve 启动时会移除它；如果它属于另一个程序，请先停掉那个程序。"
                " huiyin serve removes it when it starts; if it belongs to another program, stop that first.",
            )
        ]
    return [Finding(State.WELL, "Telegram 轮询：没有 webhook 挡路 polling, no webhook is in the way")]


def _queue(info: WebhookInfo, now: datetime) -> list[Finding]:
    found = []
    if info.pending_update_count > _MANY_PENDING:
        found.append(
            Finding(
                State.WATCH,
                f"Telegram 积压 {info.pending_update_count} 条未取 updates are waiting at Telegram",
                "确认 huiyin serve 在运行；Telegram 只保留 24 小时。"
                " Make sure huiyin serve is running; Telegram keeps them for 24 hours only.",
            )
        )
    failed_at = _aware(info.last_error_date)
    if info.url and failed_at is not None and now - failed_at < _RECENT:
        message = "".join(each if each.isprintable() else "?" for each in info.last_error_message or "")[:200]
        found.append(
            Finding(
                State.WATCH,
                f"Telegram 最近一次投递失败 the last delivery failed: {message}",
                "确认从外网能打开 HUIYIN_PUBLIC_URL，证书有效。"
                " Make sure HUIYIN_PUBLIC_URL opens from outside and its certificate is valid.",
            )
        )
    return found


async def _staff_group(bot: Bot, me: User, number: int, found: list[Finding]) -> None:
    try:
        chat = await bot(GetChat(chat_id=number))
    except TelegramMigrateToChat as error:
        found.append(
            Finding(
                State.MEND,
                f"Telegram 客服群换了编号 the staff group has a new number: {error.migrate_to_chat_id}",
                f"HUIYIN_TELEGRAM_STAFF_CHAT={error.migrate_to_chat_id}",
            )
        )
        return
    except (TelegramBadRequest, TelegramForbiddenError):
        found.append(_not_in_group(number))
        return
    if chat.type not in ("group", "supergroup"):
        found.append(
            Finding(
                State.MEND,
                f"Telegram 客服群 {number} 不是群 the staff chat is not a group ({chat.type})",
                "HUIYIN_TELEGRAM_STAFF_CHAT 要填群的编号（以 - 开头）。"
                " HUIYIN_TELEGRAM_STAFF_CHAT is the number of a group (it begins with -).",
            )
        )
        return
    try:
        member = await bot(GetChatMember(chat_id=number, user_id=me.id))
    except TelegramAPIError as error:
        if isinstance(error, TelegramNetworkError | TelegramServerError | TelegramRetryAfter):
            raise
        found.append(_not_in_group(number))
        return
    gone = isinstance(member, ChatMemberLeft | ChatMemberBanned)
    if gone or (isinstance(member, ChatMemberRestricted) and not member.is_member):
        found.append(_not_in_group(number))
    elif isinstance(member, ChatMemberAdministrator):
        found.extend(_as_admin(chat, member))
    elif isinstance(member, ChatMemberOwner):
        found.append(Finding(State.WELL, _described(chat)))
    else:
        found.append(_as_member(chat, me))


def _not_in_group(number: int) -> Finding:
    return Finding(
        State.MEND,
        f"Telegram 客服群 {number}：机器人不在群里，或编号不对 the bot is not in the staff group, or the number is"
        " wrong",
        "把机器人拉进群并设为管理员；超级群的编号以 -100 开头。"
        " Add the bot to the group as administrator; numbers of supergroups begin with -100.",
    )


def _described(chat: ChatFullInfo) -> str:
    if chat.is_forum:
        return "Telegram 客服群：话题群，每位客户一个话题 staff group: a forum, one topic for each customer"
    return "Telegram 客服群：普通群，用回复对应客户 staff group: no forum, replies tell customers apart"


def _as_admin(chat: ChatFullInfo, member: ChatMemberAdministrator) -> list[Finding]:
    if chat.is_forum and not member.can_manage_topics:
        return [
            Finding(
                State.MEND,
                "Telegram 客服群：机器人不能建话题 staff group: the bot may not make topics",
                "在群管理员设置里给机器人“管理话题”权限。 Give the bot the right to manage topics.",
            )
        ]
    found = [Finding(State.WELL, _described(chat))]
    if not member.can_delete_messages:
        found.append(
            Finding(
                State.OFF,
                "Telegram 客服群：机器人不能删消息（可选）staff group: the bot may not delete messages (optional)",
                "不影响使用，想让它能清理群里的消息时再给。 Nothing depends on it; give it to let the bot tidy up.",
            )
        )
    return found


def _as_member(chat: ChatFullInfo, me: User) -> Finding:
    if me.can_read_all_group_messages:
        blind = ""
        state = State.MEND if chat.is_forum else State.WATCH
    else:
        blind = (
            "，隐私模式开着，只看得到命令和对它的回复"
            " and group privacy is on, so it sees only commands and replies to it"
        )
        state = State.MEND
    topics = "，也不能建话题 and it can make no topics" if chat.is_forum else ""
    return Finding(
        state,
        f"Telegram 客服群：机器人不是管理员 staff group: the bot is no administrator{blind}{topics}",
        "把机器人设为群管理员，话题群再给“管理话题”权限。"
        " Make the bot administrator of the group; in a forum also with the right to manage topics.",
    )


def _host(url: str) -> str:
    return urlsplit(url).hostname or "?"


def _aware(at: datetime | int | float | timedelta | None) -> datetime | None:
    """A time of aiogram's types, which allow more kinds than Telegram sends."""
    if isinstance(at, datetime):
        return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    if isinstance(at, int | float):
        return datetime.fromtimestamp(at, UTC)
    return None
