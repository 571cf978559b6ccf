"""What the owner of the shop looks at: questions without an answer, and who did what."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlmodel import Session

from storage.reports.paging import page
from storage.reports.values import AuditLine, MissLine, Page
from storage.tables.care import FAQ_MISSES
from storage.tables.staff import AUDIT, STAFF


def faq_misses(session: Session, limit: int, offset: int) -> Page[MissLine]:
    """Returns questions without an answer, the most frequent first."""
    count = func.count()
    last_at = func.max(FAQ_MISSES.c.created_at)
    query = (
        select(
            FAQ_MISSES.c.text,
            count.label("times"),
            last_at.label("last_at"),
            func.max(FAQ_MISSES.c.conversation_id).label("conversation_id"),
        )
        .group_by(FAQ_MISSES.c.text)
        .order_by(count.desc(), last_at.desc(), FAQ_MISSES.c.text)
    )
    return page(
        session,
        query,
        limit,
        offset,
        lambda row: MissLine(row.text, row.times, row.last_at, row.conversation_id),
    )


def audit(session: Session, limit: int, offset: int) -> Page[AuditLine]:
    """Returns the audit, newest first."""
    query = (
        select(*AUDIT.c, STAFF.c.name)
        .outerjoin(STAFF, STAFF.c.id == AUDIT.c.staff_id)
        .order_by(AUDIT.c.id.desc())
    )
    return page(
        session,
        query,
        limit,
        offset,
        lambda row: AuditLine(row.id, row.at, row.staff_id, row.name, row.action, row.subject, row.detail),
    )
