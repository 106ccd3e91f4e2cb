"""Local-step accuracy: is the next frame what Python gives from the model's own state?

A wrong frame after a wrong state may be rightly computed. So the real line is run from the state that the
prediction shows, and what comes of it is compared with the frame that the prediction shows next. The state
must be one of literals; which statements are covered is told in `statements.py` beside this. They run on the
Python that runs this: record the real executions with the same version.
"""

from __future__ import annotations

import ast
import functools
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cwm_trace.eval.comparison.equality import Equality, slots_equal
from cwm_trace.eval.comparison.metrics import Rate
from cwm_trace.eval.local_steps.sandboxed_steps import Job, Outcome, run_steps
from cwm_trace.eval.local_steps.statements import Statement, find_statements
from cwm_trace.predict.modes import ModeKind, parse_mode
from cwm_trace.predict.protocol import ENDED
from cwm_trace.records import Event, Frame, Slot, State, Trace
from cwm_trace.states import Activations

Runner = Callable[[Sequence[Job]], "Sequence[Outcome | None]"]


@dataclass(frozen=True, slots=True)
class LocalSteps:
    """Steps from the prediction's own states.

    Args:
        by_kind: rightly computed ones among the covered ones, by kind of statement.
        outside: LINE frames that are not covered, by reason: the `statement` is of another kind or does more
            than a text can tell; it uses `names` that are no local variables and no pure builtins; its
            `state` is not literal; or Python gave `no outcome` that follows from the texts (an object that
            changed may have another name; a set; a limit of time or memory).
    """

    by_kind: Mapping[str, Rate] = field(default_factory=dict)
    outside: Mapping[str, int] = field(default_factory=dict)

    @property
    def accuracy(self) -> Rate:
        """All covered steps."""
        rates = self.by_kind.values()
        return Rate(sum(rate.hits for rate in rates), sum(rate.total for rate in rates))

    @property
    def coverage(self) -> Rate:
        """Covered steps among all."""
        covered = self.accuracy.total
        return Rate(covered, covered + sum(self.outside.values()))


@dataclass(frozen=True, slots=True)
class _Step:
    statement: Statement
    frame: Frame
    state: State
    following: Frame | None
    after: State | None


def score_local_steps(
    predictions: Sequence[tuple[Trace, Trace | None]],
    *,
    equality: Equality = Equality.NORMAL,
    run: Runner = run_steps,
) -> list[LocalSteps]:
    """Run the line of every predicted LINE frame from its own state and compare with the next frame.

    Only where a prediction goes on from its own frames: modes `free`, `step-over` and `reground-K` within a
    block; nothing in the others.

    Args:
        predictions: each with its recorded trace, if that is at hand. It knows the types that a parsed
            prediction lacks: a variable that holds anything but literals in it is not taken for one.
        equality: how texts are compared.
        run: what runs statements, in one isolated process for all of them.

    Raises:
        CwmTraceError: that process cannot be started.
    """
    steps = [list(_steps(predicted, _untyped(real))) for predicted, real in predictions]
    jobs = [_job(step) for part in steps for step in part if not isinstance(step, str)]
    outcomes = iter(run(jobs) if jobs else ())
    return [_count(part, outcomes, equality) for part in steps]


def _count(
    steps: Sequence[_Step | str], outcomes: Iterator[Outcome | None], equality: Equality
) -> LocalSteps:
    totals: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    outside: Counter[str] = Counter()
    for step in steps:
        if isinstance(step, str):
            outside[step] += 1
            continue
        outcome = next(outcomes)
        if outcome is None:
            outside["no outcome"] += 1
            continue
        totals[step.statement.kind] += 1
        hits[step.statement.kind] += _is_right(step, outcome, equality)
    return LocalSteps({kind: Rate(hits[kind], totals[kind]) for kind in sorted(totals)}, dict(outside))


def _untyped(real: Trace | None) -> frozenset[str]:
    """Variables whose texts do not tell that they are no literals."""
    if real is None:
        return frozenset()
    changes = (item for frame in real.frames for item in frame.changed.items())
    return frozenset(
        name for name, slot in changes if slot is not None and not is_literal(slot.text, slot.type)
    )


def _steps(predicted: Trace, untyped: frozenset[str]) -> Iterator[_Step | str]:
    """Every step, or why it is outside."""
    mode = parse_mode(predicted.guess.mode or "free")
    if mode.is_forced or mode.kind is ModeKind.OUTPUT:
        return
    block = mode.number if mode.kind is ModeKind.REGROUND else 0
    programs = [find_statements(file.text) for file in predicted.files]
    frames, given = predicted.frames, predicted.guess.given
    states, first_lines = Activations(), dict[int, int]()
    shown: list[State | None] = []
    for frame in frames:
        if frame.event is Event.CALL:
            first_lines.setdefault(frame.activation, frame.line)
        shown.append(states.advance(frame) if frame.event in (Event.CALL, Event.LINE) else None)
    ends = predicted.outcome in ENDED
    for index in range(max(0, given - 1), len(frames) if ends and not block else len(frames) - 1):
        frame, state = frames[index], shown[index]
        if frame.event is not Event.LINE or state is None:
            continue
        if block and (index + 1 - given) % block == 0:
            continue  # the next frame follows the truth
        statement = programs[frame.file].get(frame.line) if frame.file < len(programs) else None
        if statement is None or statement.first != first_lines.get(frame.activation, -1):
            yield "statement"
        elif not statement.needs <= state.keys():
            yield "names"
        elif not all(_is_known(name, slot, untyped) for name, slot in state.items()):
            yield "state"
        else:
            following = frames[index + 1] if index + 1 < len(frames) else None
            after = None if following is None else shown[index + 1]
            yield _Step(statement, frame, state, following, after)


def _is_known(name: str, slot: Slot, untyped: frozenset[str]) -> bool:
    if slot.clipped or (not slot.type and name in untyped):
        return False
    return is_literal(slot.text, slot.type)


@functools.lru_cache(maxsize=1 << 14)
def is_literal(text: str, kind: str) -> bool:
    """Whether a text is a literal, of that type if there is one (a subclass may look like a literal)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return False
    return not kind or type(value).__name__ == kind


def _job(step: _Step) -> Job:
    is_expression = step.statement.kind in ("if", "while", "return")
    return Job(step.statement.source, is_expression, {name: slot.text for name, slot in step.state.items()})


def _is_right(step: _Step, outcome: Outcome, equality: Equality) -> bool:
    statement, frame, following = step.statement, step.frame, step.following
    if following is None or following.activation != frame.activation or following.file != frame.file:
        return False
    line = following.line
    if outcome.error is not None:
        says = following.value is not None and slots_equal(Slot(outcome.error), following.value, equality)
        return following.event is Event.EXCEPTION and line == frame.line and says
    target = (
        statement.then if outcome.true is not False or statement.kind == "return" else statement.otherwise
    )
    if target == 0:
        value = outcome.value if statement.kind == "return" and outcome.value is not None else "None"
        said = following.value or Slot("None")
        return (
            following.event is Event.RETURN
            and line == frame.line
            and slots_equal(Slot(value), said, equality)
        )
    if following.event is not Event.LINE or line != target or step.after is None:
        return False
    texts = {name: slot.text for name, slot in step.state.items()} | outcome.changed
    return texts.keys() == step.after.keys() and all(
        slots_equal(Slot(text, _kind(step.after[name])), step.after[name], equality)
        for name, text in texts.items()
    )


def _kind(slot: Slot) -> str:
    return "str" if slot.text[:1] in "'\"" else slot.type
