"""Declared computations over named columns: written once, evaluated vectorised, canonical for hashing."""

from feature_store.expressions.builders import (
    day_of_week,
    field,
    local_hour,
    local_minute_of_day,
    month,
    request,
)
from feature_store.expressions.nodes import (
    Apply,
    Constant,
    Expression,
    Field,
    Operand,
    Request,
    Scope,
    as_expression,
)
from feature_store.expressions.types import (
    NULL_FLAG,
    NULL_TIME_US,
    FieldType,
    column_of,
    dtype_of,
    null_of,
    nulls,
)

__all__ = [
    "NULL_FLAG",
    "NULL_TIME_US",
    "Apply",
    "Constant",
    "Expression",
    "Field",
    "FieldType",
    "Operand",
    "Request",
    "Scope",
    "as_expression",
    "column_of",
    "day_of_week",
    "dtype_of",
    "field",
    "local_hour",
    "local_minute_of_day",
    "month",
    "null_of",
    "nulls",
    "request",
]
