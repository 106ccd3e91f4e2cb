"""The questions of REval (Chen et al. 2024, arXiv 2403.16437), answered from a predicted trace.

Is a line executed (coverage)? Which line follows its first execution (path)? What value has a variable that
it binds then (state)? What comes out (output, which is `output_accuracy`)? And do the answers build on each
other (incremental consistency)? REval asks a model for chosen lines, one prompt each; here every line is
asked for, of the trace that the model wrote in mode `free`.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

from cwm_trace.eval.comparison.answers import Verdict
from cwm_trace.eval.comparison.branches import nested_code
from cwm_trace.eval.comparison.equality import Equality, slots_equal
from cwm_trace.eval.comparison.metrics import Rate
from cwm_trace.flow.graph import line_events
from cwm_trace.records import Event, Slot, Trace
from cwm_trace.wire.render import STATEFUL

_EIGHTHS = {4: 8, 3: 4, 2: 2, 1: 1}
"""What a line earns if coverage, state, path and output are right up to so many of them and then no more."""


@dataclass
class _Line:
    """What a trace says of a line.

    Args:
        following: what came after each of its executions: a line, or the event that left the activation.
        bound: variables that its first execution changed, and their values.
    """

    following: list[int | str] = field(default_factory=list)
    bound: Mapping[str, Slot | None] | None = None


def score_reval(
    real: Trace, predicted: Trace, answer: str | None, equality: Equality = Equality.NORMAL
) -> dict[str, Rate]:
    """Right answers by kind of question: `coverage`, `path`, `state`, `consistency`; the last in eighths.

    Args:
        real: the recorded trace.
        predicted: the prediction.
        answer: verdict of the output; None if there is none.
        equality: of variables.
    """
    lines = program_lines(real.files[0].text) if real.files else frozenset()
    if real.entry_line and real.entry == "main":
        lines = frozenset(line for line in lines if line < real.entry_line)
    ours, theirs = _walk(real), _walk(predicted)
    output = answer == Verdict.RIGHT
    covered = paths = states = bindings = earned = 0
    asked = [line for line in ours if line in lines]
    for line in lines:
        covered += (line in ours) == (line in theirs)
    for line in asked:
        said = theirs.get(line, _Line())
        path = bool(said.following) and said.following[0] in ours[line].following
        bound = ours[line].bound or {}
        right = {name: _same(slot, said.bound, name, equality) for name, slot in bound.items()}
        paths, states, bindings = paths + path, states + sum(right.values()), bindings + len(right)
        earned += _eighths([line in theirs, all(right.values()), path, output])
    found = {
        "coverage": Rate(covered, len(lines)),
        "path": Rate(paths, len(asked)),
        "state": Rate(states, bindings),
    }
    if answer is not None:
        found["consistency"] = Rate(earned, 8 * len(asked))
    return found


def _same(slot: Slot | None, said: Mapping[str, Slot | None] | None, name: str, equality: Equality) -> bool:
    return said is not None and name in said and slots_equal(slot, said[name], equality)


def _eighths(right: list[bool]) -> int:
    """A right answer behind a wrong one does not build on it: then there is nothing to earn."""
    count = sum(right)
    return _EIGHTHS.get(count, 0) if all(right[:count]) else 0


def _walk(trace: Trace) -> dict[int, _Line]:
    """What a trace says of each line of its first file, in the order of their first executions."""
    found: dict[int, _Line] = {}
    last: dict[int, int] = {}
    for frame in trace.frames:
        if frame.thread or frame.file:
            continue
        before = last.pop(frame.activation, None)
        if before is not None:
            line = found[before]
            line.following.append(frame.line if frame.event is Event.LINE else frame.event.value)
            if len(line.following) == 1:
                line.bound = frame.changed if frame.event in STATEFUL else None
        if frame.event is Event.LINE:
            found.setdefault(frame.line, _Line())
            last[frame.activation] = frame.line
    return found


@functools.lru_cache(maxsize=1 << 12)
def program_lines(source: str) -> frozenset[int]:
    r"""Lines that can be executed, in functions; in a program without any, in the module.

    >>> sorted(program_lines("def f(n):\n    if n:\n        return 1\n    return 2\n"))
    [2, 3, 4]
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module, *functions = nested_code(compile(source, "<source>", "exec", dont_inherit=True))
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return frozenset()
    return frozenset(line for code in functions or [module] for line, _ in line_events(code))
