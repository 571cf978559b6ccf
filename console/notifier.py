"""Telling staff through the console: a badge, a line on the screen and a sound."""

from __future__ import annotations

from datetime import datetime

from desk.ports import StaffAlert, UnitOfWork


class ConsoleNotifier:
    """``StaffNotifier`` of the console: the alert is an event that every open console shows."""

    def notify(self, unit: UnitOfWork, alert: StaffAlert, now: datetime) -> None:
        """See ``StaffNotifier.notify``."""
        case = alert.case
        payload = {
            "number": case.number,
            "customer": alert.customer_name,
            "reason": case.reason.value,
            "priority": case.priority.value,
            "rung": alert.rung,
        }
        unit.desk_events.add("case_alert", case.id, case.conversation_id, payload, now)
        unit.cases.record(case.id, "alerted", str(alert.rung), None, now)
