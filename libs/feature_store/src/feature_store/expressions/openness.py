"""Which fields an expression leaves the type of open, so that hashes must say what it is.

`field("x") * 2` needs a number. But `field("x").is_null()`, or `x` alone where numbers and flags can both be
averaged, is another computation once the source declares another type, in the same words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from feature_store.expressions.nodes import Apply, Constant, Field
from feature_store.expressions.operators import OPERATORS
from feature_store.expressions.types import FieldType

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from feature_store.expressions.nodes import Expression

_OF_FIELDS: Final = frozenset(FieldType) - {FieldType.DURATION}


def open_types(
    expression: Expression, wanted: Collection[FieldType], fields: Mapping[str, FieldType]
) -> dict[str, str]:
    """Return the types of the fields that could be of another, by name in order; numbers go without saying.

    Args:
        expression: Its types have been checked.
        wanted: What the result may be.
        fields: The types there are.
    """
    names = sorted(_open(expression, frozenset(wanted)))
    return {name: str(fields[name]) for name in names if fields[name] is not FieldType.NUMBER}


def _open(node: Expression, wanted: frozenset[FieldType]) -> set[str]:
    if isinstance(node, Field):
        return {node.name} if len(wanted & _OF_FIELDS) > 1 else set()
    if not isinstance(node, Apply):
        return set()
    fitting = [
        kinds
        for kinds, result in OPERATORS[node.operator].signatures.items()
        if result in wanted and _fits(node.operands, kinds)
    ]
    found: set[str] = set()
    for place, operand in enumerate(node.operands):
        found |= _open(operand, frozenset(kinds[place] for kinds in fitting))
    return found


def _fits(operands: tuple[Expression, ...], kinds: tuple[FieldType, ...]) -> bool:
    return len(operands) == len(kinds) and all(
        operand.kind is kind
        for operand, kind in zip(operands, kinds, strict=True)
        if isinstance(operand, Constant)
    )
