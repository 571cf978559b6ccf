"""What Telegram can do, for those who decide before Telegram itself is loaded."""

from __future__ import annotations

from typing import Final

from desk.values import ChannelCapabilities

CHANNEL: Final = "telegram"
CAPABILITIES: Final = ChannelCapabilities(buttons=True, media=True, edits=True)
