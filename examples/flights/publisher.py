"""Publishes the flights: `python -m examples.flights.publisher --from 2013-01-01 --to 2013-04-01`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from bus.errors import Unavailable
from bus.producer import KafkaPublisher
from bus.topics import ensure_topics
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from examples.flights.pacing import Pace, SystemClock
from examples.flights.publishing import DAY_US, HOUR_US, Published, publish, topics
from examples.flights.streams import Streams, load_streams


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise typer.BadParameter(
            f"{text!r} is neither `max` nor a number above 0 such as 3600, an hour a second"
        )
    return speed


def main(
    from_: Annotated[datetime, typer.Option("--from", help="Publish what became known from here on (UTC).")],
    to: Annotated[datetime, typer.Option(help="Publish what became known before this (UTC).")],
    speed: Annotated[str, typer.Option(help="So many times real time, or `max`.")] = "max",
    recorded_lag: Annotated[
        float, typer.Option(min=0, help="Make every event known so many minutes after it happened.")
    ] = 0,
    partitions: Annotated[
        int | None,
        typer.Option(min=1, help="Of the topics that do not exist yet, if not as their sources declare."),
    ] = None,
    bootstrap: Annotated[
        str, typer.Option(envvar="KAFKA_BOOTSTRAP_SERVERS", help="Where Kafka is.")
    ] = "localhost:9092",
) -> None:
    """Publish the flights of 2013 and the weather as three streams of events, in order of becoming known."""
    try:
        streams = load_streams(
            from_.replace(tzinfo=UTC), to.replace(tzinfo=UTC), recorded_lag=timedelta(minutes=recorded_lag)
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    pace = Pace(_speed(speed), SystemClock())
    try:
        count = asyncio.run(_publish_to(bootstrap, streams, pace, partitions))
    except Unavailable as error:
        typer.echo(f"{error}; is Kafka up, and --bootstrap or KAFKA_BOOTSTRAP_SERVERS right?", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"published {count:,} events on {bootstrap}")


async def _publish_to(bootstrap: str, streams: Streams, pace: Pace, partitions: int | None) -> int:
    await ensure_topics(bootstrap, topics(partitions))
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    async with KafkaPublisher(bootstrap, client_id="flights-publisher") as publisher:
        with Progress(*columns) as progress:
            bar = progress.add_task("publishing", total=streams.event_count)

            def show(step: Published) -> None:
                day = datetime.fromtimestamp(step.until_us / 1_000_000, UTC).date()
                progress.update(bar, advance=len(step.positions), description=f"{day}")

            step_us = DAY_US if pace.is_free else HOUR_US
            return await publish(streams, publisher, pace=pace, step_us=step_us, on_step=show)


if __name__ == "__main__":
    typer.run(main)
