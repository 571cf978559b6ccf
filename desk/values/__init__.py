"""The values that all rooms share: frozen, without behaviour beyond what their fields say.

Times are aware UTC ``datetime``; money is an integer of minor units with an ISO 4217 code;
``id`` is the internal integer key and never leaves the installation, ``public_id`` may.
"""

from __future__ import annotations

from desk.values.attachments import Attachment, AttachmentKind
from desk.values.care import Case, CaseReason, CaseState, Feedback, Priority, SkipReason, Survey, SurveyState
from desk.values.orders import Buyer, Order, OrderEvent, OrderItem, OrderSnapshot, OrderStatus
from desk.values.people import Contact, DeskEvent, Identity, Role, StaffMember
from desk.values.rooms import CaseView, LinkCode, RoomLine, RoomLineKind, RoomThread
from desk.values.talk import (
    Author,
    ChannelCapabilities,
    ChannelUser,
    Conversation,
    Delivery,
    Message,
    Option,
    Outgoing,
    OutgoingKind,
    Prompt,
    PromptKind,
    Reply,
    SendRank,
    Speaker,
)
from desk.values.understanding import FaqBook, FaqEntry, FaqMatch, Sentiment, SentimentLabel, Understanding
from desk.values.work import Claim, DeadLetter, InboxItem, Timer

__all__ = [
    "Attachment",
    "AttachmentKind",
    "Author",
    "Buyer",
    "Case",
    "CaseReason",
    "CaseState",
    "CaseView",
    "ChannelCapabilities",
    "ChannelUser",
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
    "LinkCode",
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
    "RoomLine",
    "RoomLineKind",
    "RoomThread",
    "SendRank",
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
