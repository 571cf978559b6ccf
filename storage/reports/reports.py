"""The one door to the read side."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from desk.values import Feedback, SentimentLabel
from storage.reports import case_reports, customer_reports, shop_reports, survey_reports
from storage.reports.figures import figures
from storage.reports.values import (
    AuditLine,
    Badge,
    CaseLine,
    CasePage,
    CaseTab,
    CustomerLine,
    Figures,
    MissLine,
    Page,
    SurveyAccounting,
    SurveyLine,
    SurveyOutcome,
)


class Reports:
    """Reads for the console and the command line. Nothing is locked and nothing is written.

    Args:
        session: A read-only snapshot will do.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def cases(self, tab: CaseTab | str, staff_id: int | None, limit: int, offset: int = 0) -> Page[CaseLine]:
        """Returns cases: open ones by waiting, urgency and age; closed ones newest first.

        Args:
            tab: ``open``, ``mine`` or ``closed``.
            staff_id: Whose, for ``mine``.
        """
        return case_reports.cases(self._session, CaseTab(tab), staff_id, limit, offset)

    def case_page(self, number: str, lines: int = 200) -> CasePage:
        """Returns everything on the page of one case, with at most so many newest lines.

        Raises:
            NotFoundError: There is no case of that number.
        """
        return case_reports.case_page(self._session, number, lines)

    def badge(self, staff_id: int) -> Badge:
        """Returns the numbers beside the menu."""
        return case_reports.badge(self._session, staff_id)

    def figures(self, now: datetime) -> Figures:
        """Returns how much waits, for monitoring."""
        return figures(self._session, now)

    def feedback(
        self,
        label: SentimentLabel | str | None,
        rating: int | None,
        text: str,
        limit: int,
        offset: int = 0,
    ) -> Page[Feedback]:
        """Returns feedback, newest first.

        Args:
            label: Only of this sentiment; None for all, also the unscored.
            rating: Only with this rating; None for all.
            text: What the comment, the customer's name or the order's id contains; blank for all.
        """
        wanted = None if label is None else SentimentLabel(label)
        return customer_reports.feedback(self._session, wanted, rating, text, limit, offset)

    def customers(self, text: str, limit: int, offset: int = 0) -> Page[CustomerLine]:
        """Returns customers whose name, phone, buyer id or order id contains the text, last writer first."""
        return customer_reports.customers(self._session, text, limit, offset)

    def survey_accounting(self) -> SurveyAccounting:
        """Returns where every delivered order's survey stands."""
        return survey_reports.accounting(self._session)

    def survey_rows(
        self, limit: int, offset: int = 0, outcome: SurveyOutcome | str | None = None
    ) -> Page[SurveyLine]:
        """Returns delivered orders with what became of their survey, the last delivered first."""
        wanted = None if outcome is None else SurveyOutcome(outcome)
        return survey_reports.rows(self._session, limit, offset, wanted)

    def faq_misses(self, limit: int, offset: int = 0) -> Page[MissLine]:
        """Returns questions without an answer, the most frequent first."""
        return shop_reports.faq_misses(self._session, limit, offset)

    def audit(self, limit: int, offset: int = 0) -> Page[AuditLine]:
        """Returns the audit, newest first."""
        return shop_reports.audit(self._session, limit, offset)
