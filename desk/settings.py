"""What the installation decides for the desk, as one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from zoneinfo import ZoneInfo

from desk.quiet_hours import QuietHours
from desk.values import ChannelCapabilities


@dataclass(frozen=True, slots=True)
class DeskSettings:
    """Settings that decisions depend on.

    Attributes:
        variables: What ``{shop_name}`` and the like stand for in answers.
        survey_delay: From delivery to the survey.
        survey_reminder: From the survey to its one reminder.
        survey_expires: How long answers are taken; from when it was seen, where the channel tells.
        quiet_hours: No survey is sent in this window; None = any time.
        understand_within: Time limit for understanding one text.
        capabilities: Of every channel, by its name.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    survey_delay: timedelta = timedelta(days=1)
    survey_reminder: timedelta = timedelta(days=1)
    survey_expires: timedelta = timedelta(days=7)
    quiet_hours: QuietHours | None = None
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Asia/Shanghai"))
    link_lives: timedelta = timedelta(days=30)
    understand_within: timedelta = timedelta(seconds=1.5)
    capabilities: Mapping[str, ChannelCapabilities] = field(default_factory=dict)
    raw_retention: timedelta = timedelta(days=7)
    key_retention: timedelta = timedelta(days=35)
    conversation_retention: timedelta = timedelta(days=365)
