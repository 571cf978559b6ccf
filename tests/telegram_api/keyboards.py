"""Buttons: what a bot may put under a message."""

from __future__ import annotations

from typing import Any

from telegram_api.errors import bad

_ACTIONS = {"url", "callback_data", "web_app", "login_url", "switch_inline_query", "copy_text", "pay",
            "switch_inline_query_current_chat", "switch_inline_query_chosen_chat", "callback_game"}  # fmt: skip
_MOST_BUTTONS = 100


def read_markup(markup: Any, *, inline_only: bool = False) -> dict[str, Any] | None:
    """The checked markup, or None where there is none.

    Raises:
        ApiError: If Telegram would not take it.
    """
    if markup is None or markup == "":
        return None
    if not isinstance(markup, dict):
        raise bad(
            "can't parse reply keyboard markup JSON object"
            if isinstance(markup, str)
            else "object expected as reply markup"
        )
    if "inline_keyboard" in markup:
        return {"inline_keyboard": _rows(markup["inline_keyboard"], _inline_button)}
    if inline_only:
        if markup:
            raise bad("inline keyboard expected")
        return None
    if "keyboard" in markup:
        return {**markup, "keyboard": _rows(markup["keyboard"], _plain_button)}
    return markup if markup.get("remove_keyboard") or markup.get("force_reply") else None


def _rows(rows: Any, read: Any) -> list[list[dict[str, Any]]]:
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise bad('field "inline_keyboard" must be an Array of Arrays')
    # Buttons without words and rows without buttons are left out silently, as by the official server.
    kept = [[button for button in map(read, row) if button["text"]] for row in rows]
    kept = [row for row in kept if row]
    if sum(map(len, kept)) > _MOST_BUTTONS:
        raise bad("reply markup is too long")
    return kept


def _plain_button(button: Any) -> dict[str, Any]:
    if isinstance(button, str):
        return {"text": button}
    if not isinstance(button, dict) or not isinstance(button.get("text"), str):
        raise bad("can't parse keyboard button: Can't find field \"text\"")
    return button


def _inline_button(button: Any) -> dict[str, Any]:
    if not isinstance(button, dict):
        raise bad("can't parse inline keyboard button: expected an Object")
    if not isinstance(button.get("text"), str):
        raise bad("can't parse inline keyboard button: Can't find field \"text\"")
    if not _ACTIONS & button.keys():
        raise bad("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
    if "callback_data" in button:
        data = button["callback_data"]
        if not isinstance(data, str) or not 1 <= len(data.encode()) <= 64:
            raise bad("BUTTON_DATA_INVALID")
    url = button.get("url")
    if url is not None and not str(url).startswith(("http://", "https://", "tg://")):
        raise bad(f"inline keyboard button URL '{url}' is invalid: Wrong HTTP URL")
    return button
