"""Decisions about a survey (回访): whether it may go out now, and what an answer means."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from desk.quiet_hours import QuietHours
from desk.values import Identity, Order, OrderStatus, SkipReason, Survey, SurveyState

TOO_OLD_AFTER = timedelta(days=14)
HOLD_AFTER_CASE = timedelta(hours=24)
GIVE_UP_HOLDING_AFTER = timedelta(days=7)
HOLD_STEP = timedelta(hours=1)
CAP_WINDOW = timedelta(days=7)
CAP = 3
"""One person is asked at most this often within ``CAP_WINDOW``, over all orders and channels."""
GIVE_UP_UNSEEN_AFTER = timedelta(days=30)

_CALLED_OFF = {
    OrderStatus.REFUNDED: SkipReason.REFUNDED,
    OrderStatus.RETURNED: SkipReason.RETURNED,
    OrderStatus.CANCELLED: SkipReason.CANCELLED,
}

_RATING_WORDS = {
    "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5,
    "非常满意": 5, "很满意": 5, "特别满意": 5, "超级满意": 5, "十分满意": 5,
    "满意": 4, "比较满意": 4, "还不错": 4, "挺满意": 4, "蛮满意": 4,
    "一般": 3, "一般般": 3, "还行": 3, "凑合": 3, "中等": 3, "还可以": 3,
    "不满意": 2, "不太满意": 2, "不怎么满意": 2,
    "非常不满意": 1, "很不满意": 1, "特别不满意": 1, "极不满意": 1, "十分不满意": 1,
}  # fmt: skip
_NO_COMMENT_WORDS = frozenset(
    {"没有", "没有了", "没了", "没", "无", "不用了", "没啥", "没什么", "暂时没有", "没有谢谢", "no", "none"}
)


@dataclass(frozen=True, slots=True)
class Ask:
    """The survey goes out now, to this identity."""

    identity: Identity


@dataclass(frozen=True, slots=True)
class Skip:
    """The survey never goes out, and this is why."""

    reason: SkipReason


@dataclass(frozen=True, slots=True)
class Hold:
    """Not now; look again at ``until``."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class CaseTimes:
    """Of the identity's conversation: is a case open, and when was the last one closed."""

    open: bool = False
    closed_at: datetime | None = None


def called_off(status: OrderStatus) -> SkipReason | None:
    """The reason not to ask about an order in this state, or None."""
    return _CALLED_OFF.get(status)


def choose_identity(bound: Sequence[Identity]) -> Identity | SkipReason:
    """Whom to ask, among the identities bound to the order, the latest writer first.

    Returns:
        The reachable identity that wrote last and has not opted out, or why there is none.
    """
    if not bound:
        return SkipReason.NOBODY_BOUND
    willing = [identity for identity in bound if identity.opted_out_at is None]
    if not willing:
        return SkipReason.OPTED_OUT
    for identity in willing:
        if identity.reachable:
            return identity
    return SkipReason.UNREACHABLE


def decide_due(
    survey: Survey,
    order: Order,
    chosen: Identity | SkipReason,
    case: CaseTimes,
    asked_lately: int,
    quiet: QuietHours | None,
    zone: ZoneInfo,
    now: datetime,
) -> Ask | Skip | Hold:
    """Decides what to do with a survey whose time has come.

    Args:
        survey: A scheduled one; its ``due_at`` is when it was first to be sent.
        chosen: What ``choose_identity`` said.
        case: The cases of the chosen identity's conversation.
        asked_lately: How many surveys this person was asked within ``CAP_WINDOW``.
    """
    if (reason := called_off(order.status)) is not None:
        return Skip(reason)
    if order.delivered_at is not None and now - order.delivered_at > TOO_OLD_AFTER:
        # A hold for an open case may itself have made it old; the first cause is the truer reason.
        return Skip(SkipReason.TOO_OLD if held_by_case(case, now) is None else SkipReason.CASE_OPEN)
    if isinstance(chosen, SkipReason):
        return Skip(chosen)
    wait_until = held_by_case(case, now)
    if wait_until is not None:
        if now - survey.due_at >= GIVE_UP_HOLDING_AFTER:
            return Skip(SkipReason.CASE_OPEN)
        return Hold(wait_until, "case_open")
    if asked_lately >= CAP:
        return Skip(SkipReason.CAPPED)
    if quiet is not None:
        allowed = quiet.next_allowed(now, zone)
        if allowed > now:
            return Hold(allowed, "quiet")
    return Ask(chosen)


def held_by_case(case: CaseTimes, now: datetime) -> datetime | None:
    """Until when an open or lately closed case holds surveys and reminders back; None = it does not."""
    if case.open:
        return now + HOLD_STEP
    if case.closed_at is not None and now - case.closed_at < HOLD_AFTER_CASE:
        return case.closed_at + HOLD_AFTER_CASE
    return None


def first_due(
    delivered_at: datetime, delay: timedelta, quiet: QuietHours | None, zone: ZoneInfo, now: datetime
) -> datetime:
    """When the survey is due: after the delay, never in the past, outside quiet hours."""
    due = max(delivered_at + delay, now)
    return due if quiet is None else quiet.next_allowed(due, zone)


def read_rating(text: str) -> int | None:
    """Reads a rating from 1 to 5 from a text that says nothing else; None otherwise.

    Understands ``5``, ``５``, ``5分``, ``五星``, ``五颗星``, ``⭐⭐⭐⭐⭐``, 「非常满意」.
    """
    plain = unicodedata.normalize("NFKC", text).strip(" \t\r\n。.!！~～,，、")
    if plain and not plain.replace("\ufe0f", "").strip("⭐★🌟"):
        stars = len(plain.replace("\ufe0f", ""))
        return stars if stars <= 5 else None
    for ending in ("颗星", "星好评", "星", "分"):
        if plain.endswith(ending) and len(plain) > len(ending):
            plain = plain.removesuffix(ending).rstrip()
            break
    if plain in {"1", "2", "3", "4", "5"}:
        return int(plain)
    return _RATING_WORDS.get(plain)


def says_no_comment(text: str) -> bool:
    """Whether the customer has nothing to add."""
    plain = unicodedata.normalize("NFKC", text).strip(" \t\r\n。.!！~～,，、").lower()
    return plain.rstrip("了的呢哦啊吧").strip() in _NO_COMMENT_WORDS or plain in _NO_COMMENT_WORDS


def may_still_answer(survey: Survey, now: datetime) -> bool:
    """Whether an answer to this survey is still taken, changed ones included."""
    if survey.state in {SurveyState.ASKING, SurveyState.ANSWERING}:
        return True
    in_time = survey.expires_at is not None and now < survey.expires_at
    return survey.state is SurveyState.DONE and in_time
