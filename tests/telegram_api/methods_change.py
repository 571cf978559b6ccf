"""Methods that change messages and topics, and answer taps."""

from __future__ import annotations

from typing import Any

from telegram_api.errors import NOT_MODIFIED, QUERY_TOO_OLD, bad
from telegram_api.forms import Params
from telegram_api.keyboards import read_markup
from telegram_api.methods_send import LONGEST_TEXT, caption_content
from telegram_api.texts import is_blank, read_text, units
from telegram_api.updates import TAP_LIFE
from telegram_api.world import Chat, Json, Stored, Topic, World

_COLORS = {7322096, 16766590, 13338331, 9367192, 16749490, 16478047}
_TOPIC_COLOR = 7322096
_REACTIONS = set(
    "👍👎❤🔥🥰👏😁🤔🤯😱🤬😢🎉🤩🤮💩🙏👌🕊🤡🥱🥴😍🐳🌚🌭💯🤣⚡🍌🏆💔🤨😐🍓🍾💋🖕😈😴😭🤓👻👀🎃🙈😇😨🤝✍🤗🫡🎅🎄☃💅🤪🗿🆒💘🙉🦄😘💊🙊😎👾😡"
)
_TWO_DAYS = 48 * 3600


def _own_message(world: World, params: Params) -> tuple[Chat, Stored]:
    chat = world.chat_to_write(params.get("chat_id"))
    stored = world.message(chat, params.get("message_id"), "message to edit not found")
    if not stored.by_bot or stored.service:
        raise bad("message can't be edited")
    return chat, stored


def _edit(world: World, params: Params, content: Json, names: tuple[str, ...]) -> Json:
    chat, stored = _own_message(world, params)
    markup = read_markup(params.get("reply_markup"), inline_only=True)
    if markup and markup["inline_keyboard"]:
        content = {**content, "reply_markup": markup}
    names = (*names, "reply_markup")  # Buttons that are not sent along with an edit are gone.
    if {key: stored.body.get(key) for key in names} == {key: content.get(key) for key in names}:
        raise bad(NOT_MODIFIED)
    world.limits.spend(chat.id)
    kept = {key: value for key, value in stored.body.items() if key not in names}
    stored.body = {**kept, "edit_date": int(world.clock.wall()), **content}
    return stored.body


def edit_message_text(world: World, params: Params) -> Json:
    """editMessageText."""
    _, stored = _own_message(world, params)
    text, entities = read_text(params, "text", "entities", LONGEST_TEXT)
    if is_blank(text):
        raise bad("message text is empty")
    if "text" not in stored.body:
        raise bad("there is no text in the message to edit")
    content = {"text": text, **({"entities": entities} if entities else {})}
    return _edit(world, params, content, ("text", "entities"))


def edit_message_caption(world: World, params: Params) -> Json:
    """editMessageCaption."""
    _, stored = _own_message(world, params)
    if "text" in stored.body:
        raise bad("there is no caption in the message to edit")
    return _edit(world, params, caption_content(params), ("caption", "caption_entities"))


def edit_message_reply_markup(world: World, params: Params) -> Json:
    """editMessageReplyMarkup."""
    return _edit(world, params, {}, ())


def delete_message(world: World, params: Params) -> bool:
    """deleteMessage: its own within 48 hours; others' too in private chats and where it is allowed."""
    chat = world.chat_to_write(params.get("chat_id"))
    stored = world.message(chat, params.get("message_id"), "message to delete not found")
    allowed = stored.by_bot or chat.private or world.may(chat, "can_delete_messages")
    young = world.clock.wall() - stored.body["date"] < _TWO_DAYS or world.may(chat, "can_delete_messages")
    if not allowed or not young or stored.id in chat.topics:
        raise bad("message can't be deleted" if young else "message can't be deleted for everyone")
    stored.deleted = True
    return True


def set_message_reaction(world: World, params: Params) -> bool:
    """setMessageReaction."""
    chat = world.chat_to_write(params.get("chat_id"))
    stored = world.message(chat, params.get("message_id"), "message to react not found")
    wanted = params.get("reaction", [])
    if not isinstance(wanted, list) or len(wanted) > 1:
        raise bad("REACTIONS_TOO_MANY")
    emoji = [one.get("emoji", "") for one in wanted if isinstance(one, dict)]
    if not all(letter.rstrip("\ufe0f") in _REACTIONS for letter in emoji):
        raise bad("REACTION_INVALID")
    stored.reactions[world.bot["id"]] = emoji
    return True


def answer_callback_query(world: World, params: Params) -> bool:
    """answerCallbackQuery, within 150 seconds."""
    query = world.queries.get(params.text("callback_query_id"))
    if query is None or world.clock.wall() > query[1] + TAP_LIFE:
        raise bad(QUERY_TOO_OLD)
    text = params.text("text")
    if units(text) > 200:
        raise bad("MESSAGE_TOO_LONG")
    notice = {
        "text": text,
        "show_alert": params.flag("show_alert"),
        "query": params.text("callback_query_id"),
    }
    world.notices.setdefault(query[0], []).append(notice)
    return True


# Topics.


def _forum(world: World, params: Params, words: str) -> Chat:
    chat = world.chat_to_write(params.get("chat_id"))
    if not chat.forum:
        raise bad("the chat is not a forum")
    if not world.may(chat, "can_manage_topics"):
        raise bad(f"not enough rights to {words}")
    return chat


def _topic(chat: Chat, params: Params) -> Topic:
    topic = chat.topics.get(params.number("message_thread_id"))
    if topic is None or topic.deleted:
        raise bad("message thread not found")
    return topic


def create_forum_topic(world: World, params: Params) -> Json:
    """createForumTopic."""
    chat = _forum(world, params, "create a topic")
    name = params.text("name").strip()
    if not name:
        raise bad("TOPIC_TITLE_EMPTY")
    name = name[:128]
    color = params.get("icon_color", "")
    color = int(color) if str(color).isdecimal() else _TOPIC_COLOR
    if color not in _COLORS:
        raise bad("invalid forum topic icon color specified")
    world.limits.spend(chat.id)
    icon = params.text("icon_custom_emoji_id")
    shown = {"name": name, "icon_color": color, **({"icon_custom_emoji_id": icon} if icon else {})}
    stored = world.store(chat, world.bot, {"forum_topic_created": shown}, service=True)
    stored.body |= {"message_thread_id": stored.id, "is_topic_message": True}
    stored.topic = stored.id
    chat.topics[stored.id] = Topic(stored.id, name, color, icon)
    return {"message_thread_id": stored.id, **shown}


def edit_forum_topic(world: World, params: Params) -> bool:
    """editForumTopic."""
    chat = _forum(world, params, "edit the topic")
    topic = _topic(chat, params)
    name = params.text("name").strip()[:128] or topic.name
    icon = (
        params.text("icon_custom_emoji_id")
        if "icon_custom_emoji_id" in params
        else topic.icon_custom_emoji_id
    )
    if (name, icon) == (topic.name, topic.icon_custom_emoji_id):
        raise bad("TOPIC_NOT_MODIFIED")
    world.limits.spend(chat.id)
    topic.name, topic.icon_custom_emoji_id = name, icon
    world.store(chat, world.bot, {"forum_topic_edited": {"name": name}}, topic.id, service=True)
    return True


def _shut(closed: bool) -> Any:
    def shut(world: World, params: Params) -> bool:
        chat = _forum(world, params, "close the topic" if closed else "reopen the topic")
        topic = _topic(chat, params)
        if topic.closed == closed:
            raise bad("TOPIC_NOT_MODIFIED")
        world.limits.spend(chat.id)
        topic.closed = closed
        name = "forum_topic_closed" if closed else "forum_topic_reopened"
        world.store(chat, world.bot, {name: {}}, topic.id, service=True)
        return True

    return shut


def delete_forum_topic(world: World, params: Params) -> bool:
    """deleteForumTopic, with all that is in it."""
    chat = world.chat_to_write(params.get("chat_id"))
    if not chat.forum:
        raise bad("the chat is not a forum")
    if not world.may(chat, "can_delete_messages"):
        raise bad("not enough rights to delete the topic")
    remove_topic(chat, _topic(chat, params))
    return True


def remove_topic(chat: Chat, topic: Topic) -> None:
    """Takes a topic away."""
    topic.deleted = True
    for stored in chat.messages.values():
        if stored.topic == topic.id:
            stored.deleted = True


METHODS: dict[str, Any] = {
    "editMessageText": edit_message_text,
    "editMessageCaption": edit_message_caption,
    "editMessageReplyMarkup": edit_message_reply_markup,
    "deleteMessage": delete_message,
    "setMessageReaction": set_message_reaction,
    "answerCallbackQuery": answer_callback_query,
    "createForumTopic": create_forum_topic,
    "editForumTopic": edit_forum_topic,
    "closeForumTopic": _shut(True),
    "reopenForumTopic": _shut(False),
    "deleteForumTopic": delete_forum_topic,
}
