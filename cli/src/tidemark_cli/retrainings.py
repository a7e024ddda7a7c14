"""`tidemark retrain`: retrainings that were wanted, and what became of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import typer
from bus.topics import RETRAIN_APPROVED, RETRAIN_REFUSED, RETRAIN_REQUESTED
from google.protobuf.message import Message
from tidemark.retraining.v1.retrain_pb2 import (
    RetrainApproved,
    RetrainRefusal,
    RetrainRefused,
    RetrainRequested,
)

from tidemark_cli.alert_states import evidence_values
from tidemark_cli.options import AsJson, Kafka, ask_kafka, reach_kafka
from tidemark_cli.output import print_json, print_table
from tidemark_cli.reading import Fact, read_facts
from tidemark_cli.words import moment, word

Told = TypeVar("Told", bound=Message)

app = typer.Typer(
    no_args_is_help=True,
    help="""See which retrainings were wanted, and what became of them.

    A policy asks; somebody approves or rejects (`tidemark approvals list`);
    broken data, immature labels and silence refuse. Nothing is trained unasked.""",
)


@dataclass(frozen=True, slots=True)
class Said:
    """All that was said of retrainings."""

    requested: list[RetrainRequested]
    approved: list[RetrainApproved]
    refused: list[RetrainRefused]


@app.command("list")
def list_retrainings(
    *,
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="Only those of this model.")
    ] = None,
    kafka: Kafka = None,
    as_json: AsJson = False,
) -> None:
    """List the retrainings that a policy wanted, the latest first, in event time.

    What was refused before anybody was asked has no id: the data looked broken,
    or too few labels were known.

    For example:

        tidemark retrain list

        tidemark retrain list --model flight-delay --json | jq '.[] | select(.state == "vetoed")'
    """
    found = [
        one for one in stories(ask_kafka(_read(reach_kafka(kafka)))) if model is None or one["model"] == model
    ]
    if as_json:
        print_json(found)
        return
    rows = [
        [
            one["at"] or "",
            one["state"],
            one["model"],
            one["policy"],
            one["request_id"] or "-",
            one["decided_by"] or "",
            one["reason"],
        ]
        for one in found
    ]
    columns = ["when", "state", "model", "policy", "request", "approved by", "why"]
    print_table(columns, rows, empty="No policy has wanted a retraining yet.")


def stories(said: Said) -> list[dict[str, Any]]:
    """Returns what became of each retraining, the latest first; what was repeated counts once."""
    told = {request.request_id: _requested(request) for request in said.requested}
    for approved in said.approved:
        story = told.setdefault(approved.request_id, _blank(approved.request_id, approved))
        story |= {
            "state": "approved",
            "at": moment(approved, "approved_at"),
            "decided_by": approved.approved_by,
            "comment": approved.comment,
        }
    unasked: dict[tuple[str, ...], dict[str, Any]] = {}
    for refused in said.refused:
        if refused.request_id:
            story = told.setdefault(refused.request_id, _blank(refused.request_id, refused))
            story |= _refusal(refused)
        else:
            at = moment(refused, "refused_at") or ""
            unasked[refused.model, refused.policy, at] = _blank(None, refused) | _refusal(refused)
    every = [*told.values(), *unasked.values()]
    return sorted(every, key=lambda story: (story["at"] or "", story["model"]), reverse=True)


async def _read(bootstrap: str) -> Said:
    return Said(
        _messages(await read_facts(bootstrap, RETRAIN_REQUESTED, RetrainRequested)),
        _messages(await read_facts(bootstrap, RETRAIN_APPROVED, RetrainApproved)),
        _messages(await read_facts(bootstrap, RETRAIN_REFUSED, RetrainRefused)),
    )


def _messages(facts: Iterable[Fact[Told]]) -> list[Told]:
    return [fact.message for fact in facts if fact.message is not None]


def _requested(request: RetrainRequested) -> dict[str, Any]:
    return _blank(request.request_id, request) | {
        "state": "requested",
        "at": moment(request, "requested_at"),
        "reason": request.reason,
        "champion": request.champion,
        "algorithm": request.algorithm,
        "new_labels": request.new_labels,
        "train_from": moment(request, "train_from"),
        "train_until": moment(request, "train_until"),
        "requested_at": moment(request, "requested_at"),
        "expires_at": moment(request, "expires_at"),
        "evidence": [evidence_values(one) for one in request.evidence],
    }


def _blank(
    request_id: str | None, said: RetrainRequested | RetrainApproved | RetrainRefused
) -> dict[str, Any]:
    return {
        "request_id": request_id,
        "model": said.model,
        "policy": said.policy,
        "state": "",
        "at": None,
        "reason": "",
        "decided_by": None,
        "evidence": [],
    }


def _refusal(refused: RetrainRefused) -> dict[str, Any]:
    return {
        "state": word(RetrainRefusal.DESCRIPTOR, refused.refusal),
        "at": moment(refused, "refused_at"),
        "reason": refused.reason,
        "evidence": [evidence_values(one) for one in refused.evidence],
    }
