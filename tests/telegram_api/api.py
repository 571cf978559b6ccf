"""The stand-in Bot API server and everything a test can do with it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import random
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from telegram_api import control, methods_about, methods_change, methods_send
from telegram_api.clock import Clock
from telegram_api.dispatch import Dispatch
from telegram_api.faults import Fault, Faults
from telegram_api.groups import Group
from telegram_api.http_door import Answer, Door, Request
from telegram_api.limits import Limits
from telegram_api.locks import locked
from telegram_api.people import User
from telegram_api.polling import Poller
from telegram_api.seen import Call
from telegram_api.updates import DAY, UpdateQueue
from telegram_api.webhook import Delivery, WebhookSender
from telegram_api.world import ADMIN_RIGHTS, Chat, Json, World

BOT_ID = 7_000_000_001


class TelegramApi:
    """One bot's Telegram. ``async with TelegramApi() as api`` serves in the running loop; ``in_thread`` and
    ``python -m telegram_api.serve`` serve elsewhere. Acting on it is possible from any thread."""

    def __init__(
        self, token: str = f"{BOT_ID}:AAstandin-token-of-the-tests", username: str = "huiyin_test_bot"
    ) -> None:
        self.lock = threading.RLock()
        self.token = token
        self.clock = Clock()
        self.limits = Limits(self.clock)
        self.faults = Faults()
        self.updates = UpdateQueue(self.clock, self.lock)
        self.poller = Poller(self.updates, self.clock)
        bot = {"id": int(token.partition(":")[0]), "is_bot": True, "first_name": "回音", "username": username}
        self.world = World(self.clock, self.limits, bot)
        self.dispatch = Dispatch(
            self, {**methods_about.METHODS, **methods_send.METHODS, **methods_change.METHODS}
        )
        self.webhook = WebhookSender(self.updates, self.clock, self.dispatch.call_from_webhook)
        self.plain_webhooks = True
        """Whether setWebhook takes http:// too, which Telegram does not."""
        self.next_set_webhook = 0.0
        self.door = Door(self._handle, self._takes_reset)
        self.url = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self.updates.when_changed(lambda: self._in_loop(self._wake))
        self.clock.when_turned(lambda: self._in_loop(self._wake))

    # Serving.

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Serves in the running loop."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        await self.door.start(host, port)
        self.url = f"http://{host}:{self.door.port}"

    async def stop(self) -> None:
        """Stops serving.

        Raises:
            AssertionError: If the stand-in itself was at fault somewhere.
        """
        await self.webhook.stop()
        await self.door.stop()
        self._loop = None
        errors = self.door.errors + self.webhook.errors
        if errors:
            raise AssertionError("the stand-in is broken:\n" + "\n".join(errors))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @contextmanager
    def in_thread(self) -> Iterator[Self]:
        """Serves in a thread of its own."""
        started, end = threading.Event(), asyncio.Event()
        outcome: concurrent.futures.Future[None] = concurrent.futures.Future()

        async def serve() -> None:
            await self.start()
            started.set()
            await end.wait()
            await self.stop()

        def run() -> None:
            try:
                asyncio.run(serve())
                outcome.set_result(None)
            except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
                outcome.set_exception(error)
                started.set()

        thread = threading.Thread(target=run, name="telegram-api")
        thread.start()
        started.wait()
        try:
            yield self
        finally:
            self._in_loop(end.set)
            thread.join()
            outcome.result()

    def _in_loop(self, work: Callable[[], None]) -> None:
        if self._loop is None or self._loop.is_closed():
            return
        if threading.get_ident() == self._thread:
            work()
        else:
            self._loop.call_soon_threadsafe(work)

    def _and_wait(self, work: Callable[[], None]) -> None:
        done = threading.Event()

        def run() -> None:
            try:
                work()
            finally:
                done.set()

        self._in_loop(run)
        if self._loop is not None:
            done.wait(5)

    def _wake(self) -> None:
        self.poller.wake()
        self.webhook.wake()

    def _handle(self, request: Request) -> Answer | Any:
        if request.path == control.PATH:
            return control.handle(self, request)
        return self.dispatch.handle(request)

    def _takes_reset(self) -> bool:
        if self.faults.resets <= 0:
            return False
        self.faults.resets -= 1
        return True

    # People and groups.

    @locked
    def user(self, user_id: int, first_name: str = "", **info: Any) -> User:
        """A person, known from now on; they have not pressed Start yet."""
        user = self.world.users.get(user_id)
        if user is None:
            names = {"first_name": first_name or f"客户{user_id}", **info}
            user = self.world.users[user_id] = {
                "id": user_id,
                "is_bot": False,
                "language_code": "zh-hans",
                **names,
            }
            shown = {key: user[key] for key in ("first_name", "last_name", "username") if key in user}
            self.world.chats[user_id] = Chat(user_id, "private", shown)
        elif first_name or info:
            changes = {**({"first_name": first_name} if first_name else {}), **info}
            user.update(changes)
            self.world.chats[user_id].info.update(
                {key: value for key, value in changes.items() if "name" in key}
            )
        return User(self, user, self.world.chats[user_id])

    @locked
    def group(
        self, group_id: int, title: str = "客服群", *, forum: bool = False, admin: bool = True, kind: str = ""
    ) -> Group:
        """A group with the bot in it, as administrator with all rights unless told otherwise.

        Numbers that begin with -100 are supergroups; only those can be forums.
        """
        chat = self.world.chats.get(group_id)
        if chat is None:
            kind = kind or ("supergroup" if str(group_id).startswith("-100") else "group")
            info: Json = {"title": title, **({"is_forum": True} if forum else {})}
            chat = self.world.chats[group_id] = Chat(group_id, kind, info)
            if admin:
                chat.bot_status, chat.bot_rights = "administrator", set(ADMIN_RIGHTS)
        return Group(self, chat)

    # Updates.

    def push(self, kind: str, payload: Any, lane: Hashable = "test", life: float = DAY) -> int | None:
        """Any update of any kind."""
        return self.updates.add(kind, payload, lane, life)

    def push_raw(self, raw: bytes | str, lane: Hashable = "test") -> int:
        """Bytes instead of an update, JSON or not; ``@ID`` in them becomes its number."""
        return self.updates.add_raw(raw.encode() if isinstance(raw, str) else raw, lane)

    def deliver_again(self, update_id: int, *, changed: bool = False) -> None:
        """Delivers an update once more, confirmed or not; ``changed``: the same in other bytes."""
        self.updates.deliver_again(update_id, changed)

    def shuffle(self, seed: int | None) -> None:
        """Delivers out of order from now on (None: in order again). A webhook gets everything at once."""
        self.updates.shuffle = None if seed is None else random.Random(seed)
        self.webhook.keep_order = seed is None

    def hold_messages(self, chat_id: int) -> None:
        """Keeps a chat's messages back, so that taps overtake them."""
        self.updates.hold(("chat", chat_id))

    def release_messages(self, chat_id: int) -> None:
        """Delivers them."""
        self.updates.release(("chat", chat_id))

    def hold_taps(self, user_id: int) -> None:
        """Keeps a person's taps back, so that messages overtake them."""
        self.updates.hold(("taps", user_id))

    def release_taps(self, user_id: int) -> None:
        """Delivers them."""
        self.updates.release(("taps", user_id))

    def restart_ids(self, first: int | None = None) -> int:
        """Numbers updates anew from ``first`` or at random; only while none waits."""
        return self.updates.restart_ids(first)

    def pending(self) -> list[int]:
        """The numbers of updates not yet confirmed."""
        with self.lock:
            self.updates.expire()
            return list(self.updates.pending)

    def deliveries(self) -> list[Delivery]:
        """All attempts at the webhook."""
        return list(self.webhook.deliveries)

    # Faults.

    @locked
    def fail(
        self, kind: str, method: str | None = None, *, chat: int | None = None, times: int = 1,
        executed: bool | None = None, **options: Any,
    ) -> Fault:  # fmt: skip
        """Lets the next calls go wrong; see ``faults.KINDS``. ``executed`` says whether they are carried out."""
        return self.faults.order(kind, method, chat, times, executed, **options)

    @locked
    def mend(self) -> None:
        """No more faults."""
        self.faults.clear()

    def reset_connections(self, times: int = 1) -> None:
        """Resets the next connections before anything of the request is read."""
        self.faults.resets += times

    def refuse(self) -> None:
        """Stops listening and drops all connections: connection refused."""
        self._and_wait(self.door.refuse)

    def listen(self) -> None:
        """Listens again."""
        self._and_wait(self.door.listen)

    def drop_connections(self) -> None:
        """Resets all open connections."""
        self._and_wait(self.door.drop_connections)

    def revoke_token(self, token: str) -> None:
        """Gives the bot another token; the old one is refused with 401."""
        self.token = token

    # Looking.

    @locked
    def calls(self, method: str | None = None, chat: int | None = None) -> list[Call]:
        """The calls made so far, of that method, for that chat."""
        return [
            call
            for call in self.dispatch.calls
            if (method is None or call.method.lower() == method.lower())
            and (chat is None or call.chat == chat)
        ]

    @locked
    def early_calls(self) -> list[Call]:
        """Calls that wrote although a ``retry_after`` was not over."""
        return [call for call in self.dispatch.calls if call.early]

    @locked
    def forget_calls(self) -> None:
        """Begins the list of calls anew."""
        self.dispatch.calls.clear()

    async def until(self, condition: Callable[[], Any], seconds: float = 10.0) -> Any:
        """Waits until the condition holds and returns what it returned.

        Raises:
            AssertionError: If that takes too long.
        """
        ends = time.monotonic() + seconds
        while not (found := condition()):
            if time.monotonic() > ends:
                raise AssertionError(f"not within {seconds} s; the last calls: {self.dispatch.calls[-5:]}")
            await asyncio.sleep(0.005)
        return found
