"""When a submission was handed in, as a platform writes it, in ISO with its zone.

nbgrader's exchange writes a stamp with a zone (`in_utc`). Blackboard and Brightspace
write the time into a name, without a zone. Others write none (the times of a zip's
entries are often the download's), or in words that are not read here: then there is no
time, and the report says so.

Read in order: `moment`, `entry_moment`, `stamp`; `in_utc`, `zone_called`.
"""

import re
import time
import zipfile
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

ZIP_BEGINS = 1980  # the year of an entry that has no time
CLOCK = r"(?P<hour>\d{1,2})[:.]?(?P<minute>\d\d)(?: ?(?P<half>[ap])\.?m\.?)?"
FORMS = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)-"
        r"(?P<hour>\d\d)-(?P<minute>\d\d)-(?P<second>\d\d)",
        rf"(?P<word>[a-z]+)\.? (?P<day>\d{{1,2}}),? (?P<year>\d{{4}}),? {CLOCK}",
        rf"(?P<day>\d{{1,2}}) (?P<word>[a-z]+)\.?,? (?P<year>\d{{4}}),? {CLOCK}",
        rf"(?P<year>\d{{4}})-(?P<month>\d\d)-(?P<day>\d\d),? {CLOCK}",
    )
]
STAMP = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)[ T](?P<clock>\d\d:\d\d(:\d\d(\.\d{1,6})?)?) ?"
    r"(?P<zone>Z|(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d)|[A-Za-z][\w/+-]*)?",
    re.ASCII,
)
MONTHS = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        *("jan(uary)?", "feb(ruary)?", "mar(ch)?", "apr(il)?", "may", "june?"),
        *("july?", "aug(ust)?", "sept?(ember)?", "oct(ober)?", "nov(ember)?"),
        "dec(ember)?",
    )
]


def moment(text: str) -> datetime | None:
    """A platform's time, without a zone; None for what would have to be guessed."""
    for form in FORMS:
        if found := form.fullmatch(text):
            return _moment({k: v for k, v in found.groupdict().items() if v})
    return None


def _moment(found: dict[str, str]) -> datetime | None:
    half, hour = found.get("half"), int(found["hour"])
    if word := found.get("word"):
        month = next((n for n, m in enumerate(MONTHS, 1) if m.fullmatch(word)), 0)
    else:
        month = int(found["month"])
    if half and not 1 <= hour <= 12:
        return None
    if half:
        hour = hour % 12 + (12 if half.lower() == "p" else 0)
    date = int(found["year"]), month, int(found["day"])
    try:
        return datetime(*date, hour, int(found["minute"]), int(found.get("second", 0)))
    except ValueError:
        return None


def entry_moment(info: zipfile.ZipInfo) -> datetime | None:
    """An entry's own time, without a zone; None where it has none."""
    try:
        return datetime(*info.date_time) if info.date_time[0] > ZIP_BEGINS else None
    except ValueError:
        return None


def zone_of(name: str) -> ZoneInfo:
    """A zone by its IANA name; ValueError says how such names look."""
    try:
        return ZoneInfo(name)
    except Exception:  # a name with a NUL, of a folder, of nothing
        raise ValueError(f"ZONE={name!r} is no zone as Europe/Berlin is") from None


def stamp(when: datetime, zone: ZoneInfo | None) -> str | None:
    """ISO 8601 in UTC, of a time in `zone` (None: this machine's)."""
    try:
        local = when.replace(tzinfo=zone) if zone else when.astimezone()
        return local.astimezone(UTC).isoformat()
    except (OverflowError, OSError, ValueError):  # the years at the ends
        return None


def zone_name(zone: ZoneInfo | None) -> str:
    """The zone, for a message."""
    return (
        zone.key if zone else f"{'/'.join(dict.fromkeys(time.tzname))}, this machine's"
    )


# ------------------------------------------------------------------ with a zone


def in_utc(text: str, home: str = "UTC") -> datetime:
    """A stamp of nbgrader's exchange, as 2026-03-01 12:00:00.000000 CET.

    Without a zone it is UTC, as for nbgrader. Where an abbreviation means two things,
    `home`, the exchange's own zone, decides. Raises ValueError, in words, for what is
    no such stamp, and for a zone that is none or not the same everywhere.
    """
    if not (found := STAMP.fullmatch(text)):
        raise ValueError(f"{text!r} is no time as 2026-03-01 12:00:00 UTC is")
    try:
        local = datetime.fromisoformat(f"{found['day']}T{found['clock']}")
        if found["sign"]:
            ahead = timedelta(hours=int(found["hours"]), minutes=int(found["minutes"]))
            ahead = -ahead if found["sign"] == "-" else ahead
        else:
            ahead = zone_called(found["zone"] or "UTC", local, home)
        there = (local - ahead).replace(tzinfo=UTC)
    except OverflowError:
        there = datetime.min.replace(tzinfo=UTC)
    if not 1970 <= there.year < 2200:
        raise ValueError(f"{text!r} is no time of a course")
    return there


def zone_called(name: str, local: datetime, home: str) -> timedelta:
    """How far `local` is ahead of UTC in the zone of this name or abbreviation.

    Raises ValueError for a name that is none, or means two things on that day.
    """
    if name in ("UTC", "Z", "GMT"):
        return timedelta()
    for zones in ([zone_of(home)], world()):
        if ahead := offsets(name, local, zones):
            if len(ahead) > 1:
                raise ValueError(f"{name!r} means {len(ahead)} zones: write +01:00")
            return ahead.pop()
    try:
        ahead_of = zone_of(name).utcoffset(local)
    except ValueError:
        raise ValueError(f"{name!r} is no zone that is known: write +01:00") from None
    return ahead_of or timedelta()


def offsets(name: str, local: datetime, zones: list[ZoneInfo]) -> set[timedelta]:
    """What an abbreviation means in the zones that use it then."""
    found = set()
    for zone in zones:
        for fold in (0, 1):  # the hour that a clock put back has twice
            there = local.replace(tzinfo=zone, fold=fold)
            if there.tzname() == name and (ahead := there.utcoffset()) is not None:
                found.add(ahead)
    return found


@lru_cache(1)
def world() -> list[ZoneInfo]:
    """All zones that this machine knows."""
    return [ZoneInfo(name) for name in sorted(available_timezones())]
