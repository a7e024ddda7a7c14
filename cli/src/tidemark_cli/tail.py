"""`tidemark tail`: what is on a topic, readable."""

import json
from typing import Annotated

import typer
from bus import inspect

from tidemark_cli.decoding import concealing, describe, known_messages
from tidemark_cli.options import AsJson, Kafka, Project, ask_kafka, reach_kafka
from tidemark_cli.output import print_json_line, say


def tail(
    topic: Annotated[
        str, typer.Argument(help="The topic; `tidemark topics` lists them.", show_default=False)
    ],
    *,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Begin with the oldest event instead of the next one.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="End after so many events; at Ctrl-C when left out.")
    ] = None,
    project: Project = None,
    kafka: Kafka = None,
    as_json: AsJson = False,
) -> None:
    """Follow a topic, event by event, decoded.

    Tidemark's own topics are decoded by their catalogue, a project's source
    topics by its definitions (--project), JSON as it is. Each event shows its
    position, id, key, when it was true and when it became known. With --json
    each is one line of JSON. Of a source with sensitive fields, --project leaves
    out what it drops or hashes.

    For example:

        tidemark tail tidemark.predictions.made.v1 --from-beginning --limit 3

        tidemark tail flights.departed.v1 --project examples.flights --json | jq .data.tail_number
    """
    reach = reach_kafka(kafka)
    show = print_json_line if as_json else _show
    message = known_messages(project).get(topic)
    show_safely = concealing(project, topic)

    async def follow() -> None:
        records = inspect.tail(reach, topic, from_beginning=from_beginning, limit=limit, message=message)
        async for seen in records:
            show(show_safely(describe(seen)))

    ask_kafka(follow())


def _show(event: dict[str, object]) -> None:
    say(f"{event['topic']}[{event['partition']}]@{event['offset']}  key {event['key']}")
    if "id" in event:
        say(f"  {event['type']} {event['id']}")
        say(f"  true at {event['time']}, known at {event['recorded_time']}")
    if "problem" in event:
        say(f"  cannot be read: {event['problem']}")
    for line in json.dumps(event["data"], indent=2, ensure_ascii=False).splitlines():
        say(f"  {line}")
