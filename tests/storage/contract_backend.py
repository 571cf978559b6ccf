"""A database as the storage contract sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Engine, make_url, text
from sqlmodel import Session

from storage.unit_of_work import SqlUnitOfWork

T = TypeVar("T")


class Backend:
    """One database with all tables, empty at first.

    Attributes:
        engine: For a look at the rows themselves.
        bells: What the unit of work that committed last wants rung.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.bells: set[str] = set()

    @property
    def is_postgresql(self) -> bool:
        return self.engine.dialect.name == "postgresql"

    def run(self, work: Callable[[SqlUnitOfWork], T], owner: str = "worker-1") -> T:
        """Runs ``work`` in one transaction of its own; an exception rolls it back."""
        with Session(self.engine, expire_on_commit=False) as session:
            result = work(SqlUnitOfWork(session, owner))
            session.commit()
            self.bells = set(session.info.get("after_commit_bells", ()))
        return result

    def run_together(self, works: Sequence[Callable[[SqlUnitOfWork], T]]) -> list[T]:
        """Runs each in a transaction and thread of its own, all at the same time."""
        with ThreadPoolExecutor(len(works)) as pool:
            futures = [
                pool.submit(self.run, work, f"worker-{number}") for number, work in enumerate(works, start=1)
            ]
            return [future.result(timeout=30) for future in futures]

    def count(self, table: str, where: str = "TRUE") -> int:
        """Counts rows. Both arguments are written in the tests themselves."""
        with self.engine.connect() as connection:
            return int(connection.execute(text(f"SELECT count(*) FROM {table} WHERE {where}")).scalar_one())


def in_schema(url: str, schema: str) -> str:
    """The address of the same PostgreSQL database with another schema in front."""
    address = make_url(url).update_query_dict({"options": f"-c search_path={schema}"})
    return address.render_as_string(hide_password=False)
