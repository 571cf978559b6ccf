"""Session tokens of the web chat: ``SESSION.MAC``, so that a known session gets the same token again
and none has to be stored."""

from __future__ import annotations

import base64
import hashlib
import hmac

_MOST_CHARACTERS = 200


class ChatTokens:
    """Makes and checks session tokens with the installation's own secret (≥ 24 bytes)."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def make(self, session: str) -> str:
        """The token of a session; always the same one."""
        return f"{session}.{self._mac(session)}"

    def find_session(self, token: str) -> str | None:
        """The session that the token proves, or None when it proves nothing."""
        if len(token) > _MOST_CHARACTERS or not token.isascii():
            return None
        session, dot, mac = token.rpartition(".")
        if not dot or not hmac.compare_digest(mac.encode(), self._mac(session).encode()):
            return None
        return session

    def _mac(self, session: str) -> str:
        digest = hmac.new(self._secret, b"chat-session:" + session.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
