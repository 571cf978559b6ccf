"""Watches a Rasa server that somebody else runs (``NLU_URL``)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

import structlog

from bot.nlu_server.optional_rasa import OptionalRasa

_log = structlog.get_logger(__name__)

_LOOK_SECONDS = 10.0


class RemoteRasa:
    """Asks how it is now and then; the client itself copes with whatever it does in between.

    Args:
        rasa: Is pointed at the server at once.
        url: Where it listens.
        token: What it asks for.
        intents: What it may answer.
        look_seconds: Between two looks.
    """

    def __init__(
        self,
        rasa: OptionalRasa,
        url: str,
        token: str | None,
        intents: Collection[str],
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        self._rasa = rasa
        self._look_seconds = look_seconds
        self._looked = False
        rasa.point_at(url, token, intents)
        rasa.up = False

    def state(self) -> str:
        """``ok``, ``starting`` or ``degraded: …``, for ``/readyz``."""
        if self._rasa.up:
            return "ok"
        return "degraded: the server of NLU_URL does not answer" if self._looked else "starting"

    async def run(self, is_stopping: Callable[[], bool]) -> None:
        """Looks until it is told to stop."""
        while not is_stopping():
            well = await self._rasa.is_well()
            if well != self._rasa.up or not self._looked:
                if well:
                    _log.info("rasa_reached")
                else:
                    _log.warning("rasa_not_reached")
            self._rasa.up, self._looked = well, True
            await asyncio.sleep(self._look_seconds)
