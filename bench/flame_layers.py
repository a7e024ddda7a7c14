"""Which layer of scoring a stack of frames is in, and what share of the samples each layer has.

Stacks are py-spy's raw ones: `outermost;...;innermost COUNT` a line, a frame being `name (file)`, or
`name (library.so)` for compiled code. Of a stack, the innermost frame that a layer claims decides: protobuf
or numpy, which no layer claims, is charged to whoever called it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

Stack = tuple[str, ...]
OTHER: Final = "other"


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer by name, the colour it is drawn in, and the frames that are its own."""

    name: str
    colour: str
    frames: re.Pattern[str]


def _layer(name: str, colour: str, *frames: str) -> Layer:
    return Layer(name, colour, re.compile("|".join(frames)))


# The first that claims a frame has it.
LAYERS: Final = (
    _layer("model", "#b07aa1", r"model_package/", r"onnxruntime"),
    _layer(
        "log",
        "#e15759",
        r"inference/adapters/kafka\.py",
        r"inference/adapters/wire_predictions\.py",
        r"^(record_all|Lingering\.\w+) ",
    ),
    _layer("Kafka", "#ff9da7", r"aiokafka", r"\(bus/", r"/bus/"),
    _layer("reading", "#76b7b2", r"inference/adapters/(resp|redis)\.py", r"hiredis"),
    _layer("reply", "#edc948", r"^(score_response|write_response|outputs_of|_output|\w+\._write_error) "),
    _layer("decoding", "#f28e2b", r"inference/adapters/wire\.py", r"try_to_deserialize"),
    _layer("assembling", "#59a14f", r"feature_store/", r"inference/assembly\.py"),
    _layer("serving", "#9c755f", r"inference/(?!__main__)"),
    _layer("gRPC", "#4e79a7", r"grpc"),
)
# What the loop does for a layer, such as writing to its socket, is that layer's.
LOOP: Final = _layer("event loop", "#bab0ac", r"uvloop", r"asyncio", r"\((loop|core|linux|stream)\.c")
_WRITTEN: Final = re.compile(r"SerializeToString")
_WAITING: Final = re.compile(
    r"^(epoll_p?wait|poll|select|futex\w*|pthread_cond_\w+|sem_\w+|PyThread_acquire_lock\w*) \(lib"
)
_INNERMOST: Final = 4
_LINE: Final = re.compile(r":\d+\)$")
_ADDRESS: Final = re.compile(r"^0x[0-9a-f]+ ")


def read_stacks(raw: Iterable[str]) -> Counter[Stack]:
    """Return how often each stack was seen at work, outermost frame first, without numbers of lines.

    Native sampling also sees threads that wait for the kernel or a lock, which takes no processor: such
    stacks are left out.

    Raises:
        ValueError: A line is no stack with a count.
    """
    stacks: Counter[Stack] = Counter()
    for number, line in enumerate(raw, start=1):
        if not line.strip():
            continue
        frames, _, count = line.rstrip().rpartition(" ")
        if not frames or not count.isdigit():
            raise ValueError(f"line {number} is no stack with a count: {line[:80]!r}")
        stack = tuple(_named(frame) for frame in frames.split(";"))
        if not is_waiting(stack):
            stacks[stack] += int(count)
    return stacks


def is_waiting(stack: Stack) -> bool:
    """Say whether a thread waits: the frames of the wait itself are under the call that it is known by."""
    return any(_WAITING.match(frame) for frame in stack[-_INNERMOST:])


def layer_of(stack: Stack) -> str:
    """Return the layer of the innermost frame that one claims; the loop has what nobody else has."""
    for frame in reversed(stack):
        for layer in LAYERS:
            if layer.frames.search(frame):
                # gRPC itself calls what writes a reply's bytes.
                written = layer.name == "gRPC" and any(map(_WRITTEN.search, stack))
                return "reply" if written else layer.name
    return LOOP.name if any(map(LOOP.frames.search, stack)) else OTHER


def _named(frame: str) -> str:
    return _ADDRESS.sub("compiled ", _LINE.sub(")", frame))


def shares(stacks: Counter[Stack]) -> dict[str, float]:
    """Return each layer's share of all samples, the largest first; they add up to 1.

    Raises:
        ValueError: There is no sample.
    """
    total = stacks.total()
    if not total:
        raise ValueError("no sample was taken: was the process idle?")
    counted: Counter[str] = Counter()
    for stack, count in stacks.items():
        counted[layer_of(stack)] += count
    return {name: count / total for name, count in counted.most_common()}
