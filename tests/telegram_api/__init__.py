"""A stand-in for the Telegram Bot API: real HTTP on loopback, Telegram's rules and words, faults on order.

In a test's own loop ``async with TelegramApi() as api``, in a thread ``with TelegramApi().in_thread() as
api``, as a process ``with TelegramProcess() as api``. The bot under test is pointed at ``api.url``; people
are played with ``api.user(5).starts()`` and looked at with ``api.user(5).sees()``.
"""

from telegram_api.api import TelegramApi
from telegram_api.clock import Clock
from telegram_api.faults import KINDS
from telegram_api.groups import Group
from telegram_api.people import User, Voice
from telegram_api.remote import RemoteApi, TelegramProcess
from telegram_api.seen import Call, Seen

__all__ = [
    "KINDS",
    "Call",
    "Clock",
    "Group",
    "RemoteApi",
    "Seen",
    "TelegramApi",
    "TelegramProcess",
    "User",
    "Voice",
]
