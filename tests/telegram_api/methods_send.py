"""Methods that put messages into chats."""

from __future__ import annotations

import secrets
from typing import Any

from telegram_api import media
from telegram_api.errors import bad
from telegram_api.forms import Params
from telegram_api.keyboards import read_markup
from telegram_api.texts import is_blank, read_text
from telegram_api.world import Chat, Json, Stored, World, without_reply

LONGEST_TEXT = 4096
LONGEST_CAPTION = 1024
_CONTENT = (
    "text", "entities", "caption", "caption_entities", "location", "contact", "venue", "poll", "dice",
    *media.KINDS,
)  # fmt: skip


def _place(world: World, params: Params) -> tuple[Chat, int | None, Json]:
    """Where a message goes: chat, topic, and what it answers."""
    chat = world.chat_to_write(params.get("chat_id"))
    topic = world.topic_to_write(chat, params.get("message_thread_id"))
    wish = params.get("reply_parameters")
    if wish is None and "reply_to_message_id" in params:
        wish = {"message_id": params["reply_to_message_id"]}
        wish["allow_sending_without_reply"] = params.flag("allow_sending_without_reply")
    if wish is None:
        return chat, topic, {}
    if not isinstance(wish, dict):
        raise bad("can't parse reply parameters JSON object")
    answered = chat.messages.get(wish.get("message_id", 0))
    if answered is None or answered.deleted:
        if wish.get("allow_sending_without_reply"):
            return chat, topic, {}
        raise bad("message to be replied not found")
    if topic is None and answered.topic is not None:
        topic = world.topic_to_write(chat, answered.topic)
    return chat, topic, {"reply_to_message": without_reply(answered.body)}


def _send(world: World, params: Params, content: Json) -> Stored:
    """Checks the place and the buttons, spends from the limits, and stores."""
    chat, topic, reply = _place(world, params)
    markup = read_markup(params.get("reply_markup"))
    world.limits.spend(chat.id)
    if markup and "inline_keyboard" in markup:
        content = {**content, "reply_markup": markup}
    elif markup:
        chat.reply_keyboard = None if markup.get("remove_keyboard") else markup
    return world.store(chat, world.bot, {**reply, **content}, topic)


def _text_content(params: Params) -> Json:
    text, entities = read_text(params, "text", "entities", LONGEST_TEXT)
    if is_blank(text):
        raise bad("message text is empty")
    return {"text": text, **({"entities": entities} if entities else {})}


def caption_content(params: Params) -> Json:
    """The caption, if there is one."""
    text, entities = read_text(params, "caption", "caption_entities", LONGEST_CAPTION)
    return {"caption": text, **({"caption_entities": entities} if entities else {})} if text else {}


def send_message(world: World, params: Params) -> Json:
    """sendMessage."""
    world.chat_to_write(params.get("chat_id"))
    return _send(world, params, _text_content(params)).body


def _send_file(kind: str) -> Any:
    def send(world: World, params: Params) -> Json:
        world.chat_to_write(params.get("chat_id"))
        file = media.given_file(world, params, kind, params.get(kind))
        caption = {} if kind in {"sticker", "video_note"} else caption_content(params)
        return _send(world, params, {kind: media.describe(kind, file), **caption}).body

    return send


def _number(params: Params, name: str) -> float:
    try:
        return float(params.get(name, ""))
    except ValueError:
        raise bad(f"{name} is empty") from None


def send_location(world: World, params: Params) -> Json:
    """sendLocation."""
    place = {"latitude": _number(params, "latitude"), "longitude": _number(params, "longitude")}
    return _send(world, params, {"location": place}).body


def send_contact(world: World, params: Params) -> Json:
    """sendContact."""
    names = ("phone_number", "first_name", "last_name")
    return _send(
        world, params, {"contact": {name: params.text(name) for name in names if name in params}}
    ).body


def send_media_group(world: World, params: Params) -> list[Json]:
    """sendMediaGroup; every part counts for the limits."""
    chat, topic, reply = _place(world, params)
    parts = params.get("media")
    if not isinstance(parts, list) or not 1 <= len(parts) <= 10:
        raise bad(
            "too much messages to send as an album"
            if isinstance(parts, list) and parts
            else "media must be non-empty"
        )
    contents = []
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in {"photo", "video", "document", "audio"}:
            raise bad("can't use the media of the specified type in the album")
        file = media.given_file(world, params, kind, part.get("media"))
        its = Params({"parse_mode": params.get("parse_mode", ""), **part})
        contents.append({kind: media.describe(kind, file), **caption_content(its)})
    world.limits.spend(chat.id, len(contents))
    group = str(secrets.randbits(53))
    return [
        world.store(chat, world.bot, {**reply, "media_group_id": group, **each}, topic).body
        for each in contents
    ]


def copy_message(world: World, params: Params) -> Json:
    """copyMessage: the same content from the bot; only its new number comes back."""
    source = world.chat_to_read(params.get("from_chat_id"))
    original = world.message(source, params.get("message_id"), "message to copy not found")
    content = {key: original.body[key] for key in _CONTENT if key in original.body}
    if original.service or not content:
        raise bad("message can't be copied")
    if "caption" in params and "text" not in content:
        content = {key: value for key, value in content.items() if not key.startswith("caption")}
        content |= caption_content(params)
    return {"message_id": _send(world, params, content).id}


def forward_message(world: World, params: Params) -> Json:
    """forwardMessage."""
    source = world.chat_to_read(params.get("from_chat_id"))
    original = world.message(source, params.get("message_id"), "message to forward not found")
    content = {key: original.body[key] for key in _CONTENT if key in original.body}
    if original.service or not content:
        raise bad("message can't be forwarded")
    origin = {"type": "user", "sender_user": original.body["from"], "date": original.body["date"]}
    return _send(world, params, {"forward_origin": origin, **content}).body


def send_chat_action(world: World, params: Params) -> bool:
    """sendChatAction: no message, and no limit."""
    chat = world.chat_to_write(params.get("chat_id"))
    world.topic_to_write(chat, params.get("message_thread_id"))
    if not params.text("action"):
        raise bad("wrong parameter action in request")
    return True


METHODS: dict[str, Any] = {
    "sendMessage": send_message,
    "sendLocation": send_location,
    "sendContact": send_contact,
    "sendMediaGroup": send_media_group,
    "copyMessage": copy_message,
    "forwardMessage": forward_message,
    "sendChatAction": send_chat_action,
    **{f"send{''.join(part.title() for part in kind.split('_'))}": _send_file(kind) for kind in media.KINDS},
}
