"""What a definition writes to begin an expression."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfoNotFoundError

from feature_store.errors import DefinitionError, caller
from feature_store.expressions.calendar import zone_offsets
from feature_store.expressions.nodes import Apply, EntityKey, FeatureValue, Field, Request

if TYPE_CHECKING:
    from feature_store.expressions.nodes import Expression, NamedFeature


def field(name: str) -> Expression:
    """Read a field of the source's events."""
    return Field(name)


def request(name: str) -> Expression:
    """Read an input of the scoring request."""
    return Request(name)


def entity_key(name: str) -> Expression:
    """Read the key of an entity, or one part of it, as the request gives it; an empty key is null."""
    return EntityKey(name)


def feature_value(feature: NamedFeature | str) -> Expression:
    """Read another feature: `feature_value(MyView.mean_1h)`, or one that the model lists by its name."""
    if not isinstance(feature, str) and not isinstance(getattr(feature, "full_name", None), str):
        raise DefinitionError(
            f"feature_value({feature!r})",
            "it is no feature",
            instead="Name MyView.my_aggregation, a RequestTime, a Derived or an Opaque one.",
            at=caller(),
        )
    return FeatureValue(feature)


def local_hour(time: Expression, *, zone: str) -> Expression:
    """Return the hour of the day in an IANA zone, 0 to 23."""
    return _calendar("local_hour", time, zone)


def local_minute_of_day(time: Expression, *, zone: str) -> Expression:
    """Return the minutes since local midnight by the wall clock, 0 to 1439."""
    return _calendar("local_minute_of_day", time, zone)


def day_of_week(time: Expression, *, zone: str) -> Expression:
    """Return the day of the week in an IANA zone, Monday 0 to Sunday 6."""
    return _calendar("day_of_week", time, zone)


def month(time: Expression, *, zone: str) -> Expression:
    """Return the month in an IANA zone, 1 to 12."""
    return _calendar("month", time, zone)


def day_of_month(time: Expression, *, zone: str) -> Expression:
    """Return the day of the month in an IANA zone, 1 to 31."""
    return _calendar("day_of_month", time, zone)


def day_of_year(time: Expression, *, zone: str) -> Expression:
    """Return the day of the year in an IANA zone, 1 to 366."""
    return _calendar("day_of_year", time, zone)


def iso_week(time: Expression, *, zone: str) -> Expression:
    """Return the ISO 8601 week of the year in an IANA zone, 1 to 53."""
    return _calendar("iso_week", time, zone)


def is_weekend(time: Expression, *, zone: str) -> Expression:
    """Is it Saturday or Sunday in an IANA zone? Null is not."""
    return day_of_week(time, zone=zone) >= 5


def _calendar(part: str, time: Expression, zone: str) -> Expression:
    try:
        # Also fills the table before the first evaluation needs it.
        zone_offsets(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise DefinitionError(
            f"{part}(zone={zone!r})",
            "there is no such time zone",
            instead='Write an IANA name such as "America/New_York" or "UTC".',
            at=caller(),
        ) from error
    return Apply(part, (time,), (zone,))
