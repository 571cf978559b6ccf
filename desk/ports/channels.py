"""Roles that reach customers and staff."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from desk.values import Case, ChannelCapabilities, Outgoing

if TYPE_CHECKING:
    from desk.ports.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class SendReceipt:
    """What the channel calls the message that it took; empty where it does not say."""

    provider_id: str = ""


class Sender(Protocol):
    """Hands messages to one channel. The only code that talks to it."""

    channel: str
    capabilities: ChannelCapabilities

    async def send(self, outgoing: Outgoing) -> SendReceipt:
        """Sends one message. Never called where ``capabilities.stores_in_database``.

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
