"""Records as plain values: protobuf by the catalogue or the project's sources, JSON, or just bytes."""

import base64
import json
import struct
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from bus.inspect import Seen
from bus.times import format_rfc3339
from bus.topics import CATALOGUE, SCORING_REQUESTED, is_dead_letter
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError, Message
from tidemark.scoring.v1.feature_vector_pb2 import FeatureStatus, FeatureVector
from tidemark.scoring.v1.prediction_pb2 import PredictionMade

from tidemark_cli.failures import WrongUsage
from tidemark_cli.projects import see_working_folder

if TYPE_CHECKING:
    from feature_store import Source

Messages = Mapping[str, type[Message]]
_HIDDEN = "(sensitive)"
_TOLD = ("entities", "context", "request_key")


def known_messages(project: str | None) -> Messages:
    """Returns the message type of each topic that has one: the platform's own and the project's sources.

    Raises:
        WrongUsage: the project cannot be loaded.
    """
    own = {topic.name: topic.message for topic in CATALOGUE if topic.message is not None}
    return own | (_messages_of(project) if project else {})


def _messages_of(project: str) -> dict[str, type[Message]]:
    from feature_store import Protobuf  # noqa: PLC0415 - as below

    formats = {topic: source.format for topic, source in _sources_of(project).items()}
    return {topic: form.message for topic, form in formats.items() if isinstance(form, Protobuf)}


def _sources_of(project: str) -> Mapping[str, "Source"]:
    # Imported here: a project and the engine behind it take a second that other commands need not pay.
    from feature_store import load_project  # noqa: PLC0415
    from feature_store.errors import DefinitionError  # noqa: PLC0415

    see_working_folder()
    try:
        return load_project(project).sources
    except DefinitionError as error:
        raise WrongUsage(f"the project {project} cannot be loaded: {error}") from error


def concealing(project: str | None, topic: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Returns what hides in a described record what its source drops or hashes; nothing without a project.

    Raises:
        WrongUsage: the project cannot be loaded.
    """
    sources = _sources_of(project) if project else {}
    if topic == SCORING_REQUESTED.name and any(one.is_sensitive for one in sources.values()):
        return _conceal_request
    source = sources.get(topic)
    if source is None or not source.is_sensitive:
        return lambda described: described
    hidden = [
        name.split("__") for name in source.sensitive if name not in source.fields or name in source.hashed
    ]

    def conceal(described: dict[str, Any]) -> dict[str, Any]:
        for path in hidden:
            _hide(described["data"], path)
        # The source's key, id and subject may hold what a field does.
        return described | {name: _HIDDEN for name in ("key", "id", "subject") if name in described}

    return conceal


def _conceal_request(described: dict[str, Any]) -> dict[str, Any]:
    """Hide all that a caller says: what of it is sensitive is known once it was read for its model."""
    for name in _TOLD:
        _hide(described["data"], [name])
    return described | {name: _HIDDEN for name in ("key", "id", "subject") if name in described}


def _hide(data: Any, path: list[str]) -> None:
    for name in path[:-1]:
        data = data.get(name) if isinstance(data, dict) else None
    if isinstance(data, dict) and path[-1] in data:
        data[path[-1]] = _HIDDEN


def describe(seen: Seen) -> dict[str, Any]:
    """Returns a record and its envelope as JSON values."""
    described: dict[str, Any] = {
        "topic": seen.where.topic,
        "partition": seen.where.partition,
        "offset": seen.where.offset,
        "key": as_text(seen.record.key),
    }
    event = seen.event
    if event is not None:
        described |= {
            "id": event.id,
            "type": event.type,
            "source": event.source,
            "subject": event.subject,
            "time": format_rfc3339(event.time_us),
            "recorded_time": format_rfc3339(event.recorded_time_us),
        }
    described["data"] = message_values(seen.message) if seen.message else bytes_values(seen.record.value)
    if seen.problem:
        described["problem"] = seen.problem
    if is_dead_letter(seen.where.topic):
        described["headers"] = {name: as_text(value) for name, value in seen.record.headers}
    return described


def message_values(message: Message) -> Any:
    """Returns a message as JSON values, under its fields' own names; a vector as numbers instead of bytes."""
    values = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    if isinstance(message, PredictionMade) and message.HasField("features"):
        values["features"] |= _vector(message.features)
    return values


def _vector(vector: FeatureVector) -> dict[str, Any]:
    whole = len(vector.values) - len(vector.values) % 4
    floats = (number for (number,) in struct.iter_unpack("<f", vector.values[:whole]))
    return {
        "contract_hash": vector.contract_hash.hex(),
        # Seven digits are all that a float32 has to say.
        "values": [float(f"{number:.7g}") for number in floats],
        "statuses": [_status(number) for number in vector.statuses],
    }


def _status(number: int) -> str:
    known = FeatureStatus.DESCRIPTOR.values_by_number
    return known[number].name.removeprefix("FEATURE_STATUS_") if number in known else str(number)


def decode(value: bytes | None, kind: type[Message] | None) -> Any:
    """Returns a payload as JSON values: as the message it should be if it is one, else as what it is."""
    if value is None or kind is None:
        return bytes_values(value)
    try:
        return message_values(kind.FromString(value))
    except DecodeError:
        return bytes_values(value)


def bytes_values(value: bytes | None) -> Any:
    """Returns bytes as JSON values: what they say if they are JSON, else their text or base64."""
    if value is None:
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}
    try:
        return json.loads(text)
    except ValueError:
        return text


def as_text(value: bytes | None) -> str | None:
    """Returns bytes as text; what is no UTF-8 shows as escapes."""
    return None if value is None else value.decode(errors="backslashreplace")
