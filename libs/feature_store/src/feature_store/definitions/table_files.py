"""A dimension's rows from a file that lies in the project."""

from __future__ import annotations

import csv
from pathlib import Path

from feature_store.definitions.dimensions import TableRow
from feature_store.errors import DefinitionError, Location, caller


def csv_rows(path: str | Path, *, null: str = "") -> list[TableRow]:
    """Read the rows of a CSV file (RFC 4180, UTF-8, names in its first line); an empty cell is null.

    Args:
        path: The file; write `Path(__file__).with_name("planes.csv")` for one beside the module.
        null: What else stands in a cell that is null, such as "NA".

    Raises:
        DefinitionError: it cannot be read, has no or repeated names, or a row has another number of cells.
    """
    name = f"csv_rows({str(path)!r})"
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            columns = next(reader, [])
            if not columns or len(set(columns)) < len(columns):
                at = Location(str(path), 1)
                raise DefinitionError(name, "its first line does not name each column once", at=at)
            rows = ([None if cell == null else cell for cell in cells] for cells in reader)
            return [_row(name, columns, cells, Location(str(path), reader.line_num)) for cells in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        instead = 'Write Path(__file__).with_name("the file"), in UTF-8.'
        raise DefinitionError(name, f"it cannot be read: {error}", instead=instead, at=caller()) from error


def _row(name: str, columns: list[str], cells: list[str | None], at: Location) -> TableRow:
    if len(cells) != len(columns):
        problem = f"a line has {len(cells)} cells, and there are {len(columns)} columns"
        raise DefinitionError(name, problem, instead="Write a cell for each column.", at=at)
    return TableRow(dict(zip(columns, cells, strict=True)), at)
