"""What may make a frame hard to predict, exactly, frame by frame: axes of later plots.

The names that a line reads and writes are those of its text: of a statement over several lines, those on the
physical line of the frame. A variable counts as written when its value changed, in place or not, or when a
line that assigns to it ran, even if the value is the same as before.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cwm_trace.datasets.item import Item
from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Event, Frame, Slot, Trace


@dataclass(frozen=True, slots=True)
class Change:
    """A changed slot.

    Args:
        name: of the variable.
        type: runtime type of its value, with its module unless that is `builtins`; empty: no longer bound.
        size: elements of a container, characters of a string, bits of an int; None for the rest.
        chars: characters of the value's text.
    """

    name: str
    type: str
    size: int | None
    chars: int


@dataclass(frozen=True, slots=True)
class Covariates:
    """Of one frame.

    Args:
        horizon: frames since the last given one: 1 for the first that is predicted, 0 or less for given ones.
        depth: activations below this one on the stack.
        live: bound variables of its activation.
        changes: variables that differ from the last frame of the activation.
        reads: variables of the activation that the frame's line reads, and for each the frames since it was
            last written: 0 if this very frame is the first to show its value.
    """

    horizon: int
    depth: int
    live: int
    changes: tuple[Change, ...]
    reads: Mapping[str, int]

    @property
    def changed(self) -> int:
        """Number of changed variables."""
        return len(self.changes)

    @property
    def distance(self) -> int | None:
        """Frames since the variable that is read was last written, at the most; None: none is read."""
        return max(self.reads.values(), default=None)


def measure_frames(item: Item, trace: Trace, *, given: int = 1) -> list[Covariates]:
    """The covariates of every frame of an item's trace.

    Args:
        item: the program.
        trace: a real execution of it, recorded with whole values.
        given: leading frames that a prediction is handed; by default the CALL of the entry.

    Raises:
        CwmTraceError: the trace is of another program.
    """
    text = trace.files[0].text if trace.files else ""
    if not text.startswith(item.source):
        raise CwmTraceError(f"the trace is not one of item {item.id}: its program has another text")
    names = [_Names(file.text) for file in trace.files]
    activations: dict[int, _Activation] = defaultdict(_Activation)
    return [
        activations[frame.activation].measure(frame, place, names[frame.file], place + 1 - given)
        for place, frame in enumerate(trace.frames)
    ]


@dataclass(slots=True)
class _Activation:
    """What is known of one activation so far."""

    slots: dict[str, Slot] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)  # name to place of the frame that showed it first
    pending: frozenset[str] = frozenset()  # what the line that is running assigns to
    called: int = 0  # line of its CALL

    def measure(self, frame: Frame, place: int, names: _Names, horizon: int) -> Covariates:
        """Go on by one frame."""
        if frame.event is Event.CALL and not self.called:
            self.called = frame.line
        for name, slot in frame.changed.items():
            if slot is None:
                self.slots.pop(name, None)
                self.written.pop(name, None)
            else:
                self.slots[name] = slot
                self.written[name] = place
        if frame.event is not Event.EXCEPTION:
            for name in self.pending & self.slots.keys():
                self.written[name] = place
        self.pending = frozenset()
        reads: dict[str, int] = {}
        if frame.event in (Event.LINE, Event.RETURN):
            loaded = names.loads[frame.line]
            if names.lambdas.get(self.called):
                loaded = loaded | names.lambdas[frame.line]
            reads = {name: place - self.written[name] for name in sorted(loaded & self.written.keys())}
        if frame.event is Event.LINE:
            self.pending = frozenset(names.stores[frame.line])
        return Covariates(horizon, frame.depth, len(self.slots), tuple(_changes(frame)), reads)


def _changes(frame: Frame) -> Iterator[Change]:
    for name, slot in frame.changed.items():
        if slot is None:
            yield Change(name, "", None, 0)
        else:
            yield Change(name, slot.type, slot.size, len(slot.text) + slot.clipped)


class _Names:
    """The names that each line of a source text reads and writes; apart, those in the bodies of lambdas."""

    def __init__(self, text: str) -> None:
        self.loads: dict[int, set[str]] = defaultdict(set)
        self.stores: dict[int, set[str]] = defaultdict(set)
        self.lambdas: dict[int, set[str]] = defaultdict(set)
        self._visit(ast.parse(text), self.loads)

    def _visit(self, node: ast.AST, loads: dict[int, set[str]]) -> None:
        if isinstance(node, ast.Name):
            (loads if isinstance(node.ctx, ast.Load) else self.stores)[node.lineno].add(node.id)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            loads[node.lineno].add(node.target.id)
        elif isinstance(
            node, ast.FunctionDef | ast.ClassDef | ast.ExceptHandler | ast.MatchAs | ast.MatchStar
        ):
            if node.name:
                self.stores[node.lineno].add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            self.stores[node.lineno].add(node.rest)
        for child in ast.iter_child_nodes(node):
            inside = isinstance(node, ast.Lambda) and child is node.body
            self._visit(child, self.lambdas if inside else loads)
