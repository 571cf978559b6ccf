"""Signing in and out, one's own password, the language."""

from __future__ import annotations

from starlette.responses import Response

from console.pages.visit import HOME, ConsoleRoom, Visit, own_path
from console.passwords import check_new_password
from console.permissions import Permission
from console.security.throttle import LoginAttempt
from console.sessions import client_network, new_token, token_hash
from console.texts import LANGUAGES
from desk.errors import InvalidInputError, NotAllowedError, TooFastError
from desk.ports import UnitOfWork
from desk.texts import storable
from desk.values import LinkCode, StaffMember

_A_YEAR = 365 * 24 * 3600


def add_login_pages(room: ConsoleRoom) -> None:
    """Declares the routes."""

    @room.get("/console", Permission.SIGNED_IN)
    async def home(visit: Visit) -> Response:
        return visit.go(HOME)

    @room.get("/console/login", Permission.ANYONE)
    async def login_form(visit: Visit) -> Response:
        if visit.session is not None:
            return visit.go(visit.back())
        return await visit.page("login.html", fault="", login="", next=visit.back())

    @room.post("/console/login", Permission.ANYONE)
    async def sign_in(visit: Visit) -> Response:
        login = storable(visit.form.get("login", "")).strip()
        password = visit.form.get("password", "")
        target = own_path(visit.form.get("next", ""))
        # Cut, not refused: a refusal would answer sooner than a wrong password does.
        login, password = login[:100], password[:1000]
        network = client_network(visit.request)
        try:
            async with visit.throttle.guarded(network, login, visit.now) as attempt:
                found = await visit.deps.transactions.read(lambda unit: unit.staff.find_by_login(login))
                fits = await visit.deps.passwords.matches(found[1] if found else None, password)
                if found is None or not fits or found[0].disabled:
                    await attempt.failed(found[0].id if found else None)
                    fault = visit.words("login.wrong")
                    return await visit.page("login.html", 401, fault=fault, login=login, next=target)
                token = await _open_session(visit, *found, attempt)
        except TooFastError as error:
            fault = visit.words("login.too_often")
            answer = await visit.page("login.html", 429, fault=fault, login=login, next=target)
            answer.headers["Retry-After"] = str(int(error.retry_after.total_seconds()))
            return answer
        response = visit.go(target)
        visit.cookies.put(response, visit.cookies.session, token)
        visit.cookies.drop(response, visit.cookies.form)
        return response

    @room.post("/console/logout", Permission.SIGNED_IN)
    async def sign_out(visit: Visit) -> Response:
        session = visit.session
        if session is not None:

            def end(unit: UnitOfWork) -> None:
                unit.staff.end_session(session.token_hash)
                unit.staff.audit(session.staff.id, "logout", f"staff:{session.staff.id}", "", visit.now)

            await visit.deps.transactions.write(end)
        response = visit.go("/console/login", "signed_out")
        visit.cookies.drop(response, visit.cookies.session)
        return response

    @room.post("/console/language", Permission.ANYONE)
    async def language(visit: Visit) -> Response:
        wanted = visit.form.get("language", "")
        response = visit.go(visit.back("/console/login"))
        if wanted in LANGUAGES:
            visit.cookies.put(response, visit.cookies.language, wanted, _A_YEAR)
        return response

    @room.get("/console/alive", Permission.SIGNED_IN)
    async def alive(visit: Visit) -> Response:
        """What a page calls while somebody types, so that a long answer does not outlast the session."""
        return visit.json({"alive": True})

    @room.get("/console/account", Permission.SIGNED_IN)
    async def account(visit: Visit) -> Response:
        return await account_page(visit)

    @room.post("/console/account/password", Permission.SIGNED_IN)
    async def change_password(visit: Visit) -> Response:
        try:
            password_hash = await _change_own_password(visit)
        except InvalidInputError as error:
            return await account_page(visit, 422, fault=visit.words(error.reason))
        # All sessions ended with the old password, this one too; a fresh one replaces it.
        token = await _open_session(visit, visit.staff, password_hash, None)
        response = visit.go("/console/account", "password_changed")
        visit.cookies.put(response, visit.cookies.session, token)
        return response


async def account_page(
    visit: Visit, status: int = 200, *, fault: str = "", code: LinkCode | None = None
) -> Response:
    """One's own account; ``code`` links a Telegram account and is shown this once."""
    staff_id = visit.staff.id

    def read(unit: UnitOfWork) -> bool:
        return any(member.id == staff_id for member in unit.staff_accounts.find_linked("telegram"))

    return await visit.page(
        "account.html",
        status,
        fault=fault,
        code=code,
        linked=await visit.deps.transactions.read(read),
        telegram_on=visit.deps.telegram_state() != "off",
        bot_name=visit.deps.telegram_bot(),
    )


async def _change_own_password(visit: Visit) -> str:
    staff, new = visit.staff, visit.form.get("new", "")
    network = client_network(visit.request)
    # A stolen session must not become a way to guess the password, so this counts as a login.
    async with visit.throttle.guarded(network, staff.login, visit.now) as attempt:
        found = await visit.deps.transactions.read(lambda unit: unit.staff.find_by_login(staff.login))
        if not await visit.deps.passwords.matches(
            found[1] if found else None, visit.form.get("old", "")[:1000]
        ):
            await attempt.failed(staff.id)
            raise InvalidInputError("old", "password.old_wrong")
    if new != visit.form.get("again", ""):
        raise InvalidInputError("again", "password.differ")
    check_new_password(new, staff.login)
    password_hash = await visit.deps.passwords.hash(new)
    await visit.deps.staff_desk.change_staff(staff.id, staff, password_hash=password_hash)
    return password_hash


async def _open_session(
    visit: Visit, staff: StaffMember, checked_hash: str, attempt: LoginAttempt | None
) -> str:
    """A fresh session in place of whatever the browser came with; returns its token.

    Raises:
        NotAllowedError: The password changed or the account was disabled since the check.
    """
    token, csrf = new_token(), new_token()
    before = visit.request.cookies.get(visit.cookies.session, "")

    def work(unit: UnitOfWork) -> None:
        found = unit.staff.find_by_login(staff.login)
        if found is None or found[0].disabled or found[1] != checked_hash:
            raise NotAllowedError("the account changed during login")
        if before:
            unit.staff.end_session(token_hash(before))
        if attempt is not None:
            attempt.clear(unit)
        unit.staff.open_session(staff.id, token_hash(token), csrf, visit.now)
        action = "login" if attempt is not None else "session.renewed"
        unit.staff.audit(staff.id, action, f"staff:{staff.id}", "", visit.now)

    await visit.deps.transactions.write(work)
    return token
