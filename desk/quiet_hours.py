"""免打扰时段: the hours of the day in which no survey is sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

from desk.errors import InvalidInputError

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A daily window of wall-clock time, ``start`` within it and ``end`` the first minute after it.

    ``start`` later than ``end`` means that the window goes over midnight.

    Raises:
        InvalidInputError: The two are equal (all day or never, nobody can tell which), or one
            has seconds or a time zone.
    """

    start: time
    end: time

    def __post_init__(self) -> None:
        for at in (self.start, self.end):
            if at.tzinfo is not None or at.second or at.microsecond:
                raise InvalidInputError("quiet_hours", "start and end are plain hours and minutes")
        if self.start == self.end:
            raise InvalidInputError("quiet_hours", "start and end are equal")

    def covers(self, moment_utc: datetime, zone: tzinfo) -> bool:
        """Whether the clock on the wall of ``zone`` is within the window at this moment."""
        at = _wall(moment_utc, zone).time()
        if self.start < self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end

    def next_allowed(self, moment_utc: datetime, zone: tzinfo) -> datetime:
        """The first moment from ``moment_utc`` on that lies outside the window, in UTC.

        Outside the window that is ``moment_utc`` itself, else a whole minute. The clock on the
        wall decides on days with a clock change too: an end that the change skips is reached at
        the change, one that comes twice is reached at the first.

        Raises:
            InvalidInputError: ``moment_utc`` has no time zone.
        """
        if not self.covers(moment_utc, zone):
            return moment_utc.astimezone(UTC)
        wall = _wall(moment_utc, zone)
        day = wall.date() if wall.time() < self.end else wall.date() + timedelta(days=1)
        candidate = datetime.combine(day, self.end, zone).astimezone(UTC)
        if _wall(candidate, zone).utcoffset() == wall.utcoffset():
            return candidate
        # The clock changes on the way, so the window may end earlier or later than it is long.
        candidate = moment_utc.astimezone(UTC).replace(second=0, microsecond=0) + _MINUTE
        while self.covers(candidate, zone):
            candidate += _MINUTE
        return candidate


def _wall(moment: datetime, zone: tzinfo) -> datetime:
    if moment.utcoffset() is None:
        raise InvalidInputError("moment_utc", "the time has no zone")
    return moment.astimezone(zone)
