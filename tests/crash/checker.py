"""Judges a history from outside: what was acknowledged must be there once, in order, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from crash_history import UNCERTAIN, ChatHistory, History, OrderHistory, OrderRecord, Records
from crash_patterns import bound_line, fits, reminder_line, survey_line
from talk_checks import of_answers, of_messages
from telegram_checks import find_telegram_faults

from desk.values import OrderStatus


def find_faults(history: History, records: Records) -> list[str]:
    """Returns a sentence for everything that is lost, doubled, out of order or left undone."""
    faults = list(history.faults)
    for chat in history.chats:
        if chat.channel != "telegram":
            faults += [f"{chat.name}: {fault}" for fault in _of_chat(chat, records)]
    faults += find_telegram_faults(history, records)
    for external_id in sorted(history.orders.keys() | records.orders.keys()):
        order, record = history.orders.get(external_id), records.orders.get(external_id)
        faults += [f"order {external_id}: {fault}" for fault in _of_order(order, record)]
    faults += _of_cases(history, records)
    counts = records.accounting
    if counts.get("accounted", 0) != counts.get("delivered", 0) or counts.get("missing", 0):
        faults.append(f"surveys do not add up: {dict(counts)}")
    # On Telegram a death while sending leaves doubt; whether there was one is judged row by row.
    excused = {UNCERTAIN} if history.telegram is not None else set()
    faults += [
        f"{count} {what}"
        for what, count in sorted(records.unfinished.items())
        if count and what not in excused
    ]
    faults += [f"SQLite: {finding}" for finding in records.integrity]
    return faults


def _of_chat(chat: ChatHistory, records: Records) -> Iterator[str]:
    yield from chat.faults
    if not chat.session:
        return
    seqs = [line.seq for line in chat.last]
    if seqs != list(range(1, len(seqs) + 1)):
        yield f"its lines are numbered {seqs}"
    if len(seqs) != records.lines.get(chat.session, 0):
        yield f"{len(seqs)} lines can be read and {records.lines.get(chat.session, 0)} are stored"
    last = {line.seq: line for line in chat.last}
    for seq, line in chat.seen.items():
        if last.get(seq) != line:
            yield f"line {seq} was seen and is another one now, or gone"
    yield from of_messages(chat)
    yield from of_answers(chat)
    yield from _of_surveys(chat)


def _of_surveys(chat: ChatHistory) -> Iterator[str]:
    lines = [line.text for line in chat.last if line.author != "customer"]
    for order in chat.orders:
        bound = sum(fits(bound_line(order), text) for text in lines)
        if bound != 1:
            yield f"it was told {bound} times that order {order} is bound"
        questions = lines.count(survey_line(order))
        fewest, most = chat.surveys.get(order, (0, 1))
        if not fewest <= questions <= min(most, 1):
            yield f"it was asked {questions} times about order {order}"
        reminders = lines.count(reminder_line(order))
        if reminders > min(questions, 1):
            yield f"it was reminded {reminders} times of order {order}"


def _of_order(order: OrderHistory | None, record: OrderRecord | None) -> Iterator[str]:
    if order is None:
        yield "is stored and was never told of"
        return
    if record is None:
        if order.events:
            yield "was acknowledged and is lost"
        return
    if lost := order.events.keys() - record.event_ids:
        yield f"these acknowledged events are lost: {sorted(lost)}"
    if strangers := record.event_ids - order.events.keys():
        yield f"these events were never sent: {sorted(strangers)}"
    occurred_at, status = max(order.events.values(), key=lambda event: (event[0], event[1].rank))
    if (record.status, record.occurred_at) != (status, occurred_at):
        yield f"is {record.status.value} of {record.occurred_at} and not {status.value} of {occurred_at}"
    delivered = any(status is OrderStatus.DELIVERED for _, status in order.events.values())
    if record.delivered != delivered:
        yield f"delivered is {record.delivered}"
    if record.surveys != int(delivered):
        yield f"has {record.surveys} surveys"
    yield from _of_feedback(order, record)


def _of_feedback(order: OrderHistory, record: OrderRecord) -> Iterator[str]:
    expected = [
        (question, str(value))
        for question, value in (("overall", order.rating), ("comment", order.comment))
        if value is not None
    ]
    if sorted(record.answers) != sorted(expected):
        yield f"the answers {expected} are stored as {list(record.answers)}"
    if (record.rating, record.comment) != (order.rating, order.comment):
        yield f"the survey holds {record.rating}, {record.comment!r}"
    if record.feedback != int(bool(expected)):
        yield f"has {record.feedback} rows of feedback"
    if record.unscored:
        yield "its comment was never scored"


def _of_cases(history: History, records: Records) -> Iterator[str]:
    by_session = Counter(case.session for case in records.cases)
    open_ones = Counter(case.session for case in records.cases if case.is_open)
    for chat in history.chats:
        if by_session[chat.session] != chat.cases:
            yield f"{chat.name}: {by_session[chat.session]} cases were opened instead of {chat.cases}"
        if open_ones[chat.session] > 1:
            yield f"{chat.name}: {open_ones[chat.session]} cases are open at once"
    for case in records.cases:
        if case.first_alerts != (1, 1):
            yield f"a case was told to staff {case.first_alerts} times at once"
