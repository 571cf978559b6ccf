"""What the Bot API answers when it refuses, in its own words."""

from __future__ import annotations

from typing import Any

_PREFIXES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict"}


class ApiError(Exception):
    """A refusal. ``words`` gets the prefix of its code, as the official server puts it there."""

    def __init__(self, code: int, words: str = "", **parameters: Any) -> None:
        super().__init__(words)
        self.code = code
        self.parameters = parameters
        prefix = _PREFIXES.get(code, "")
        if words and prefix and not words.startswith(prefix):
            # Codes such as BUTTON_DATA_INVALID stay, sentences begin in lower case.
            keep = len(words) > 1 and (words[1] == "_" or words[1].isupper())
            words = f"{prefix}: {words if keep else words[0].lower() + words[1:]}"
        self.description = words or prefix

    def body(self) -> dict[str, Any]:
        """The answer as JSON."""
        body: dict[str, Any] = {"ok": False, "error_code": self.code, "description": self.description}
        if self.parameters:
            body["parameters"] = self.parameters
        return body


def bad(words: str, **parameters: Any) -> ApiError:
    """A 400."""
    return ApiError(400, words, **parameters)


def forbidden(words: str) -> ApiError:
    """A 403."""
    return ApiError(403, words)


def flood(seconds: int) -> ApiError:
    """A 429 that says how long to wait."""
    return ApiError(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)


TWO_POLLERS = (
    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
)
POLLING_WITH_WEBHOOK = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
POLLING_ENDED_BY_WEBHOOK = "Conflict: terminated by setWebhook request"
NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same as a current"
    " content and reply markup of the message"
)
QUERY_TOO_OLD = "query is too old and response timeout expired or query ID is invalid"
