"""When a submission was handed in, as a platform writes it, in ISO with its zone.

Blackboard and Brightspace write the time into a name, without a zone. Others write none
(the times of a zip's entries are often the download's), or in words that are not read
here: then there is no time, and the report says so.

Read in order: `moment`, `entry_moment`, `stamp`.
"""

import re
import time
import zipfile
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

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
