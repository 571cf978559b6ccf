"""The values that all rooms share: frozen, without behaviour beyond what their fields say.

Times are aware UTC ``datetime``; money is an integer of minor units with an ISO 4217 code;
``id`` is the internal integer key and never leaves the installation, ``public_id`` may.
"""

from __future__ import annotations

from desk.values.care import Case, CaseReason, CaseState, Feedback, Priority, SkipReason, Survey, SurveyState
from desk.values.orders import Buyer, Order, OrderEvent, OrderItem, OrderSnapshot, OrderStatus
from desk.values.people import Contact, DeskEvent, Identity, Role, StaffMember
from desk.values.talk import (
    Author,
    ChannelCapabilities,
    Conversation,
    Delivery,
    Message,
    Option,
    Outgoing,
    OutgoingKind,
    Prompt,
    PromptKind,
    Reply,
    Speaker,
)
from desk.values.understanding import FaqBook, FaqEntry, FaqMatch, Sentiment, SentimentLabel, Understanding
from desk.values.work import Claim, DeadLetter, InboxItem, Timer

__all__ = [
    "Author",
    "Buyer",
    "Case",
    "CaseReason",
    "CaseState",
    "ChannelCapabilities",
    "Claim",
    "Contact",
    "Conversation",
    "DeadLetter",
    "Delivery",
    "DeskEvent",
    "FaqBook",
    "FaqEntry",
    "FaqMatch",
    "Feedback",
    "Identity",
    "InboxItem",
    "Message",
    "Option",
    "Order",
    "OrderEvent",
    "OrderItem",
    "OrderSnapshot",
    "OrderStatus",
    "Outgoing",
    "OutgoingKind",
    "Priority",
    "Prompt",
    "PromptKind",
    "Reply",
    "Role",
    "Sentiment",
    "SentimentLabel",
    "SkipReason",
    "Speaker",
    "StaffMember",
    "Survey",
    "SurveyState",
    "Timer",
    "Understanding",
]
