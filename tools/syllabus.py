"""The term's calendar, course/syllabus.yml: who reads it, and what it must say.

    due date = start + 7 (week − 1) days + due.days days, at due.time of its timezone

A handout leaves out later weeks, the gradebook takes the due dates, and tests hold the
map in README.md and the points of the notebooks equal to it. What cannot be right is
one line of a ValueError.  Read in order: `read`, `Syllabus`, `Row`.
"""

import datetime
import itertools
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml

ROOT = Path(__file__).resolve().parents[1]
FILE = Path("course") / "syllabus.yml"  # below the checkout


@dataclass(frozen=True)
class Row:
    """One lecture, and its homework if it has one."""

    week: int
    lecture: str
    homework: str | None = None
    points: float = 0
    bonus: float = 0
    due: datetime.datetime | None = None  # in UTC; None while the term has no start


@dataclass(frozen=True)
class Syllabus:
    """The term, in the order of its lectures."""

    rows: tuple[Row, ...]
    zone: ZoneInfo  # in which a homework is due

    def until(self, week: int | None) -> "Syllabus":
        """The lectures and homework of weeks 1 to `week`; all where it is None."""
        last = max(row.week for row in self.rows)
        if week is not None and not 1 <= week <= last:
            raise ValueError(
                f"week {week} is not in the term: it has weeks 1 to {last}"
            )
        return replace(
            self, rows=tuple(r for r in self.rows if week is None or r.week <= week)
        )

    def less(self, names: set[str]) -> "Syllabus":
        """Without these lectures, their homework, and these homeworks."""
        rows = (row for row in self.rows if row.lecture not in names)
        bare = (
            Row(row.week, row.lecture) if row.homework in names else row for row in rows
        )
        return replace(self, rows=tuple(bare))

    def due_dates(self) -> dict[str, datetime.datetime]:
        """{homework: when it is due, in UTC}; nothing while the term has no start."""
        return {r.homework: r.due for r in self.rows if r.homework and r.due}


def read(root: Path = ROOT) -> Syllabus:
    """The syllabus of a checkout. ValueError, which names the entry, where it is wrong.

    No lecture or homework comes twice, weeks do not go back, and there is nothing that
    no one reads.
    """
    try:
        content = yaml.safe_load((root / FILE).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(f"{FILE} can't be read: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{FILE} has no start, due, timezone and lectures")
    known(content, {"start", "due", "timezone", "lectures"}, "the syllabus")
    lectures = content.get("lectures")
    if not (isinstance(lectures, list) and lectures):
        raise ValueError(f"{FILE} lists no lectures")
    calendar = Calendar.parse(content)
    rows = tuple(parsed(entry, calendar) for entry in lectures)
    for names in ([r.lecture for r in rows], [r.homework for r in rows if r.homework]):
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"{', '.join(sorted(twice))} is in {FILE} twice")
    for before, after in itertools.pairwise(rows):
        if after.week < before.week:
            raise ValueError(f"{after.lecture} goes back to week {after.week}")
    return Syllabus(rows, calendar.zone)


def parsed(entry: Any, calendar: "Calendar") -> Row:
    """One entry of `lectures`, checked."""
    if not (isinstance(entry, dict) and isinstance(entry.get("lecture"), str)):
        raise ValueError(f"{entry!r} in {FILE} names no lecture")
    where = entry["lecture"]
    known(entry, {"week", "lecture", "homework", "points", "bonus", "due"}, where)
    week: Any = entry.get("week")
    homework: str | None = entry.get("homework")
    if not is_count(week) or week < 1:
        raise ValueError(f"{where} is in week {week!r}, and weeks count from 1")
    if homework is None:
        if rest := sorted(entry.keys() & {"points", "bonus", "due"}):
            raise ValueError(f"{where} has {rest[0]}, and no homework")
        return Row(week, where)
    points, bonus = entry.get("points", 0), entry.get("bonus", 0)
    for worth in (points, bonus):
        number = isinstance(worth, int | float) and not isinstance(worth, bool)
        if not (number and 0 <= worth < math.inf):
            raise ValueError(f"{homework} has points {worth!r}, and that is no number")
    if not points:
        raise ValueError(f"{homework} has points 0, and must have some")
    due = calendar.due(week, entry.get("due"))
    return Row(week, where, homework, points, bonus, due)


def known(entry: dict, keys: set[str], where: str) -> None:
    """Refuse a key that means nothing."""
    if unknown := sorted(map(str, entry.keys() - keys)):
        raise ValueError(f"{where} has {unknown[0]}; known: {', '.join(sorted(keys))}")


def is_count(value: Any) -> bool:
    """Whether `value` is a whole number, and not True or False."""
    return isinstance(value, int) and not isinstance(value, bool)


# ------------------------------------------------------------------ dates


@dataclass(frozen=True)
class Calendar:
    """When the term begins, and how long a homework has."""

    start: datetime.date | None
    days: int
    time: datetime.time
    zone: ZoneInfo

    @classmethod
    def parse(cls, content: dict) -> "Calendar":
        """The head of the file, checked."""
        start, due = content.get("start"), content.get("due") or {}
        if start is not None and type(start) is not datetime.date:
            raise ValueError(f"start is {start!r}, and no date as 2027-02-01")
        if start is not None and start.weekday():
            raise ValueError(f"start, {start}, is a {start:%A}, and weeks begin Monday")
        if not isinstance(due, dict):
            raise ValueError(f'due is {due!r}, and not {{days: 13, time: "23:59"}}')
        known(due, {"days", "time"}, "due")
        days, name = due.get("days", 13), content.get("timezone", "UTC")
        if not is_count(days) or not 0 <= days <= 366:
            raise ValueError(f"due.days is {days!r}, and no number from 0 to 366")
        try:
            zone = ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
            raise ValueError(f"timezone {name!r} is none, as Europe/Berlin") from None
        return cls(start, days, clock(due.get("time", "23:59")), zone)

    def due(self, week: int, own: Any) -> datetime.datetime | None:
        """When a homework of that week is due, in UTC; `own` is what its row says."""
        if own is not None:
            try:
                local = datetime.datetime.strptime(str(own), "%Y-%m-%d %H:%M")
            except ValueError:
                raise ValueError(f'due {own!r} is not as "2027-03-01 23:59"') from None
        elif self.start is None:
            return None
        else:
            after = datetime.timedelta(days=7 * (week - 1) + self.days)
            local = datetime.datetime.combine(self.start + after, self.time)
        return local.replace(tzinfo=self.zone).astimezone(datetime.UTC)


def clock(text: Any) -> datetime.time:
    """A time of day; YAML takes 23:59 without quotes for a number of minutes."""
    try:
        return datetime.datetime.strptime(text, "%H:%M").time()
    except (TypeError, ValueError):
        message = f'due.time is {text!r}: write it in quotes, as "23:59"'
        raise ValueError(message) from None


def utc(when: datetime.datetime) -> str:
    """A time as nbgrader reads it."""
    return f"{when:%Y-%m-%d %H:%M:%S.%f} UTC"
