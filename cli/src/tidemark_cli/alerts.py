"""`tidemark alerts`: what is wrong, since when, and what to do about it."""

from enum import StrEnum
from typing import Annotated

import typer
from bus import inspect
from bus.topics import ALERTS_CHANGED
from tidemark.monitoring.v1.alert_pb2 import AlertChanged

from tidemark_cli.alert_states import (
    STATES,
    alert_values,
    episodes,
    evidence_values,
    newest,
    since,
    state_of,
    what_moved,
)
from tidemark_cli.options import AsJson, Kafka, ask_kafka, reach_kafka
from tidemark_cli.output import print_facts, print_json, print_json_line, print_table, say
from tidemark_cli.reading import Fact, fact_of, read_facts
from tidemark_cli.runbooks import filled, runbook_text
from tidemark_cli.words import figure, pick, word

app = typer.Typer(
    no_args_is_help=True,
    help="""See what is wrong, since when, and what to do about it.

    An alert is one trouble of one model: it is pending while a breach is young,
    firing once it lasts, resolved when it is over. Each names an owner and a
    runbook. All times are event time: when it was true of the requests.""",
)


class State(StrEnum):
    """The states of an alert."""

    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


OfModel = Annotated[str | None, typer.Option("--model", metavar="MODEL", help="Only those of this model.")]


@app.command("list")
def list_alerts(
    *,
    state: Annotated[State | None, typer.Option(help="Only those in this state.")] = None,
    model: OfModel = None,
    kafka: Kafka = None,
    as_json: AsJson = False,
) -> None:
    """List the alerts, each once, as it stands: what fires comes first.

    For example:

        tidemark alerts list --state firing

        tidemark alerts list --model flight-delay --json | jq -r '.[].runbook'
    """
    alerts = [
        alert
        for alert in newest(_read(kafka))
        if (state is None or word(STATES, alert.state) == state) and (model is None or alert.model == model)
    ]
    if as_json:
        print_json([alert_values(alert) for alert in alerts])
        return
    columns = ["state", "severity", "alert", "since", "what moved", "owner", "runbook"]
    print_table(columns, [_row(alert) for alert in alerts], empty=_nothing(state, model))


@app.command("show")
def show_alert(
    fingerprint: Annotated[
        str,
        typer.Argument(
            help="The alert, as `alerts list` names it; a part of that will do if it is the only one.",
            show_default=False,
        ),
    ],
    *,
    kafka: Kafka = None,
    as_json: AsJson = False,
) -> None:
    """Show an alert whole: the evidence, its episodes, and its runbook's text.

    The evidence says each figure before (in what the version learned from) and
    now, and on how many requests. Earlier episodes are shown as long as the
    topic keeps them: compaction may leave the last one only. The runbook's
    commands name this very alert.

    For example:

        tidemark alerts show flight-delay:input-drift

        tidemark alerts show input-drift --json | jq .evidence
    """
    facts = _read(kafka)
    alerts = {alert.fingerprint: alert for alert in newest(facts)}
    alert = alerts[pick(fingerprint, alerts, what="alert", look="tidemark alerts list")]
    history = episodes(facts, alert.fingerprint)
    text = _runbook(alert)
    if as_json:
        told = alert_values(alert)
        print_json(told | {"episodes": [alert_values(one) for one in history], "runbook_text": text})
        return
    _show(alert, history)
    say("")
    say(text or f"The runbook is not on this machine: {alert.runbook or 'the alert names none'}.")


@app.command("tail")
def tail_alerts(
    *,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Begin with the oldest change instead of the next one.")
    ] = False,
    model: OfModel = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="End after so many changes of any model; at Ctrl-C when left out."),
    ] = None,
    kafka: Kafka = None,
    as_json: AsJson = False,
) -> None:
    """Follow the alerts: a line for each that begins to be, fires or resolves.

    For example:

        tidemark alerts tail

        tidemark alerts tail --from-beginning --limit 20 --json | jq -r .summary
    """
    reach = reach_kafka(kafka)

    async def follow() -> None:
        seen = inspect.tail(reach, ALERTS_CHANGED.name, from_beginning=from_beginning, limit=limit)
        async for one in seen:
            fact = fact_of(one, AlertChanged)
            if fact is None or fact.message is None or model not in {None, fact.message.model}:
                continue
            if as_json:
                print_json_line(alert_values(fact.message))
            else:
                say(_line(fact.message))

    ask_kafka(follow())


def _read(kafka: str | None) -> list[Fact[AlertChanged]]:
    return ask_kafka(read_facts(reach_kafka(kafka), ALERTS_CHANGED, AlertChanged))


def _runbook(alert: AlertChanged) -> str | None:
    text = runbook_text(alert.runbook)
    names = {"MODEL": alert.model, "VERSION": alert.version, "FINGERPRINT": alert.fingerprint}
    return None if text is None else filled(text, names)


def _row(alert: AlertChanged) -> list[str]:
    told = alert_values(alert)
    return [
        state_of(alert),
        told["severity"],
        alert.fingerprint,
        since(alert) or "",
        told["summary"],
        alert.owner or "nobody",
        alert.runbook,
    ]


def _line(alert: AlertChanged) -> str:
    told = alert_values(alert)
    head = f"{told['changed_at'] or '-'}  {state_of(alert)}  {told['severity']}  {alert.fingerprint}"
    return f"{head}  {what_moved(alert)}".rstrip()


def _show(alert: AlertChanged, history: list[AlertChanged]) -> None:
    facts = alert_values(alert)
    del facts["evidence"]
    facts |= {"state": state_of(alert), "owner": alert.owner or "nobody"}
    print_facts({name.replace("_", " "): fact for name, fact in facts.items() if fact not in {None, ""}})
    say("\nevidence, what contributes most first")
    figures = [evidence_values(one) for one in alert.evidence]
    rows = [
        [
            one["subject"],
            one["slice"] or "all",
            one["statistic"],
            figure(one["before"]),
            figure(one["now"]),
            figure(one["threshold"]),
            f"{one['rows']:,}",
        ]
        for one in figures
    ]
    columns = ["subject", "slice", "statistic", "before #", "now #", "threshold #", "requests #"]
    print_table(columns, rows, empty="It carries none.")
    say("\nepisodes that the topic still holds")
    print_table(
        ["episode #", "state", "pending since", "firing since", "resolved", "requests affected #"],
        [_episode(one) for one in history],
        empty="None.",
    )


def _episode(alert: AlertChanged) -> list[str]:
    told = alert_values(alert)
    times = [told[name] or "-" for name in ("pending_since", "firing_since", "resolved_at")]
    return [str(alert.episode), state_of(alert), *times, f"{alert.requests_affected:,}"]


def _nothing(state: State | None, model: str | None) -> str:
    kind = f"{state} " if state else ""
    return f"There is no {kind}alert" + (f" of {model}." if model else ".")
