"""What customers said, and for each delivered order whether they were asked."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.responses import Response

from console.pages.visit import ConsoleRoom, Visit
from console.permissions import Permission
from desk.values import SentimentLabel
from storage.reports import Reports, SurveyOutcome

_PAGE = 30


def add_feedback_pages(room: ConsoleRoom) -> None:
    """Declares the routes."""

    @room.get("/console/feedback", Permission.READ_FEEDBACK)
    async def feedback(visit: Visit) -> Response:
        wanted = visit.query("label")
        label = SentimentLabel(wanted) if wanted in set(SentimentLabel) else None
        rating = visit.query_number("rating", 0, 9)
        rating = rating if rating <= 5 else 0
        words = visit.query("q", 100)
        number = visit.query_number("page", 0, 100_000)
        found = await visit.deps.reports(
            lambda reports: reports.feedback(label, rating or None, words, _PAGE, number * _PAGE)
        )
        filters = {"label": label or "", "rating": rating or "", "q": words}
        query = urlencode({key: value for key, value in filters.items() if value})
        return await visit.page(
            "feedback.html",
            lines=found.rows,
            more=found.more,
            page=number,
            filters=filters,
            labels=[each.value for each in SentimentLabel],
            query=query + "&" if query else "",
        )

    @room.get("/console/surveys", Permission.READ_SURVEYS)
    async def surveys(visit: Visit) -> Response:
        wanted = visit.query("outcome")
        outcome = SurveyOutcome(wanted) if wanted in set(SurveyOutcome) else None
        number = visit.query_number("page", 0, 100_000)

        def read(reports: Reports) -> tuple[object, object]:
            return reports.survey_accounting(), reports.survey_rows(_PAGE, number * _PAGE, outcome)

        accounting, found = await visit.deps.reports(read)
        return await visit.page(
            "surveys.html",
            accounting=accounting,
            found=found,
            page=number,
            outcome=outcome.value if outcome else "",
            outcomes=[each.value for each in SurveyOutcome],
            query=f"outcome={outcome}&" if outcome else "",
        )
