"""The database as reading commands see it: open read-only, beside a running ``serve``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from desk.errors import DeskError, NotFoundError

if TYPE_CHECKING:
    from bot.settings import Settings
    from desk.ports import UnitOfWork
    from storage.reports import Reports


class NotReadyError(DeskError):
    """There is no database yet, or it has to be brought up to date first."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One read-only transaction, through the stores and through the reports."""

    unit: UnitOfWork
    reports: Reports


@contextmanager
def snapshot(settings: Settings) -> Iterator[Snapshot]:
    """Yields the database as it is now; later changes do not show.

    Raises:
        NotReadyError: There is nothing to read yet, or migrations are pending.
    """
    from sqlmodel import Session

    from storage import migrate
    from storage.connect import open_readonly
    from storage.reports import Reports
    from storage.unit_of_work import SqlUnitOfWork

    if migrate.pending(settings.database_url):
        if migrate.current(settings.database_url) is None:
            raise NotReadyError(
                "还没有数据，请先执行 huiyin serve（或 huiyin migrate）。"
                " There are no data yet; run huiyin serve (or huiyin migrate) first."
            )
        raise NotReadyError(
            "数据库需要升级，请执行 huiyin migrate 或重启服务。"
            " The database has to be brought up to date; run huiyin migrate or restart the service."
        )
    try:
        engine = open_readonly(settings.database_url)
    except NotFoundError as error:
        raise NotReadyError(str(error)) from error
    try:
        with Session(engine) as session:
            yield Snapshot(SqlUnitOfWork(session, "reader"), Reports(session))
    finally:
        engine.dispose()
