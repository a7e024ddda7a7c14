"""`tidemark explain`: why a prediction has the score it has."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import grpc
import typer
from google.protobuf.json_format import MessageToDict
from tidemark.explanations.v1.explain_service_pb2 import ExplainRequest, ExplainResponse
from tidemark.explanations.v1.explain_service_pb2_grpc import ExplainServiceStub

from tidemark_cli.failures import Failure, OutOfReach, WrongUsage
from tidemark_cli.options import AsJson
from tidemark_cli.output import note, print_facts, print_json, print_table, say

DEFAULT_ADDRESS: Final = "localhost:50052"
_BAR: Final = 24
_METHODS: Final = {1: "exact", 2: "permutations"}
_BACKGROUNDS: Final = {1: "vectors of the training set", 2: "golden rows"}
_STATUSES: Final = {2: "missing", 3: "stale", 4: "defaulted"}

PredictionId = Annotated[
    str, typer.Argument(help="The prediction's id, as the reply to its request has it.", show_default=False)
]
Address = Annotated[
    str,
    typer.Option(
        "--address",
        envvar="TIDEMARK_EXPLAIN_ADDRESS",
        metavar="HOST:PORT",
        help="Where `python -m inference --role explain` listens.",
    ),
]
Reasons = Annotated[
    int, typer.Option(min=0, max=100, help="How many reasons of each direction are told in words.")
]
Features = Annotated[
    int, typer.Option(min=0, help="How many features the table shows, the strongest first; 0 for all.")
]
Output = Annotated[
    str, typer.Option(metavar="NAME", help="Which output of the model; the score when left out.")
]
Element = Annotated[int, typer.Option(min=0, help="Which element of that output, such as a class.")]
Timeout = Annotated[float, typer.Option("--timeout", min=0.001, help="Seconds to wait for the answer.")]


def explain(  # noqa: PLR0913 - one parameter an option
    prediction_id: PredictionId,
    *,
    address: Address = DEFAULT_ADDRESS,
    reasons: Reasons = 3,
    features: Features = 10,
    output: Output = "",
    element: Element = 0,
    timeout_seconds: Timeout = 60.0,
    as_json: AsJson = False,
) -> None:
    """Say why a prediction has its score: what each feature added, and the strongest reasons in words.

    The score is the base, which is what the model gives on average, and what
    the features added to it. Log-odds are in the JSON.

    For example:

        tidemark explain 5f2b8c0e

        tidemark explain 5f2b8c0e --json | jq -r '.explanation.reasons[].text'
    """
    question = ExplainRequest(prediction_id=prediction_id, output=output, element=element, reasons=reasons)
    found = _ask(address, question, timeout_seconds)
    if as_json:
        print_json(
            MessageToDict(found, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
        )
        return
    _show(found, features)


def _ask(address: str, question: ExplainRequest, timeout_seconds: float) -> ExplainResponse:
    """Ask, once.

    Raises:
        WrongUsage: the question makes no sense.
        OutOfReach: nobody answers there, or not now.
        Failure: there is no such prediction, or no explanation of it.
    """
    with grpc.insecure_channel(address) as channel:
        try:
            answer: ExplainResponse = ExplainServiceStub(channel).Explain(question, timeout=timeout_seconds)
        except grpc.RpcError as error:
            raise _failure(error, address) from error
    return answer


def _failure(error: Any, address: str) -> Failure:
    code, details = error.code(), error.details()
    if code is grpc.StatusCode.INVALID_ARGUMENT:
        return WrongUsage(details)
    if code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}:
        return OutOfReach(
            f"no explanation from {address}: {details}. Does `python -m inference --role explain` run there? "
            "Name another with --address, or wait longer with --timeout"
        )
    return Failure(details)


def _show(found: ExplainResponse, features: int) -> None:
    explanation = found.explanation
    print_facts(
        {
            "model": f"{explanation.model} {explanation.version}",
            _explained(explanation): f"{explanation.value:.6g}",
            "base": f"{explanation.base_value:.6g}, on average over {explanation.background_rows} "
            f"{_BACKGROUNDS.get(explanation.background, 'vectors')}",
            "method": f"Shapley values, {_METHODS.get(explanation.method, 'unknown')}",
        }
    )
    say("")
    columns = ["feature", "value #", "usual #", "status", "adds #", ""]
    print_table(columns, _rows(explanation, features), empty="The model has no features.")
    say("")
    for reason in explanation.reasons:
        say(f"- {reason.text}")
    for remark in explanation.notes:
        note(remark)


def _explained(explanation: Any) -> str:
    is_score = explanation.output == "score"
    return "score" if is_score else f"{explanation.output}[{explanation.element}]"


def _rows(explanation: Any, features: int) -> list[Sequence[str]]:
    strongest = sorted(explanation.contributions, key=lambda one: -abs(one.contribution))
    longest = abs(strongest[0].contribution) if strongest else 0.0
    return [
        (
            one.feature,
            f"{one.value:.4g}",
            f"{one.usual:.4g}",
            _STATUSES.get(one.status, ""),
            f"{one.contribution:+.4f}",
            bar(one.contribution, longest),
        )
        for one in strongest[: features or None]
    ]


def bar(contribution: float, longest: float) -> str:
    """Draw a contribution, the longest over the whole width; what lowers is drawn lighter."""
    length = round(_BAR * abs(contribution) / longest) if longest else 0
    return ("█" if contribution > 0 else "░") * length
