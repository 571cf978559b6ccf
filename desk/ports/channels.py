"""Roles that reach customers and staff."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from desk.values import Case, ChannelCapabilities, Outgoing, SendRank

if TYPE_CHECKING:
    from desk.ports.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class SendReceipt:
    """What the channel calls the message that it took; empty where it does not say.

    Attributes:
        also: How many of the followers it carried, counted from the first.
        unfinished: A first step was done (a topic was made); the message itself must be sent again.
    """

    provider_id: str = ""
    also: int = 0
    unfinished: bool = False


class Pace(Protocol):
    """How fast a channel may be written to. Every call counts from its beginning to its answer and on."""

    def room(self, rank: SendRank = SendRank.FIRST) -> int:
        """How many calls of that rank may begin right now, over all recipients.

        What nobody waits for gets less room than there is, so that a reply need not wait for it.
        """
        ...

    def held(self) -> Collection[str]:
        """Recipients for whom no call may begin right now, because of limits or since one is under way."""
        ...

    def begin(self, recipient: str) -> None:
        """A call for the recipient begins."""
        ...

    def end(self, recipient: str) -> None:
        """Its answer is there, or will never come."""
        ...

    def hold(self, recipient: str | None, wait: timedelta) -> None:
        """The channel demanded a wait, for one recipient or (None) for everything."""
        ...

    def recall(self, recipient: str, ago: timedelta) -> None:
        """A call was made that long ago by a process before this one."""
        ...

    def next_change(self) -> timedelta:
        """How long until more may leave than now; zero when nothing is held back."""
        ...


class Sender(Protocol):
    """Hands messages to one channel. The only code that talks to it.

    Attributes:
        pace: Its limits, or None where it has none.
    """

    channel: str
    capabilities: ChannelCapabilities
    pace: Pace | None

    async def send(self, outgoing: Outgoing, followers: Sequence[Outgoing] = ()) -> SendReceipt:
        """Sends one message. Never called where ``capabilities.stores_in_database``.

        Args:
            followers: ``RELAY`` rows that may leave joined with this one; how many did says the receipt.

        Raises:
            NotSentError: Certainly not sent; try again.
            OutcomeUnknownError: Perhaps sent.
            UnreachableError: The customer blocked us or is gone.
            SendRefusedError: The channel will never take it.
        """
        ...


@dataclass(frozen=True, slots=True)
class StaffAlert:
    """What staff must hear: a case that nobody has taken. ``rung`` counts repeats from 0."""

    case: Case
    customer_name: str
    rung: int


class StaffNotifier(Protocol):
    """Tells staff about a case, inside the transaction that decided to tell.

    An implementation writes rows (a console event, an outbox row); it never calls the network.
    """

    def notify(self, unit: UnitOfWork, alert: StaffAlert, now: datetime) -> None:
        """Records the alert so that it is shown or sent."""
        ...
