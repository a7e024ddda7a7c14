"""Stacks as a picture that people can read without a program: an SVG with the outermost frame on top.

What is too narrow to be read is left out: its time shows as the gap under its caller. Left out too is how the
interpreter and the loop get from one function to the next, and what all stacks begin with; frames of one name
that follow each other are one.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Final

from bench.flame_layers import LAYERS, LOOP, OTHER, layer_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.flame_layers import Stack

FONT: Final = "Verdana, Arial, sans-serif"
WIDTH, ROW, LEGEND = 1600, 17, 44
LEAST_SHARE: Final = 0.004
CHARACTER_WIDTH: Final = 6.3
_GLUE: Final = re.compile(
    r"\((object\.h|loop\.c|loop-watcher\.c|linux\.c|stream\.c|queue\.h|_asynciomodule\.c(\.h)?)\)$"
    r"|\((<frozen runpy>|<string>|threading\.py)\)$|^compiled \(libc|^thread_run "
)
COLOURS: Final = {layer.name: layer.colour for layer in (*LAYERS, LOOP)} | {OTHER: "#d9d9d9"}


@dataclass(slots=True)
class Node:
    """A frame, how many samples it has with all that it called, and what it called.

    Attributes:
        layers: Its samples by the layer that they are charged to.
    """

    frame: str
    count: int = 0
    layers: Counter[str] = field(default_factory=Counter)
    called: dict[str, Node] = field(default_factory=dict)

    def child(self, frame: str) -> Node:
        """Return what it called by this name, at first or again."""
        return self.called.setdefault(frame, Node(frame))


@dataclass(frozen=True, slots=True)
class Box:
    """A frame as it is drawn: `left` and `share` of all samples, and how deep."""

    frame: str
    left: float
    share: float
    depth: int
    layer: str


def tree_of(stacks: Counter[Stack]) -> Node:
    """Return the tree of all stacks, beginning with the last frame that all have in common."""
    root = Node("all")
    for stack, count in stacks.items():
        layer = layer_of(stack)
        node = root
        node.count += count
        node.layers[layer] += count
        for frame in _told_frames(stack):
            node = node.child(frame)
            node.count += count
            node.layers[layer] += count
    while len(root.called) == 1 and next(iter(root.called.values())).count == root.count:
        (root,) = root.called.values()
    return root


def boxes(root: Node, least_share: float = LEAST_SHARE) -> Iterator[Box]:
    """Return the frames wide enough to be drawn, callers before what they called, the widest first."""
    waiting = [(root, 0.0, 0)]
    while waiting:
        node, left, depth = waiting.pop()
        share = node.count / root.count
        yield Box(node.frame, left, share, depth, node.layers.most_common(1)[0][0])
        for called in sorted(node.called.values(), key=lambda one: -one.count):
            if called.count / root.count < least_share:
                break
            waiting.append((called, left, depth + 1))
            left += called.count / root.count


def drawn(stacks: Counter[Stack]) -> str:
    """Return the picture of the stacks."""
    placed = list(boxes(tree_of(stacks)))
    height = LEGEND + ROW * (1 + max(box.depth for box in placed))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="{FONT}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        *_legend(),
        *(_rectangle(box) for box in placed),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def short(frame: str) -> str:
    """Return a frame's name and the end of its path: what tells it from others."""
    name, bracket, path = frame.partition(" (")
    return f"{name} ({'/'.join(path.split('/')[-2:])}" if bracket else frame


def _legend() -> Iterator[str]:
    left = 4
    for name, colour in COLOURS.items():
        yield f'<rect x="{left}" y="8" width="14" height="14" fill="{colour}"/>'
        yield f'<text x="{left + 19}" y="19" font-size="13">{escape(name)}</text>'
        left += 40 + round(len(name) * 8.2)
    words = (
        "Width: share of the processor's time. Callers stand above what they call; colour: its main layer."
    )
    yield f'<text x="4" y="{LEGEND - 6}" font-size="11">{escape(words)}</text>'


def _rectangle(box: Box) -> str:
    left, width, top = box.left * WIDTH, box.share * WIDTH, LEGEND + box.depth * ROW
    title = f"{box.frame}: {box.share:.1%}"
    label = short(box.frame)
    room = int((width - 6) / CHARACTER_WIDTH)
    if len(label) > room:
        label = label[: room - 1] + "…" if room > 3 else ""
    place = f'x="{left:.1f}" y="{top}" width="{max(0.5, width - 0.5):.1f}" height="{ROW - 1}"'
    words = f'<text x="{left + 3:.1f}" y="{top + 12}" font-size="11">{escape(label)}</text>' if label else ""
    return f'<g><title>{escape(title)}</title><rect {place} fill="{COLOURS[box.layer]}"/>{words}</g>'


def _told_frames(stack: Stack) -> Iterator[str]:
    before = None
    for frame in stack:
        if frame != before and not _GLUE.search(frame):
            yield frame
            before = frame
