"""What a test looks at: messages as people see them, and the calls a bot made."""

from __future__ import annotations

from dataclasses import dataclass, field

from telegram_api import media
from telegram_api.world import Chat, Json, Stored


@dataclass
class Seen:
    """A message as it is shown now. ``text`` is the text or the caption, ``body`` all of its JSON."""

    message_id: int
    text: str
    by_bot: bool
    sender: int
    entities: list[Json] = field(default_factory=list)
    buttons: list[list[Json]] = field(default_factory=list)
    media: str = ""
    file_id: str = ""
    reply_to: int | None = None
    topic: int | None = None
    edited: bool = False
    service: bool = False
    reactions: dict[str, list[str]] = field(default_factory=dict)
    body: Json = field(default_factory=dict)

    @property
    def labels(self) -> list[str]:
        """What is written on the buttons."""
        return [button["text"] for row in self.buttons for button in row]

    def button(self, label: str) -> Json:
        """The button with that label (or part of one)."""
        for row in self.buttons:
            for button in row:
                if label in button["text"]:
                    return button
        raise LookupError(f"no button {label!r} among {self.labels}")


def show(stored: Stored) -> Seen:
    """The message as people see it."""
    body = stored.body
    file = media.file_of(body)
    return Seen(
        message_id=stored.id,
        text=body.get("text", body.get("caption", "")),
        by_bot=stored.by_bot,
        sender=body["from"]["id"],
        entities=body.get("entities", body.get("caption_entities", [])),
        buttons=body.get("reply_markup", {}).get("inline_keyboard", []),
        media=file[0] if file else next((kind for kind in ("location", "contact") if kind in body), ""),
        file_id=file[1] if file else "",
        reply_to=body.get("reply_to_message", {}).get("message_id"),
        topic=stored.topic,
        edited="edit_date" in body,
        service=stored.service,
        reactions={str(who): list(emoji) for who, emoji in stored.reactions.items() if emoji},
        body=dict(body),
    )


def show_all(chat: Chat, by_bot: bool | None = None) -> list[Seen]:
    """All messages that are there, oldest first, without the small print (service messages)."""
    return [
        show(stored)
        for _, stored in sorted(chat.messages.items())
        if not stored.deleted and not stored.service and by_bot in (None, stored.by_bot)
    ]


@dataclass
class Call:
    """One call of a method. ``at`` counts seconds without dates, ``wall`` since 1970, by the server's clock."""

    number: int
    method: str
    params: Json
    chat: int | None
    at: float
    wall: float
    early: bool = False
    """Whether it came before a ``retry_after`` was over."""
    status: int = 0
    """The HTTP status; 0 while it waits or where no answer was given."""
    description: str = ""
    retry_after: int = 0
    executed: bool = False
    fault: str = ""
    message_id: int | None = None
    """The message that it made or changed."""
    ended: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether it was done and answered."""
        return self.status == 200 and not self.description
