"""What happens when a timer (定时) is due."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from desk import case_opening, follow_up, understanding_again
from desk.errors import NotFoundError
from desk.follow_up import FollowUp
from desk.ports import SentimentScorer, StaffNotifier, Transactions, UnitOfWork
from desk.settings import DeskSettings
from desk.understanding_again import Understand
from desk.values import Feedback, Sentiment, Timer

RETENTION_TIMER = "retention"
_RETENTION_EVERY = timedelta(hours=24)
_RETENTION_BATCH = 500


class Timers:
    """Prepares, locks for and fires due timers."""

    def __init__(
        self,
        transactions: Transactions,
        scorer: SentimentScorer,
        notifier: StaffNotifier,
        follow_up: FollowUp,
        settings: DeskSettings,
        understand: Understand,
    ) -> None:
        self._transactions = transactions
        self._scorer = scorer
        self._notifier = notifier
        self._follow_up = follow_up
        self._settings = settings
        self._understand = understand

    async def prepare(self, timers: Sequence[Timer]) -> Mapping[int, Any]:
        """Does what firing these timers needs outside a transaction: scoring, understanding again.

        Returns:
            By timer id, what ``fire`` must be given.

        Raises:
            UnderstandingError: The scorer failed; the timers are tried again later.
        """
        again = await understanding_again.prepare(self._transactions, self._understand, timers)
        scored: dict[int, tuple[str, Sentiment]] = {}
        for timer in timers:
            if timer.kind == follow_up.SCORE_TIMER:
                feedback = await self._get_feedback(int(timer.key))
                if feedback.comment is not None:
                    scored[timer.id] = (feedback.comment, await self._scorer.score(feedback.comment))
        return {**again, **scored}

    async def _get_feedback(self, feedback_id: int) -> Feedback:
        return await self._transactions.read(lambda unit: unit.surveys.get_feedback(feedback_id))

    def fire(
        self, unit: UnitOfWork, timers: Sequence[Timer], prepared: Mapping[int, Any], now: datetime
    ) -> None:
        """Fires locked timers, one after the other, inside one transaction.

        ``lock_for`` was called before in the same transaction.
        """
        for timer in timers:
            self._fire(unit, timer, prepared, now)
            unit.timers.finish(timer)

    def lock_for(self, unit: UnitOfWork, timers: Iterable[Timer]) -> None:
        """Locks every conversation that firing these timers will touch, in id order."""
        touched: set[int] = set()
        for timer in timers:
            found: int | None = None
            if timer.kind in {follow_up.DUE_TIMER, follow_up.REMINDER_TIMER, follow_up.EXPIRY_TIMER}:
                found = self._follow_up.conversation_of(unit, timer)
            elif timer.kind == case_opening.ALERT_TIMER:
                found = unit.cases.get(int(timer.key)).conversation_id
            elif timer.kind == understanding_again.AGAIN_TIMER:
                message = understanding_again.find_message(unit, timer)
                found = message.conversation_id if message is not None else None
            if found is not None:
                touched.add(found)
        for conversation_id in sorted(touched):
            unit.conversations.lock(conversation_id)

    def _fire(self, unit: UnitOfWork, timer: Timer, prepared: Mapping[int, Any], now: datetime) -> None:
        if timer.kind == follow_up.DUE_TIMER:
            self._follow_up.fire_due(unit, timer, now)
        elif timer.kind == follow_up.REMINDER_TIMER:
            self._follow_up.fire_reminder(unit, timer, now)
        elif timer.kind == follow_up.EXPIRY_TIMER:
            self._follow_up.fire_expiry(unit, timer, now)
        elif timer.kind == follow_up.SCORE_TIMER:
            self._store_score(unit, timer, prepared, now)
        elif timer.kind == case_opening.ALERT_TIMER:
            self._repeat_alert(unit, timer, now)
        elif timer.kind == understanding_again.AGAIN_TIMER:
            understanding_again.fire(unit, self._notifier, timer, prepared, now)
        elif timer.kind == RETENTION_TIMER:
            self._apply_retention(unit, timer, now)
        else:
            raise NotFoundError(f"timer kind {timer.kind}")

    def _store_score(
        self, unit: UnitOfWork, timer: Timer, prepared: Mapping[int, Any], now: datetime
    ) -> None:
        if timer.id not in prepared:
            return
        comment, sentiment = prepared[timer.id]
        if unit.surveys.set_sentiment(int(timer.key), comment, sentiment):
            unit.desk_events.add("feedback", None, None, {"feedback_id": int(timer.key)}, now)
        else:
            # The customer changed the comment meanwhile: score what it says now.
            unit.timers.set(follow_up.SCORE_TIMER, timer.key, now, {})

    def _repeat_alert(self, unit: UnitOfWork, timer: Timer, now: datetime) -> None:
        case = unit.cases.get(int(timer.key))
        if case.taken_at is None and case.closed_at is None:
            conversation = unit.conversations.get(case.conversation_id)
            case_opening.alert(unit, self._notifier, case, conversation, int(timer.payload["rung"]), now)

    def _apply_retention(self, unit: UnitOfWork, timer: Timer, now: datetime) -> None:
        deleted = unit.contact_data.apply_retention(
            now,
            self._settings.raw_retention,
            self._settings.key_retention,
            self._settings.conversation_retention,
            _RETENTION_BATCH,
        )
        # A full batch means that there is more: go on in a minute instead of holding the writer long.
        more = any(count >= _RETENTION_BATCH for count in deleted.values())
        unit.timers.set(
            RETENTION_TIMER, timer.key, now + (timedelta(minutes=1) if more else _RETENTION_EVERY), {}
        )
