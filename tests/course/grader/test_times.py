"""A stamp of the exchange is read as it says, or refused in words."""

import pytest

from course.grader.zips.times import in_utc


@pytest.mark.parametrize(
    ("stamp", "home", "hour"),
    [
        ("2026-03-01 12:00:00.000000 UTC", "UTC", 12),
        ("2026-03-01 12:00:00", "UTC", 12),
        ("2026-03-01T12:00:00+00:00", "UTC", 12),
        ("2026-03-01 12:00:00 +0200", "UTC", 10),
        ("2026-03-01 12:00:00 -0530", "UTC", 17),
        ("2026-07-01 12:00:00 CEST", "UTC", 10),
        ("2026-07-01 12:00:00 EDT", "UTC", 16),
        ("2026-03-01 12:00:00 PST", "America/Los_Angeles", 20),
        ("2026-03-01 12:00:00 IST", "Asia/Kolkata", 6),
        ("2026-07-01 12:00:00 Europe/Berlin", "UTC", 10),
        ("2026-10-25 02:30:00 CEST", "Europe/Berlin", 0),
        ("2026-10-25 02:30:00 CET", "Europe/Berlin", 1),
    ],
)
def test_a_stamp_in_utc(stamp, home, hour):
    assert in_utc(stamp, home).hour == hour


@pytest.mark.parametrize(
    ("stamp", "why"),
    [
        ("2026-03-01 12:00:00 PST", "'PST' means"),
        ("2026-03-01 12:00:00 IST", "'IST' means"),
        ("2026-03-01 12:00:00 XYZ", "no zone that is known"),
        ("2026-03-01 12:00:00 ../../etc/passwd", "is no time as"),
        ("1.3.2026 12:00", "is no time as"),
        ("03/01/2026 12:00", "is no time as"),
        ("0001-01-01 00:00:00+14:00", "no time of a course"),
        ("9999-12-31 23:59:59 -1400", "no time of a course"),
        ("2026-02-30 12:00:00 UTC", "day"),
        ("", "is no time as"),
        ("2026-03-01 12:00:00 UTC " * 9, "is no time as"),
    ],
)
def test_what_would_have_to_be_guessed_is_refused(stamp, why):
    with pytest.raises(ValueError, match=why):
        in_utc(stamp)
