"""Quiet hours over midnight, on ordinary days and on days when the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desk.errors import InvalidInputError
from desk.quiet_hours import QuietHours

SHANGHAI = ZoneInfo("Asia/Shanghai")
NEW_YORK = ZoneInfo("America/New_York")
NIGHT = QuietHours(time(22), time(9))


def local(text: str, zone: ZoneInfo, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("moment", "allowed"),
    [
        ("2025-06-01T21:59:59", "2025-06-01T21:59:59"),
        ("2025-06-01T22:00:00", "2025-06-02T09:00:00"),
        ("2025-06-01T23:59:30", "2025-06-02T09:00:00"),
        ("2025-06-02T00:00:00", "2025-06-02T09:00:00"),
        ("2025-06-02T08:59:59.999999", "2025-06-02T09:00:00"),
        ("2025-06-02T09:00:00", "2025-06-02T09:00:00"),
        ("2024-12-31T22:30:00", "2025-01-01T09:00:00"),
    ],
)
def test_a_window_over_midnight_holds_until_morning(moment: str, allowed: str) -> None:
    found = NIGHT.next_allowed(local(moment, SHANGHAI), SHANGHAI)
    assert found == local(allowed, SHANGHAI)
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    ("moment", "allowed"),
    [
        ("2025-06-01T11:59:00", "2025-06-01T11:59:00"),
        ("2025-06-01T12:00:00", "2025-06-01T14:00:00"),
        ("2025-06-01T13:59:59", "2025-06-01T14:00:00"),
        ("2025-06-01T14:00:00", "2025-06-01T14:00:00"),
    ],
)
def test_a_window_within_a_day(moment: str, allowed: str) -> None:
    nap = QuietHours(time(12), time(14))
    assert nap.next_allowed(local(moment, SHANGHAI), SHANGHAI) == local(allowed, SHANGHAI)


def test_an_end_that_the_clock_skips_is_reached_at_the_change() -> None:
    # 02:00 becomes 03:00 on 9 March 2025.
    window = QuietHours(time(22), time(2, 30))
    found = window.next_allowed(local("2025-03-09T01:00:00", NEW_YORK), NEW_YORK)
    assert found == local("2025-03-09T03:00:00", NEW_YORK)


def test_an_end_that_comes_twice_is_reached_at_the_first_and_again() -> None:
    # 02:00 becomes 01:00 on 2 November 2025.
    window = QuietHours(time(22), time(1, 30))
    first = window.next_allowed(local("2025-11-02T00:10:00", NEW_YORK), NEW_YORK)
    again = window.next_allowed(local("2025-11-02T01:10:00", NEW_YORK, fold=1), NEW_YORK)
    assert first == local("2025-11-02T01:30:00", NEW_YORK)
    assert again == local("2025-11-02T01:30:00", NEW_YORK, fold=1)


def test_a_night_with_a_clock_change_still_ends_in_the_morning() -> None:
    for night in ("2025-03-08", "2025-11-01"):
        moment = local(f"{night}T22:15:00", NEW_YORK)
        end = NIGHT.next_allowed(moment, NEW_YORK).astimezone(NEW_YORK)
        assert end.time() == time(9)
        assert end.date() == moment.astimezone(NEW_YORK).date() + timedelta(days=1)


@settings(deadline=None, max_examples=40)
@given(
    minutes=st.integers(0, 15 * 366 * 1440),
    seconds=st.integers(0, 59),
    zone=st.sampled_from(
        [
            "Asia/Shanghai",
            "America/New_York",
            "America/Havana",
            "Australia/Lord_Howe",
            "Africa/Casablanca",
            "Pacific/Apia",
            "America/St_Johns",
        ]
    ).map(ZoneInfo),
    near_change=st.booleans(),
    start=st.integers(0, 1439),
    length=st.integers(1, 1439),
)
def test_it_is_the_first_minute_outside_the_window(
    minutes: int, seconds: int, zone: ZoneInfo, near_change: bool, start: int, length: int
) -> None:
    moment = datetime(2011, 12, 1, tzinfo=UTC) + timedelta(minutes=minutes, seconds=seconds)
    if near_change:
        moment = _before_next_change(moment, zone)
    midnight = datetime(2025, 1, 1, tzinfo=UTC)
    window = QuietHours(
        (midnight + timedelta(minutes=start)).time(), (midnight + timedelta(minutes=start + length)).time()
    )
    found = window.next_allowed(moment, zone)
    assert not window.covers(found, zone)
    assert found >= moment
    if window.covers(moment, zone):
        walked = moment.replace(second=0, microsecond=0)
        while window.covers(walked, zone):
            walked += timedelta(minutes=1)
        assert found == walked
    else:
        assert found == moment


def _before_next_change(moment: datetime, zone: ZoneInfo) -> datetime:
    """A moment within the day before the next clock change, or the same where none comes within a year."""
    for _ in range(366):
        later = moment + timedelta(days=1)
        if later.astimezone(zone).utcoffset() != moment.astimezone(zone).utcoffset():
            return moment
        moment = later
    return moment


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (time(9), time(9)),
        (time(9, 0, 1), time(10)),
        (time(9), time(10, 0, 0, 5)),
        (time(9, tzinfo=UTC), time(10)),
    ],
)
def test_windows_that_nobody_can_mean_are_refused(start: time, end: time) -> None:
    with pytest.raises(InvalidInputError):
        QuietHours(start, end)


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        NIGHT.next_allowed(datetime(2025, 6, 1, 23, tzinfo=UTC).replace(tzinfo=None), SHANGHAI)
