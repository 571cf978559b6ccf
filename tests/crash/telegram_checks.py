"""What must hold on Telegram: nothing acknowledged is lost, and a copy appears only where a send was in doubt."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from crash_history import (
    LATER,
    ChatHistory,
    History,
    Line,
    OutgoingRecord,
    Records,
    Shown,
    TelegramHistory,
    TelegramRecords,
)
from crash_patterns import bound_line, fits, reminder_line, survey_line
from talk_checks import of_answers, of_messages

IN_DOUBT = 3.0
"""Seconds for which a send can be in doubt: from its call until it is recorded, on a busy machine."""
_SOME_TIME = 10**9
_CUSTOMERS = "conversation:"
_CASE_NUMBER = re.compile(r"HY-\d+")


def find_telegram_faults(history: History, records: Records) -> list[str]:
    """Returns a sentence for everything that went wrong between Telegram and the bot."""
    seen, stored = history.telegram, records.telegram
    if seen is None or stored is None:
        return [] if seen is None else ["nothing of Telegram is stored"]
    faults = list(_of_updates(seen, stored))
    faults += _of_ends(seen, stored)
    for chat in history.chats:
        if chat.channel == "telegram":
            faults += [f"{chat.name}: {fault}" for fault in _of_chat(chat, seen, stored)]
    faults += _of_group(history, seen)
    return faults


def _of_updates(seen: TelegramHistory, stored: TelegramRecords) -> Iterator[str]:
    """Whatever Telegram was told to forget is stored once and worked."""
    for number, update in seen.updates.items():
        states = stored.updates.get(str(number), [])
        if not update.confirmed:
            yield f"update {number} was never acknowledged"
        elif not states:
            yield f"update {number} was acknowledged and is lost"
        if len(states) > update.variants:
            yield f"update {number} is stored {len(states)} times"
        if unworked := [state for state in states if state != "done"]:
            yield f"update {number} ended {unworked}"
    known = {str(number) for number in seen.updates}
    if strangers := sorted(stored.updates.keys() - known):
        yield f"these updates never were: {strangers}"


def _of_ends(seen: TelegramHistory, stored: TelegramRecords) -> Iterator[str]:
    """Nothing ends in doubt but a survey or a notice that a death cut short."""
    for row in stored.outgoing:
        # A card may be brought up to date when many changes have come together.
        late = row.state == LATER and row.kind != "notice"
        if late or row.state in {"queued", "sending", "dead", "unreachable"}:
            yield f"{row.kind} {row.text!r} ended {row.state} ({row.error})"
        elif row.state == "uncertain":
            if row.kind not in {"survey", "notice"} and not row.twice:
                yield f"{row.kind} {row.text!r} was given up after one try"
            if not any(row.called_at <= death <= row.ended_at for death in seen.deaths):
                yield f"{row.kind} {row.text!r} is in doubt ({row.error}) and nobody had died"
        if row.kind == "survey" and row.twice:
            yield f"survey {row.text!r} was tried twice"


def _of_chat(chat: ChatHistory, seen: TelegramHistory, stored: TelegramRecords) -> Iterator[str]:
    yield from chat.faults
    number = int(chat.session.partition(":")[2])
    shown = seen.shown.get(number, [])
    rows = [row for row in stored.outgoing if row.chat == number and row.lane.startswith(_CUSTOMERS)]
    told = replace(chat, last=_lines(stored.lines.get(chat.session, []), rows, shown))
    yield from of_messages(told)
    yield from of_answers(told)
    expected_edits = Counter(seen.edits.get(chat.session, []))
    if (edits := Counter(stored.edits.get(chat.session, []))) != expected_edits:
        yield f"the edits {sorted(expected_edits)} are stored as {sorted(edits)}"
    yield from find_copies(shown, rows, seen.deaths)
    yield from _of_surveys(chat, shown, rows)
    answers = Counter({query: seen.notices.get(query, 0) for query in seen.taps.get(chat.session, [])})
    doubtful = {row.lane for row in stored.outgoing if row.twice or row.state == "uncertain"}
    for query, times in answers.items():
        in_doubt = f"tap:{query}" in doubtful
        if times > 1 + in_doubt or (times < 1 and not in_doubt):
            yield f"a tap was answered {times} times"


def _lines(stored: Sequence[Line], rows: Sequence[OutgoingRecord], shown: Sequence[Shown]) -> list[Line]:
    """What was said, with what arrived though nobody knows that it was sent.

    A first try may arrive and its second be withheld, because a person has the word by then.
    """
    texts = {each.text for each in shown}
    lines = [line for line in stored if line.author == "customer"]
    told = [line for line in stored if line.author != "customer"]
    for row in rows:
        place = next((place for place, line in enumerate(told) if line.text == row.text), None)
        if row.state == "sent" and place is not None:
            lines.append(told.pop(place))
        elif row.state != "sent" and row.text in texts and (row.twice or row.state == "uncertain"):
            lines.append(Line(_SOME_TIME, "bot", row.text))
    return lines + told


# --- Copies -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Expected:
    text: str
    fewest: int
    most: int


def find_copies(
    shown: Sequence[Shown], rows: Sequence[OutgoingRecord], deaths: Sequence[float]
) -> Iterator[str]:
    """Compares a chat with the rows of its lane, in their order.

    A row that was sent is there once, and once more only if its first try was in doubt and a life died just
    after that try; a row that ended otherwise may be there only if it was in doubt.
    """
    groups = [(text, list(copies)) for text, copies in groupby(shown, lambda each: each.text)]
    place = 0
    for expected in _expected(rows):
        copies = groups[place][1] if place < len(groups) and groups[place][0] == expected.text else []
        if not copies:
            if expected.fewest:
                yield f"{expected.text!r} was to be said next, and {_text_at(groups, place)!r} was shown"
            continue
        place += 1
        if not expected.fewest <= len(copies) <= expected.most:
            yield f"{expected.text!r} was shown {len(copies)} times"
        extra = len(copies) - max(1, expected.fewest)
        if extra > _explained(copies, deaths):
            yield f"{expected.text!r} was shown again although nobody had died while it was sent"
    for text, _ in groups[place:]:
        yield f"{text!r} was shown and never decided on, or in another order"


def _explained(copies: Sequence[Shown], deaths: Sequence[float]) -> int:
    """How many of these are there because a life died just after it had sent the one before."""
    return sum(
        any(one.at <= death <= next_one.at and death - one.at < IN_DOUBT for death in deaths)
        for one, next_one in pairwise(copies)
    )


def _expected(rows: Sequence[OutgoingRecord]) -> list[_Expected]:
    """What each row, or run of rows of the same words, may have led to."""
    merged: list[_Expected] = []
    for row in rows:
        fewest = int(row.state == "sent")
        most = fewest + row.twice + (row.state == "uncertain")
        if merged and merged[-1].text == row.text:
            before = merged.pop()
            fewest, most = fewest + before.fewest, most + before.most
        if most:
            merged.append(_Expected(row.text, fewest, most))
    return merged


def _text_at(groups: Sequence[tuple[str, list[Shown]]], place: int) -> str:
    return groups[place][0] if place < len(groups) else "nothing"


# --- The staff group ----------------------------------------------------------------------------------


def _of_group(history: History, seen: TelegramHistory) -> Iterator[str]:
    """Staff see every case, and every line of a customer once and in order."""
    shown = [each for chat, lines in seen.shown.items() if chat < 0 for each in lines]
    if not shown and not seen.relayed:
        return
    cases = sum(chat.cases for chat in history.chats)
    # A card shows lines of the talk, too.
    cards = [each for each in shown if _CASE_NUMBER.search(each.text)]
    lines = [each for each in shown if each not in cards]
    if len(cards) < cases:
        yield f"{len(cards)} cards of {cases} cases were shown in the group"
    if seen.topics > sum(chat.cases > 0 for chat in history.chats) + len(seen.deaths):
        yield f"{seen.topics} topics were made in the group"
    places = []
    for text in seen.relayed:
        copies = [each for each in lines if text in each.text]
        if not copies:
            yield f"staff never saw {text!r} in the group"
            continue
        places.append((lines.index(copies[0]), copies[0].text.index(text)))
        if len(copies) - 1 > _explained(copies, seen.deaths):
            yield f"staff saw {text!r} {len(copies)} times in the group although nobody had died meanwhile"
    if places != sorted(places):
        yield "staff saw the customers' lines in another order in the group"
    if len(cards) - cases > _explained(cards, seen.deaths):
        yield f"{len(cards)} cards of {cases} cases were shown although nobody had died meanwhile"


# --- Surveys ------------------------------------------------------------------------------------------


def _of_surveys(chat: ChatHistory, shown: Sequence[Shown], rows: Sequence[OutgoingRecord]) -> Iterator[str]:
    """Counts what Telegram showed, copies and all: no order is asked about twice, whoever dies."""
    texts = [each.text for each in shown]
    doubtful = {row.text for row in rows if row.kind == "survey" and row.state == "uncertain"}
    for order in chat.orders:
        if not any(fits(bound_line(order), text) for text in texts):
            yield f"it was never told that order {order} is bound"
        questions, reminders = texts.count(survey_line(order)), texts.count(reminder_line(order))
        fewest, most = chat.surveys.get(order, (0, 1))
        if survey_line(order) in doubtful:
            fewest = 0
        if not fewest <= questions <= min(most, 1):
            yield f"it was asked {questions} times about order {order}"
        asked = questions or survey_line(order) in doubtful
        if reminders > (1 if asked else 0):
            yield f"it was reminded {reminders} times of order {order}"
