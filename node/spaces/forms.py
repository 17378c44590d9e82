"""What an admin types of a space, field by field: hours, money, dates, degrees, rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import date, time
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any, ClassVar

from flask_babel import gettext, lazy_gettext
from wtforms import (
    DateField,
    IntegerField,
    StringField,
    TextAreaField,
    ValidationError,
)
from wtforms.validators import DataRequired, Length, NumberRange, Optional

from charter.hours import Interval
from shared.wire.sheet import MOST_SHARES

# A form shows every row that there is: what it left out would be lost when it is saved.
MAX_ROWS = 1000
MAX_LINES = 60

_SPAN = re.compile(r"(\d{1,2})[h:.](\d{2})?\s*[-–àa]\s*(\d{1,2})[h:.](\d{2})?", re.IGNORECASE)


_SHARE = re.compile(r"(.{1,80}?)\s*[:=]\s*(\d{1,3})\s*%?")


def parse_hours(text: str) -> list[list[str]]:
    """Read ``9:00-12:00, 14h-19h`` as pairs of HH:MM. Raises ValueError."""
    spans = []
    for part in filter(None, (piece.strip() for piece in re.split(r"[,;]|\bet\b", text))):
        match = _SPAN.fullmatch(part)
        if not match:
            raise ValueError(part)
        start = time(int(match[1]), int(match[2] or 0))
        ends = (0, int(match[4] or 0)) if match[3] == "24" else (int(match[3]), int(match[4] or 0))
        end = time(*ends)
        # From midnight to midnight is all day; nothing is later than 24:00.
        if (start == end != time()) or (match[3] == "24" and end != time()):
            raise ValueError(part)
        spans.append((start, end))
    _refuse_overlap(spans, text)
    return [[f"{start:%H:%M}", f"{end:%H:%M}"] for start, end in spans]


def _refuse_overlap(spans: Sequence[Interval], text: str) -> None:
    """Two spans may touch, not overlap; a night that goes on is the day's last."""
    starts = sorted(spans)
    if any(not start < end <= following[0] for (start, end), following in pairwise(starts)):
        raise ValueError(text)


def show_hours(spans: Sequence[Sequence[str]]) -> str:
    return ", ".join(f"{start}–{end}" for start, end in spans)


def parse_money(text: str) -> int:
    """Read ``179``, ``8,50`` or ``1 200.00`` as cents. Raises ValueError."""
    plain = re.sub(r"[\s\u00a0\u202f€]", "", text).replace(",", ".")
    try:
        amount = Decimal(plain)
    except InvalidOperation:
        raise ValueError(text) from None
    cents = amount * 100
    if not amount.is_finite() or cents != cents.to_integral_value() or not 0 <= cents <= 10**8:
        raise ValueError(text)
    return int(cents)


class MayBeEmpty:
    """Says so on the page. Unlike ``Optional`` it lets a form's own checks of the field run."""

    field_flags: ClassVar = {"optional": True}

    def __call__(self, form: Any, field: Any) -> None:
        pass


def text_field(label: Any, longest: int, *, required: bool = False, area: bool = False) -> Any:
    kind = TextAreaField if area else StringField
    first = DataRequired(lazy_gettext("This is needed.")) if required else MayBeEmpty()
    return kind(
        label,
        validators=[
            first,
            Length(max=longest, message=lazy_gettext("At most %(max)d characters.")),
        ],
    )


class WholeField(IntegerField):
    def process_formdata(self, valuelist: Any) -> None:
        with suppress(ValueError):  # the range says what is expected
            super().process_formdata(valuelist)


def whole_field(label: Any, least: int, most: int, *, optional: bool = True, **kwargs: Any) -> Any:
    message = lazy_gettext("A whole number from %(min)s to %(max)s.")
    bounds = NumberRange(least, most, message=message)
    return WholeField(label, validators=[Optional(), bounds] if optional else [bounds], **kwargs)


class HoursField(StringField):
    def process_data(self, value: Any) -> None:
        self.data = show_hours(value or [])

    def pre_validate(self, form: Any) -> None:
        del form
        try:
            parse_hours(self.data or "")
        except ValueError:
            raise ValidationError(gettext("Write hours like 9:00–12:30, 14:00–19:00.")) from None


class DayField(DateField):
    """A date, or nothing; unlike with ``Optional`` a form's own checks of it run."""

    def process_formdata(self, valuelist: Any) -> None:
        if any(each.strip() for each in valuelist):
            super().process_formdata(valuelist)
        else:
            self.data = None


class LinesField(TextAreaField):
    """One entry a line."""

    def process_data(self, value: Any) -> None:
        self.data = "\n".join(value or [])

    @property
    def entries(self) -> list[str]:
        return [line.strip() for line in (self.data or "").splitlines() if line.strip()]

    def pre_validate(self, form: Any) -> None:
        if len(self.entries) > MAX_LINES or any(len(entry) > 120 for entry in self.entries):
            raise ValidationError(gettext("At most 60 lines of 120 characters."))


class DatesField(LinesField):
    """One date a line."""

    def pre_validate(self, form: Any) -> None:
        super().pre_validate(form)
        for line in self.entries:
            try:
                date.fromisoformat(line)
            except ValueError:
                raise ValidationError(
                    gettext("“%(line)s” is not a date like 2026-12-24.", line=line[:40])
                ) from None


class SharesField(LinesField):
    """One part a line, like ``Indépendants : 49``."""

    def process_data(self, value: Any) -> None:
        self.data = "\n".join(f"{each['label']} : {each['percent']}" for each in value or [])

    def shares(self) -> list[dict[str, Any]]:
        """Return the parts of a valid field."""
        found = (_SHARE.fullmatch(line) for line in self.entries)
        return [{"label": match[1].strip(), "percent": int(match[2])} for match in found if match]

    def pre_validate(self, form: Any) -> None:
        super().pre_validate(form)
        shares = self.shares()
        if len(shares) < len(self.entries) or len(shares) > MOST_SHARES:
            raise ValidationError(gettext("Write one part a line, like: Independents: 49."))
        if sum(each["percent"] for each in shares) > 100:
            raise ValidationError(gettext("These come to more than 100 %."))


class DegreesField(StringField):
    def __init__(self, label: Any, most: int, **kwargs: Any) -> None:
        super().__init__(label, **kwargs)
        self.most = most
        self.value: float | None = None

    def process_data(self, value: Any) -> None:
        self.data = "" if value is None else f"{value:.6f}".rstrip("0").rstrip(".")

    def pre_validate(self, form: Any) -> None:
        del form
        text = (self.data or "").strip().replace(",", ".")
        self.value = None
        if not text:
            return
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if not -self.most <= number <= self.most:
            raise ValidationError(gettext("Degrees are expected, like 45.5866."))
        self.value = number
