"""`tidemark dlq`: what was given up on, why, and sending it back."""

import json
from collections.abc import Coroutine
from typing import Annotated, Any

import typer
from bus import dead_letters, inspect
from bus.dead_letters import DeadLetter
from bus.positions import Position
from bus.producer import KafkaPublisher
from bus.records import LogRecord
from bus.times import format_rfc3339
from bus.topics import dead_letter_of, is_dead_letter

from tidemark_cli.decoding import as_text, decode, known_messages
from tidemark_cli.failures import Failure, WrongUsage
from tidemark_cli.options import AsJson, Kafka, PrivacyKeyFile, Project, Result, ask_kafka, reach_kafka
from tidemark_cli.output import note, print_facts, print_json, print_table, say
from tidemark_cli.projects import project_named

app = typer.Typer(
    no_args_is_help=True,
    help="""See what was given up on, why, and send it back.

    An event that cannot be processed is not lost: it goes to the topic's
    dead-letter twin (TOPIC.dlq) with its original bytes and headers, and with the
    reason, the service and the original position beside them.""",
)

Topic = Annotated[
    str, typer.Argument(help="A topic, or its dead-letter twin; either will do.", show_default=False)
]
Offset = Annotated[int, typer.Argument(min=0, help="The dead letter's offset, as `dlq list` shows it.")]
Reason = Annotated[
    str | None, typer.Option(metavar="REASON", help="Only those with this reason, such as OUT_OF_RANGE.")
]


@app.command("list")
def list_letters(
    topic: Annotated[
        str | None, typer.Argument(help="A topic, or its twin; all twins are counted when left out.")
    ] = None,
    *,
    reason: Reason = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest first.")] = 20,
    kafka: Kafka = None,
    as_json: AsJson = False,
) -> None:
    """Count the dead letters of every topic, or list those of one.

    For example:

        tidemark dlq list

        tidemark dlq list flights.departed.v1

        tidemark dlq list flights.departed.v1 --reason OUT_OF_RANGE --limit 100 --json
    """
    reach = reach_kafka(kafka)
    if topic is None:
        _list_twins(reach, as_json=as_json)
        return
    letters, foreign = _read_all(reach, topic, limit=limit, reason=reason)
    if as_json:
        print_json([_summary(letter) for letter in letters] + [_foreign_summary(one) for one in foreign])
        return
    rows = [
        (
            str(letter.where.offset),
            letter.reason,
            letter.service,
            str(letter.original),
            format_rfc3339(letter.time_us),
            letter.detail,
        )
        for letter in letters
    ] + [(str(record.offset), _FOREIGN, "", "", "", _WHY_FOREIGN) for record in foreign]
    columns = ["offset #", "reason", "given up by", "was", "when", "what was wrong"]
    print_table(columns, rows, empty=f"{topic} has no dead letters" + (f" for {reason}." if reason else "."))


def _list_twins(reach: str, *, as_json: bool) -> None:
    found = [topic for topic in ask_kafka(inspect.list_topics(reach)) if is_dead_letter(topic.name)]
    if as_json:
        print_json([{"topic": topic.name, "dead_letters": topic.records} for topic in found])
        return
    rows = [(topic.name, f"{topic.records:,}") for topic in found if topic.records]
    print_table(
        ["topic", "dead letters #"], rows, empty="No topic has dead letters: nothing was given up on."
    )


@app.command("show")
def show_letter(
    topic: Topic,
    offset: Offset,
    *,
    project: Project = None,
    kafka: Kafka = None,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter whole: why it is there, and what it says.

    For example:

        tidemark dlq show flights.departed.v1 12 --project examples.flights
    """
    reach = reach_kafka(kafka)
    letter = _read(reach, topic, offset)
    kind = known_messages(project).get(letter.original.topic)
    told = _summary(letter) | {
        "key": as_text(letter.key),
        "headers": {name: as_text(value) for name, value in letter.headers},
        "data": decode(letter.value, kind),
    }
    if as_json:
        print_json(told)
    else:
        told["headers"] = "\n".join(f"{name}: {value}" for name, value in told["headers"].items())
        told["data"] = json.dumps(told["data"], indent=2, ensure_ascii=False)
        print_facts(told)


@app.command("replay")
def replay_letters(  # noqa: PLR0913 - options of a command
    topic: Topic,
    offsets: Annotated[
        list[int] | None, typer.Argument(min=0, help="Which ones, by their offsets.", show_default=False)
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All of them, the oldest first.")] = False,
    reason: Reason = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    project: Project = None,
    key_file: PrivacyKeyFile = "",
    kafka: Kafka = None,
    as_json: AsJson = False,
) -> None:
    """Send dead letters back to the topic they came from, as they were.

    For after the cause is mended: a service that knows the format now, a store
    that is back. Whoever reads the topic gets the events again; effects are
    idempotent, so one that had its effect does not have it twice. The letters
    stay in the dead-letter topic, which is a log and not a queue. Letters of
    somebody who was erased since are left out, which needs the project.

    For example:

        tidemark dlq replay flights.departed.v1 12 13

        tidemark dlq replay flights.departed.v1 --all --reason HANDLER_FAILED --yes
    """
    if bool(offsets) == everything:
        raise WrongUsage("say which dead letters: their offsets, or --all")
    if offsets and reason:
        raise WrongUsage("--reason chooses among --all; offsets name theirs already")
    reach = reach_kafka(kafka)
    found = [_read(reach, topic, offset) for offset in offsets] if offsets else _all(reach, topic, reason)
    letters = _of_nobody_erased(reach, found, project, key_file)
    if letters and not yes:
        typer.confirm(f"Send {len(letters)} back to {letters[0].original.topic}?", abort=True, err=True)
    sent = _ask(_replay(reach, letters))
    if as_json:
        pairs = zip(letters, sent, strict=True)
        print_json([{"was": str(letter.where), "is": str(position)} for letter, position in pairs])
    else:
        say(f"{len(sent)} sent back.")


def _of_nobody_erased(
    reach: str, letters: list[DeadLetter], project: str | None, key_file: str
) -> list[DeadLetter]:
    # Imported here: a project and the engine behind it take a second that other commands need not pay.
    from feature_store import MissingKey  # noqa: PLC0415
    from privacy.erased import UnknownSecret  # noqa: PLC0415

    from tidemark_cli.erased import of_nobody_erased  # noqa: PLC0415

    declared = project_named(project) if project else None
    try:
        kept = ask_kafka(of_nobody_erased(letters, reach, declared, key_file))
    except (MissingKey, UnknownSecret) as error:
        raise Failure(str(error)) from error
    if len(kept) < len(letters):
        note(f"{len(letters) - len(kept)} are of subjects who were erased, and stay")
    return kept


async def _replay(reach: str, letters: list[DeadLetter]) -> list[Position]:
    if not letters:
        return []
    async with KafkaPublisher(reach, client_id="tidemark-cli") as publisher:
        return await dead_letters.replay(publisher, letters)


def _read(reach: str, topic: str, offset: int) -> DeadLetter:
    where = Position(topic if is_dead_letter(topic) else dead_letter_of(topic), 0, offset)
    try:
        letter = ask_kafka(dead_letters.read_dead_letter(reach, where))
    except dead_letters.NotADeadLetter as error:
        raise Failure(f"{error}: `tidemark dlq list {topic}` shows what is there") from error
    if letter.where != where:
        raise Failure(f"nothing is at {where}: `tidemark dlq list {topic}` shows what is there")
    return letter


def _all(reach: str, topic: str, reason: str | None) -> list[DeadLetter]:
    newest_first, foreign = _read_all(reach, topic, limit=_ALL, reason=reason)
    if foreign:
        note(f"{len(foreign)} records there are nobody's dead letters and stay: `tidemark dlq list {topic}`")
    return newest_first[::-1]


def _read_all(
    reach: str, topic: str, *, limit: int, reason: str | None
) -> tuple[list[DeadLetter], list[LogRecord]]:
    """Reads the newest dead letters, and the records there that are none (left out if a reason chooses)."""
    foreign: list[LogRecord] = []
    letters = ask_kafka(
        dead_letters.read_dead_letters(
            reach, topic, limit=limit, reason=reason, on_foreign=lambda record, _: foreign.append(record)
        )
    )
    return letters, [] if reason else foreign


def _ask(work: Coroutine[Any, Any, Result]) -> Result:
    try:
        return ask_kafka(work)
    except dead_letters.NotADeadLetter as error:
        raise Failure(str(error)) from error


def _summary(letter: DeadLetter) -> dict[str, Any]:
    return {
        "topic": letter.where.topic,
        "offset": letter.where.offset,
        "reason": letter.reason,
        "detail": letter.detail,
        "service": letter.service,
        "stack": letter.stack,
        "was": str(letter.original),
        "time": format_rfc3339(letter.time_us),
    }


def _foreign_summary(record: LogRecord) -> dict[str, Any]:
    headers = {name: as_text(value) for name, value in record.headers}
    return {
        "topic": record.topic,
        "offset": record.offset,
        "reason": _FOREIGN,
        "detail": _WHY_FOREIGN,
        "key": as_text(record.key),
        "headers": headers,
    }


_ALL = 1_000_000
_FOREIGN = "FOREIGN"
_WHY_FOREIGN = (
    "No service gave this up, somebody else wrote it: `tidemark tail` shows it, nothing replays it."
)
