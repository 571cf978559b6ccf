"""Methods that tell about the bot, chats, members and files."""

from __future__ import annotations

import re
from typing import Any

from telegram_api.errors import bad
from telegram_api.forms import Params
from telegram_api.media import MOST_BYTES
from telegram_api.world import ADMIN_RIGHTS, GROUP_RIGHTS, Json, World

_HOUR = 3600
_COMMAND = re.compile(r"[a-z0-9_]{1,32}")


def get_me(world: World, params: Params) -> Json:
    """getMe."""
    return {
        **world.bot,
        "can_join_groups": True,
        "can_read_all_group_messages": world.bot_reads_all,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
    }


def get_chat(world: World, params: Params) -> Json:
    """getChat."""
    chat = world.chat_to_read(params.get("chat_id"))
    gifts = (
        "unlimited_gifts",
        "limited_gifts",
        "unique_gifts",
        "premium_subscription",
        "gifts_from_channels",
    )
    info: Json = {
        **chat.json(),
        "accent_color_id": 0,
        "max_reaction_count": 11,
        "accepted_gift_types": dict.fromkeys(gifts, True),
    }
    if not chat.private:
        info["permissions"] = {right: right.startswith("can_send") for right in GROUP_RIGHTS}
    return info


def member_json(world: World, chat_id: int, user_id: int) -> Json | None:
    """A member of a group as ``getChatMember`` shows it."""
    chat = world.chats[chat_id]
    if user_id == world.bot["id"]:
        return bot_member(world, chat.bot_status, chat.bot_rights)
    member = chat.members.get(user_id)
    if member is None:
        return None
    return _member(world.users[user_id], member["status"], member.get("rights", set()))


def bot_member(world: World, status: str, rights: set[str]) -> Json:
    """The bot as a member."""
    return _member(world.bot, status, rights)


def _member(user: Json, status: str, rights: set[str]) -> Json:
    member: Json = {"user": user, "status": status}
    if status == "administrator":
        member |= {"can_be_edited": False, "is_anonymous": False}
        member |= {right: right in rights for right in ADMIN_RIGHTS}
    elif status == "creator":
        member["is_anonymous"] = False
    elif status == "kicked":
        member["until_date"] = 0
    return member


def get_chat_member(world: World, params: Params) -> Json:
    """getChatMember."""
    chat = world.chat_to_read(params.get("chat_id"))
    user_id = params.get("user_id")
    if not isinstance(user_id, int):
        raise bad("invalid user_id specified")
    if chat.private:
        if user_id not in {chat.id, world.bot["id"]}:
            raise bad("member not found")
        return {"user": world.users.get(user_id, world.bot), "status": "member"}
    if user_id not in world.users and user_id != world.bot["id"]:
        raise bad("PARTICIPANT_ID_INVALID")
    return member_json(world, chat.id, user_id) or {"user": world.users[user_id], "status": "left"}


def get_chat_administrators(world: World, params: Params) -> list[Json]:
    """getChatAdministrators; other bots are left out, as always."""
    chat = world.chat_to_read(params.get("chat_id"))
    if chat.private:
        raise bad("there are no administrators in the private chat")
    found = [member_json(world, chat.id, user_id) for user_id in (world.bot["id"], *chat.members)]
    return [member for member in found if member and member["status"] in {"administrator", "creator"}]


def get_file(world: World, params: Params) -> Json:
    """getFile: a path that is good for an hour."""
    file = world.files.get(params.text("file_id"))
    if file is None:
        raise bad(
            "invalid file_id"
            if not params.text("file_id")
            else "wrong file_id or the file is temporarily unavailable"
        )
    if file.size > MOST_BYTES:
        raise bad("file is too big")
    file.path = f"files/{file.unique_id}/{file.name}"
    file.path_until = world.clock.wall() + _HOUR
    sizes = {"file_id": file.file_id, "file_unique_id": file.unique_id, "file_size": file.size}
    return {**sizes, "file_path": file.path}


def set_my_commands(world: World, params: Params) -> bool:
    """setMyCommands; scopes and languages are not told apart."""
    commands = params.get("commands")
    if not isinstance(commands, list) or len(commands) > 100:
        raise bad("can't parse commands JSON object")
    for command in commands:
        if not isinstance(command, dict) or not _COMMAND.fullmatch(
            str(command.get("command", "")).removeprefix("/")
        ):
            raise bad("BOT_COMMAND_INVALID")
        if not 1 <= len(str(command.get("description", ""))) <= 256:
            raise bad("BOT_COMMAND_DESCRIPTION_INVALID")
    world.commands = commands
    return True


def _agree(world: World, params: Params) -> bool:
    return True


METHODS: dict[str, Any] = {
    "getMe": get_me,
    "getChat": get_chat,
    "getChatMember": get_chat_member,
    "getChatAdministrators": get_chat_administrators,
    "getFile": get_file,
    "setMyCommands": set_my_commands,
    "getMyCommands": lambda world, params: world.commands,
    "deleteMyCommands": lambda world, params: world.commands.clear() or True,
    # Nothing of it can be seen by customers here.
    **dict.fromkeys(
        ("setMyName", "setMyDescription", "setMyShortDescription", "setChatMenuButton", "pinChatMessage",
         "unpinChatMessage"),
        _agree,
    ),
}  # fmt: skip
