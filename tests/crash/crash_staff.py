"""A member of staff at the console, over HTTP: signs in, takes a case, replies and closes it."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from http.cookies import SimpleCookie
from pathlib import Path

import httpx
from argon2 import PasswordHasher
from crash_shop import now
from driver import Caller
from sqlmodel import Session

from desk.values import Role
from storage.sqlite_engine import make_engine, writing
from storage.unit_of_work import SqlUnitOfWork

LOGIN, NAME = "li", "小李"
_PASSWORD = uuid.uuid4().hex
_CSRF = re.compile(r'name="csrf" value="([^"]+)"')


def hire(database: Path, telegram_id: int | None = None) -> None:
    """Adds the member to the database of a server that is stopped.

    Args:
        telegram_id: Whom in Telegram they act as, too.
    """
    password_hash = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(_PASSWORD)
    engine = make_engine(database, "write")
    try:
        with writing(engine) as connection:
            with Session(connection, join_transaction_mode="create_savepoint") as session:
                unit = SqlUnitOfWork(session, "test")
                member = unit.staff.add(LOGIN, NAME, Role.LEAD, password_hash, now())
                if telegram_id is not None:
                    unit.staff_accounts.add_code(member.id, "a code", now() + timedelta(minutes=1), now())
                    unit.staff_accounts.use_code("a code", "telegram", str(telegram_id), now())
                session.commit()
            connection.commit()
    finally:
        engine.dispose()


class StaffMember(Caller):
    """Somebody who works at the console; a form whose answer is lost is sent again as it was."""

    def __init__(self, url: str) -> None:
        super().__init__(url, 240)
        # Kept by hand: the cookies are for HTTPS, which loopback needs not and httpx insists on.
        self._cookies: dict[str, str] = {}
        self._csrf = ""

    async def sign_in(self) -> None:
        """Fills in the login form."""
        await self._get("/console/login")
        await self._post("/console/login", login=LOGIN, password=_PASSWORD)
        await self._get("/console/account")

    async def take(self, number: str) -> None:
        """接单: takes the case."""
        await self._post(f"/console/cases/{number}/take")

    async def reply(self, number: str, text: str) -> None:
        """Sends a reply, and the same form once more, as somebody does who clicks twice."""
        client_msg_id = uuid.uuid4().hex
        for _ in range(2):
            await self._post(f"/console/cases/{number}/reply", text=text, client_msg_id=client_msg_id)

    async def close(self, number: str) -> None:
        """结案: closes the case."""
        await self._post(f"/console/cases/{number}/close", reason="已解决")

    async def _get(self, path: str) -> None:
        answer = await self.until(lambda: self._request("GET", path), {200})
        self._keep(answer)
        if found := _CSRF.search(answer.text):
            self._csrf = found[1]

    async def _post(self, path: str, **form: str) -> None:
        form["csrf"] = self._csrf
        self._keep(await self.until(lambda: self._request("POST", path, form), {303}))

    def _request(self, method: str, path: str, form: dict[str, str] | None = None) -> httpx.Request:
        cookie = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        return self.http.build_request(method, path, data=form, headers={"Cookie": cookie})

    def _keep(self, answer: httpx.Response) -> None:
        for header in answer.headers.get_list("set-cookie"):
            for name, morsel in SimpleCookie(header).items():
                self._cookies[name] = morsel.value
