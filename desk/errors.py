"""Every error the desk and its adapters raise, in one tree.

    DeskError
    ├── InvalidInputError        what came in breaks a rule            (HTTP 422)
    ├── NotFoundError            nothing there, or not yours to see    (HTTP 404)
    ├── NotAllowedError          known, but not permitted              (HTTP 403)
    ├── ConflictError            the same key with another meaning     (HTTP 409)
    │   └── AlreadyTakenError    somebody else has the case
    ├── TooFastError             over a rate limit, nothing stored     (HTTP 429)
    ├── StorageUnavailableError  nothing could be stored just now      (HTTP 503)
    ├── LeaseLostError           another worker owns this lane now
    ├── UnderstandingError       the understander or scorer failed
    └── SendError
        ├── NotSentError         certainly not sent; may be tried again
        ├── OutcomeUnknownError  perhaps sent, perhaps not
        ├── UnreachableError     the customer blocked us or is gone
        └── SendRefusedError     the channel will never take this message

An adapter translates foreign errors into these in one ``try``.
"""

from __future__ import annotations

from datetime import timedelta


class DeskError(Exception):
    """Root of the tree. ``str(error)`` is for staff and logs and holds no customer text."""


class InvalidInputError(DeskError):
    """What came in breaks a rule.

    Attributes:
        field: The name of the field at fault, dotted for nested ones.
        reason: Why, as a short sentence that does not repeat the input.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class NotFoundError(DeskError):
    """Nothing there, or nothing that the asker may see."""


class NotAllowedError(DeskError):
    """The asker is known and lacks the permission."""


class ConflictError(DeskError):
    """The same key came with another meaning, or the state has moved on."""


class AlreadyTakenError(ConflictError):
    """Somebody else has the case."""


class TooFastError(DeskError):
    """Over a rate limit; nothing was stored.

    Attributes:
        retry_after: How long to wait before the next try.
    """

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__("too many requests")
        self.retry_after = retry_after


class StorageUnavailableError(DeskError):
    """Nothing could be stored just now (disk full, database locked or down).

    Attributes:
        retry_after: How long to wait before the next try.
    """

    def __init__(self, reason: str, retry_after: timedelta = timedelta(seconds=5)) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class LeaseLostError(DeskError):
    """Another worker owns this lane now; whatever this one decided must be dropped."""


class UnderstandingError(DeskError):
    """The understander or the sentiment scorer failed or answered rubbish."""


class SendError(DeskError):
    """A message could not be handed to its channel."""


class NotSentError(SendError):
    """Certainly not sent, so it may be tried again.

    Attributes:
        retry_after: The wait that the channel demanded, or None.
    """

    def __init__(self, reason: str, retry_after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class OutcomeUnknownError(SendError):
    """The request left, no answer came: the message may or may not have arrived."""


class UnreachableError(SendError):
    """The customer blocked us, left, or never was there."""


class SendRefusedError(SendError):
    """The channel will never take this message as it is."""
