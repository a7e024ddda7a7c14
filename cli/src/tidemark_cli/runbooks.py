"""Finding an alert's runbook: in the folder one works in, or the checkout that this program runs from."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

_FOLDER = Path("docs", "runbooks")
_HARMLESS = re.compile(r"[A-Za-z0-9@%+=:,./_-]+")


def runbook_text(named: str) -> str | None:
    """Returns the text of the runbook that an alert names; None if it is an address, or not on this machine.

    Only files called `docs/runbooks/<name>.md` are read: an alert says which runbook, not which file.
    """
    wanted = Path(named)
    if wanted.parent != _FOLDER or wanted.suffix != ".md":
        return None
    for root in _roots():
        found = root / wanted
        if found.is_file():
            return found.read_text(encoding="utf-8")
    return None


def filled(text: str, names: Mapping[str, str]) -> str:
    """Puts names where a runbook's commands say so, such as `MODEL`; what has none stays as it is written.

    So does what has a name that a shell would take apart: the commands are made to be copied.
    """
    given = {word: name for word, name in names.items() if _HARMLESS.fullmatch(name)}
    if not given:
        return text
    return re.sub(rf"\b({'|'.join(given)})\b", lambda found: given[found[1]], text)


def _roots() -> Iterator[Path]:
    here = Path.cwd()
    yield here
    yield from here.parents
    yield from Path(__file__).resolve().parents
