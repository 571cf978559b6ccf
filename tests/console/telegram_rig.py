"""The console over a shop whose customers write on Telegram."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from console_rig import API_KEY, CHEAP, SECRETS
from fastapi import FastAPI
from shop import Shop

from console.deps import ConsoleDeps
from console.routes import console_router, install_error_handlers
from desk.service_desk import Incoming
from desk.values import Attachment, ChannelUser, Message

XIAOMING = ChannelUser("telegram", "5", "小明")


def console_over(shop: Shop, **given: Any) -> FastAPI:
    """The console of that shop, with what a running Telegram gives it."""
    installation = shop.installation
    deps = ConsoleDeps(
        **{
            "transactions": installation.database,
            "reports": installation.read_reports,
            "service_desk": shop.desk,
            "staff_desk": shop.staff_desk,
            "wakeups": installation.wakeups,
            "clock": shop.clock,
            "public_url": "https://127.0.0.1:8080",
            "allow_http": False,
            "shop_secrets": SECRETS,
            "api_key": API_KEY,
            "shop_name": "测试小店",
            "passwords": CHEAP,
            "telegram_state": lambda: "ok",
            "telegram_bot": lambda: "huiyin_test_bot",
            **given,
        }
    )
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(console_router(deps))
    install_error_handlers(app)
    return app


class TelegramCustomer:
    """小明, who writes on Telegram."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._count = 0

    async def says(
        self, text: str, attachments: Sequence[Attachment] = (), edits: int | None = None, revision: int = 0
    ) -> int:
        """Sends a line (or new words for line ``edits``) and returns its number."""
        if edits is None:
            self._count += 1
        number = self._count if edits is None else edits
        at: datetime = self._shop.clock()
        incoming = Incoming(
            XIAOMING, f"5:{number}", text, at, revision=revision, attachments=tuple(attachments)
        )
        await self._shop.desk.take_message(incoming, lambda unit: None)
        return number

    async def lines(self) -> Sequence[Message]:
        """Everything in the talk."""

        def read(unit: Any) -> Sequence[Message]:
            identity = unit.identities.find("telegram", "5")
            conversation = unit.conversations.find_of_identity(identity.id)
            found: Sequence[Message] = unit.conversations.find_latest(conversation.id, 100)
            return found

        return await self._shop.run(read)

    async def case(self) -> str:
        """Asks for a person; the number of the case."""
        await self.says("转人工")
        page = await self._shop.reports(lambda reports: reports.cases("open", None, 10))
        number: str = page.rows[0].number
        return number
