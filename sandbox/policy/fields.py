"""The types of fields in files and registers: each converts from text once, and says what it wanted.

A value that already has its type (from JSON or code) passes; anything else is a ``ValueError`` for the reader to place.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, StringConstraints

from sandbox.errors import Usage
from sandbox.records import check_id
from sandbox.runs import utc

_DURATION = re.compile(
    r"P(?=[0-9T])(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?"
)
_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,18})?([eE][+-]?\d{1,3})?")
_MONTH_S = 2629746  # the mean Gregorian month, for comparing only


@dataclass(frozen=True)
class Duration:
    """An ISO 8601 duration. Months stay months: a year from a date is the same day next year."""

    months: int
    seconds: int
    text: str

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Raises ValueError. ``P3Y``, ``P30D``, ``PT4H``; whole numbers, no fractions, no sign."""
        found = _DURATION.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no ISO 8601 duration like P30D or PT4H")
        years, months, weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        whole = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
        return cls(years * 12 + months, int(whole.total_seconds()), text)

    @property
    def nominal_s(self) -> int:
        return self.months * _MONTH_S + self.seconds

    def after(self, moment: datetime) -> datetime:
        """``moment`` plus this; the 31st becomes the month's last day."""
        count = moment.year * 12 + moment.month - 1 + self.months
        year, month = divmod(count, 12)
        start = moment
        for day in (moment.day, 30, 29, 28):
            try:
                start = moment.replace(year=year, month=month + 1, day=day)
                break
            except ValueError:
                continue
        return start + timedelta(seconds=self.seconds)


#: A year of fewer than four digits has two spellings; the last one has no room for another offset.
EARLIEST_YEAR, LATEST_YEAR = 1900, 9998


def moment(value: object) -> datetime:
    """A point in time with an offset. Raises ValueError."""
    if isinstance(value, datetime):
        found = value
    elif isinstance(value, str) and "T" in value:
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value!r} is no ISO 8601 time") from None
    else:
        raise ValueError(f"{value!r} is no time like 2026-12-31T23:59:59+08:00")
    if found.tzinfo is None:
        raise ValueError("a time carries an offset, like +08:00 or Z")
    if not EARLIEST_YEAR <= found.year <= LATEST_YEAR:
        raise ValueError(f"a time lies between {EARLIEST_YEAR} and {LATEST_YEAR}")
    return found.replace(microsecond=0)  # to the second, downwards: of two readings the earlier wins


def moment_or_day(value: object) -> datetime:
    """As :func:`moment`; a bare date is its first second in UTC (of two readings the earlier wins)."""
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        try:
            found = datetime.fromisoformat(value).replace(tzinfo=UTC)
        except ValueError:
            raise ValueError(f"{value!r} is no date") from None
        return moment(found)
    return moment(value)


def _day(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        return date.fromisoformat(value)
    raise ValueError(f"{value!r} is no date like 2026-01-25")


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise ValueError("write true or false")


def _whole(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"-?(0|[1-9][0-9]{0,17})", value):
        return int(value)
    raise ValueError("write a whole number")


def _number(value: object) -> float:
    if isinstance(value, bool):
        raise ValueError("write a number")
    written = isinstance(value, str) and _NUMBER.fullmatch(value) is not None
    if not (written or isinstance(value, int | float)):
        raise ValueError("write a number like 8.0 or 1.0e-5")
    found = float(value)  # type: ignore[arg-type]  # one of the three, as just checked
    if not math.isfinite(found):
        raise ValueError("a number must be finite")
    return found


def _digest(value: object) -> str:
    text = value.removeprefix("sha256:") if isinstance(value, str) else ""
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ValueError("write a sha256 as 64 hex digits")
    return text


def _duration(value: object) -> Duration:
    if isinstance(value, Duration):
        return value
    if isinstance(value, str):
        return Duration.parse(value)
    raise ValueError("write an ISO 8601 duration like P30D")


_SPAN = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def span_s(value: object) -> int:
    """Seconds of ``90s``, ``30m``, ``4h``. Raises ValueError."""
    found = re.fullmatch(r"([1-9]\d{0,5})([smhd])", value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("write a time like 90s, 30m or 4h")
    return int(found[1]) * _SPAN[found[2]]


_SIZE = {"MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


def size_bytes(value: object) -> int:
    """Bytes of ``512MiB``, ``8GiB``. Raises ValueError."""
    found = re.fullmatch(r"([1-9]\d{0,4})([MGT]iB)", value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("write a size like 512MiB or 8GiB")
    return int(found[1]) * _SIZE[found[2]]


def _nothing(value: object) -> Any:
    return None if value in ("", "null", "~") else value


def _id(kind: str) -> AfterValidator:
    def check(value: str) -> str:
        try:
            return check_id(kind, value)
        except Usage as fault:
            raise ValueError(fault.message) from None

    return AfterValidator(check)


def _named(value: str) -> str:
    if value in ("null", "~") or value != value.strip():
        raise ValueError("write a text")
    return value


Text = Annotated[str, StringConstraints(min_length=1, max_length=1000), AfterValidator(_named)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Whole = Annotated[int, BeforeValidator(_whole)]
Number = Annotated[float, BeforeValidator(_number)]
Digest = Annotated[str, BeforeValidator(_digest)]
Moment = Annotated[datetime, BeforeValidator(moment), PlainSerializer(utc)]
MomentOrDay = Annotated[datetime, BeforeValidator(moment_or_day), PlainSerializer(utc)]
Day = Annotated[date, BeforeValidator(_day)]
Period = Annotated[Duration, BeforeValidator(_duration), PlainSerializer(lambda found: found.text)]
Span = Annotated[int, BeforeValidator(span_s)]
Size = Annotated[int, BeforeValidator(size_bytes)]
Nothing = BeforeValidator(_nothing)  # Annotated[X | None, Nothing]: null, ~ and an empty value are None

SubjectName = Annotated[str, _id("subject")]
DatasetName = Annotated[str, _id("dataset")]
AgreementName = Annotated[str, _id("agreement")]
ConsignmentName = Annotated[str, _id("consignment")]
PersonName = Annotated[str, _id("person")]
