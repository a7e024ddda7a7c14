"""`tidemark dlq`: what was given up on, why, and sending it back."""

import json
from datetime import date
from typing import Annotated

import typer
from bus import dead_letters, inspect
from bus.clocks import wall_clock_us
from bus.dead_letters import DeadLetter
from bus.discards import Discard, discard
from bus.positions import Position
from bus.producer import KafkaPublisher
from bus.times import format_rfc3339
from bus.topics import is_dead_letter

from tidemark_cli.dead_letters_read import (
    FOREIGN,
    WHY_FOREIGN,
    Found,
    Wanted,
    ask_about_letters,
    find,
    foreign_summary,
    read_all,
    read_one,
    summary,
)
from tidemark_cli.decoding import as_text, decode, known_messages
from tidemark_cli.failures import Failure, WrongUsage
from tidemark_cli.options import (
    Actor,
    AsJson,
    Kafka,
    PrivacyKeyFile,
    Project,
    ask_kafka,
    reach_kafka,
    read_day,
    who_acts,
)
from tidemark_cli.output import note, print_facts, print_json, print_table, say
from tidemark_cli.projects import project_named

app = typer.Typer(
    no_args_is_help=True,
    help="""See what was given up on, why, and send it back, or leave it for good.

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


Day = Annotated[
    date | None,
    typer.Option(
        parser=read_day, metavar="DATE", help="Only those whose original was recorded that day, UTC."
    ),
]
Offsets = Annotated[
    list[int] | None, typer.Argument(min=0, help="Which ones, by their offsets.", show_default=False)
]
Everything = Annotated[bool, typer.Option("--all", help="All of them, the oldest first.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command("list")
def list_letters(
    topic: Annotated[
        str | None, typer.Argument(help="A topic, or its twin; all twins are counted when left out.")
    ] = None,
    *,
    reason: Reason = None,
    day: Day = None,
    discarded: Annotated[bool, typer.Option("--discarded", help="Those that were discarded too.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest first.")] = 20,
    kafka: Kafka = None,
    as_json: AsJson = False,
) -> None:
    """Count the dead letters of every topic, or list those of one.

    For example:

        tidemark dlq list

        tidemark dlq list flights.departed.v1

        tidemark dlq list flights.departed.v1 --reason OUT_OF_RANGE --day 2013-08-30 --limit 100 --json
    """
    reach = reach_kafka(kafka)
    if topic is None:
        _list_twins(reach, as_json=as_json)
        return
    found = find(reach, topic, Wanted(reason, day), limit)
    letters = found.letters if discarded else found.open
    if as_json:
        told = [summary(letter, found.discarded.get(letter.where)) for letter in letters]
        print_json(told + [foreign_summary(one) for one in found.foreign])
        return
    rows = [_row(letter, found) for letter in letters]
    rows += [(str(record.offset), FOREIGN, "", "", "", WHY_FOREIGN) for record in found.foreign]
    columns = ["offset #", "reason", "given up by", "was", "when", "what was wrong"]
    print_table(columns, rows, empty=f"{topic} has no dead letters" + (f" for {reason}." if reason else "."))


def _row(letter: DeadLetter, found: Found) -> tuple[str, ...]:
    decision = found.discarded.get(letter.where)
    return (
        str(letter.where.offset),
        letter.reason,
        letter.service,
        str(letter.original),
        format_rfc3339(letter.time_us),
        letter.detail + (f" (discarded by {decision.by}: {decision.because})" if decision else ""),
    )


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
    letter = read_one(reach, topic, offset)
    kind = known_messages(project).get(letter.original.topic)
    told = summary(letter) | {
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
def replay_letters(  # noqa: PLR0913 - one parameter an option
    topic: Topic,
    offsets: Offsets = None,
    *,
    everything: Everything = False,
    reason: Reason = None,
    day: Day = None,
    yes: Yes = False,
    project: Project = None,
    key_file: PrivacyKeyFile = "",
    kafka: Kafka = None,
    as_json: AsJson = False,
) -> None:
    """Send dead letters back to the topic they came from, as they were.

    For after the cause is mended: a service that knows the format now, a store
    that is back. Whoever reads the topic gets the events again; effects are
    idempotent, so one that had its effect does not have it twice. The letters
    stay in the dead-letter topic, which is a log and not a queue. What was
    discarded is not among --all. Letters of somebody who was erased since are
    left out, which needs the project.

    For example:

        tidemark dlq replay flights.departed.v1 12 13

        tidemark dlq replay flights.departed.v1 --all --reason HANDLER_FAILED --yes
    """
    reach = reach_kafka(kafka)
    found = _chosen(reach, topic, offsets, Wanted(reason, day), everything=everything)
    letters = _of_nobody_erased(reach, found, project, key_file)
    if letters and not yes:
        typer.confirm(f"Send {len(letters)} back to {letters[0].original.topic}?", abort=True, err=True)
    sent = ask_about_letters(_replay(reach, letters))
    if as_json:
        pairs = zip(letters, sent, strict=True)
        print_json([{"was": str(letter.where), "is": str(position)} for letter, position in pairs])
    else:
        say(f"{len(sent)} sent back.")


@app.command("discard")
def discard_letters(  # noqa: PLR0913 - one parameter an option
    topic: Topic,
    offsets: Offsets = None,
    *,
    because: Annotated[str, typer.Option(help="Why, for whoever asks later.", show_default=False)],
    everything: Everything = False,
    reason: Reason = None,
    day: Day = None,
    actor: Actor = None,
    yes: Yes = False,
    kafka: Kafka = None,
    as_json: AsJson = False,
) -> None:
    """Leave dead letters for good: they are not listed and not sent back any more.

    Nothing is erased: who decided, when and why is written beside the letters,
    for as long as the dead-letter topic keeps them.

    For example:

        tidemark dlq discard weather.observed.v1 0 --because "no wind blows at 1,048 mph"

        tidemark dlq discard flights.departed.v1 --all --reason WRONG_TYPE --because "sent again by hand"
    """
    if not because.strip():
        raise WrongUsage("say why: --because is empty")
    by, reach = who_acts(actor), reach_kafka(kafka)
    letters = _chosen(reach, topic, offsets, Wanted(reason, day), everything=everything)
    if letters and not yes:
        typer.confirm(f"Leave {len(letters)} in {letters[0].where.topic} for good?", abort=True, err=True)
    decisions = [Discard(letter.where, because.strip(), by, wall_clock_us()) for letter in letters]
    ask_kafka(_discard(reach, decisions))
    if as_json:
        print_json([{"discarded": str(one.where), "because": one.because, "by": one.by} for one in decisions])
    else:
        say(f"{len(decisions)} discarded.")


def _chosen(
    reach: str, topic: str, offsets: list[int] | None, wanted: Wanted, *, everything: bool
) -> list[DeadLetter]:
    if bool(offsets) == everything:
        raise WrongUsage("say which dead letters: their offsets, or --all")
    if offsets and not wanted.is_everything:
        raise WrongUsage("--reason and --day choose among --all; offsets name theirs already")
    return [read_one(reach, topic, offset) for offset in offsets or ()] or read_all(reach, topic, wanted)


async def _discard(reach: str, decisions: list[Discard]) -> None:
    if decisions:
        async with KafkaPublisher(reach, client_id="tidemark-cli") as publisher:
            await discard(publisher, decisions)


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
