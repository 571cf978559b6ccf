"""The web chat as a channel: its customers read from our own database."""

from __future__ import annotations

from collections.abc import Sequence

from desk.errors import SendRefusedError
from desk.ports import Pace, SendReceipt
from desk.values import ChannelCapabilities, Outgoing


class WebChatSender:
    """Sending to the web chat is giving the line its ``seq`` inside the sender's transaction."""

    channel = "webchat"
    capabilities = ChannelCapabilities(stores_in_database=True, confirms_seen=True, idempotency_key=True)

    pace: Pace | None = None

    async def send(self, outgoing: Outgoing, followers: Sequence[Outgoing] = ()) -> SendReceipt:
        """Never called: see ``ChannelCapabilities.stores_in_database``."""
        raise SendRefusedError("the web chat has no network to send over")
