"""The customer of a story, in Telegram: the same vocabulary as ``shop.Customer`` in the web chat.

The rig plays Telegram's part of the webhook: raw updates go in by HTTP with the secret header, and what the
bot says comes out at the stand-in Bot API server.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
from telegram_api import TelegramApi
from telegram_api.seen import Seen

from bot.telegram.keyboards import with_hint
from desk import wording
from desk.values import Author, Message, Prompt

if TYPE_CHECKING:
    from shop import Shop

TOKEN = "7000000001:AAstandin-token-of-the-stories-5gQ"
SECRET = "secret-of-the-webhook-in-tests-7Kd2"
GREETED_BY = wording.GREETING.partition("{")[0]


class FreePace:
    """A pace without limits: stories turn the clock by days."""

    def room(self, rank: object = None) -> int:
        return 100

    def held(self) -> Collection[str]:
        return ()

    def begin(self, recipient: str) -> None:
        pass

    def end(self, recipient: str) -> None:
        pass

    def hold(self, recipient: str | None, wait: timedelta) -> None:
        pass

    def recall(self, recipient: str, ago: timedelta) -> None:
        pass

    def next_change(self) -> timedelta:
        return timedelta(0)


def telegram_settings(api: TelegramApi) -> dict[str, str]:
    """Settings that connect an installation with the stand-in."""
    return {
        "TELEGRAM_TOKEN": api.token,
        "TELEGRAM_API": api.url,
        "TELEGRAM_MODE": "webhook",
        "TELEGRAM_SECRET": SECRET,
    }


class WebhookRig:
    """Brings what waits at the stand-in to the installation, each update once and in order."""

    def __init__(self, api: TelegramApi, http: httpx.AsyncClient) -> None:
        self.api = api
        self._http = http
        self._brought = 0

    async def bring(self) -> bool:
        """Brings everything that is new; says whether there was anything."""
        fresh = [
            update for number, update in sorted(self.api.updates.history.items()) if number > self._brought
        ]
        for update in fresh:
            headers = {"X-Telegram-Bot-Api-Secret-Token": SECRET, "Content-Type": "application/json"}
            answer = await self._http.post("/telegram/webhook", content=update.raw, headers=headers)
            assert answer.status_code == 200, answer.text
            self._brought = update.id
        return bool(fresh)


class TelegramCustomer:
    """A person in the private chat with the bot."""

    channel = "telegram"

    def __init__(self, shop: Shop, rig: WebhookRig, name: str) -> None:
        self._shop = shop
        self._rig = rig
        self.external_id = str(1000 + zlib.crc32(name.encode()) % 10**9)
        self.user = rig.api.user(int(self.external_id), name)

    async def open(self, order_token: str | None = None) -> None:
        """Presses Start behind the order's link; without a link nobody hears of the customer yet."""
        if order_token is not None:
            self.user.starts(order_token)
            await self._shop.settle()

    async def writes(self, text: str) -> None:
        """Writes, and nothing else happens yet."""
        self.user.says(text)
        await self._rig.bring()

    async def says(self, text: str) -> list[str]:
        """Writes, lets everything happen, and returns the lines that came in answer."""
        before = len(await self.lines())
        self.user.says(text)
        return await self._answers(before)

    async def presses(self, label: str) -> list[str]:
        """Presses the newest button with this label."""
        before = len(await self.lines())
        for seen in reversed(self.user.sees(by_bot=True)):
            for shown in seen.labels:
                if shown == label or shown.partition(" ")[2] == label:
                    self.user.taps(seen.message_id, shown)
                    return await self._answers(before)
        raise AssertionError(f"no button {label}")

    async def looks(self) -> None:
        """Telegram does not tell what people have seen."""

    async def _answers(self, before: int) -> list[str]:
        await self._shop.settle()
        return [line["text"] for line in (await self.lines())[before:] if line["author"] != "customer"]

    async def lines(self) -> list[dict[str, Any]]:
        """The talk in order of ``seq``, each line of ours as it is shown at the stand-in.

        The start and its greeting are left out: on the web the page greets, outside of the talk.
        """
        from bot.webchat.stream import line_as_json

        messages = await self._shop.run(self._read)
        shown = iter(self.user.sees(by_bot=True))
        lines = []
        for message in messages:
            if message.author is not Author.CUSTOMER and message.edits_message_id is None:
                _must_show(next(shown, None), message)
            if not message.text.startswith((GREETED_BY, "/start")):
                lines.append(json.loads(json.dumps(line_as_json(message))))
        assert next(shown, None) is None, "the customer sees a line that the desk does not know"
        return lines

    async def texts(self) -> list[str]:
        return [line["text"] for line in await self.lines()]

    def _read(self, unit: Any) -> list[Message]:
        identity = unit.identities.find("telegram", self.external_id)
        if identity is None:
            return []
        conversation = unit.conversations.find_of_identity(identity.id)
        return list(unit.conversations.find_after(conversation.id, 0, 1000))

    async def identity_id(self) -> int:
        """The customer's identity at the desk."""
        identity = await self._shop.run(lambda unit: unit.identities.find("telegram", self.external_id))
        assert identity is not None
        return identity.id


def _must_show(seen: Seen | None, message: Message) -> None:
    assert seen is not None, f"Telegram never got {message.text!r}"
    prompt: Prompt | None = message.prompt
    assert seen.text == with_hint(message.text, prompt)
    wanted = [option.button_id for option in prompt.options] if prompt is not None else []
    assert [button["callback_data"] for row in seen.buttons for button in row] == wanted
