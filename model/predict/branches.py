"""Rollouts that branch off a true trace, decoded together over the one cache of its text."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from cwm_trace.model.cache import KVCache
from cwm_trace.model.predict.engine import Engine, Rows, Solo, run
from cwm_trace.model.predict.rollout import Rollout
from cwm_trace.model.predict.truth import Span
from cwm_trace.model.rows import RowsCache
from cwm_trace.predictor import NO_MORE
from cwm_trace.records import Event, Frame, Outcome, Problem
from cwm_trace.states import Activations
from cwm_trace.wire.reader import FrameReader
from cwm_trace.wire.render import STATEFUL


@dataclass(slots=True)
class Branch:
    """What is predicted for a span.

    Args:
        span: the true frames.
        reader: has taken the frames of the span that are right.
        frames: those frames, as they are read.
        problems: what is wrong with them; numbered from the first frame of the span.
        rollout: goes on from the first difference; None if there is none.
        fork: tokens of the text that the rollout sees.
        outcome: how the trace ends, if the end is right.
    """

    span: Span
    reader: FrameReader
    frames: list[Frame] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    rollout: Rollout | None = None
    fork: int = 0
    outcome: Outcome | None = None

    def ending(self) -> Outcome:
        """How a free rollout ends."""
        if self.rollout is not None and self.rollout.outcome is not None:
            return self.rollout.outcome
        return self.outcome or Outcome.TRUNCATED

    def predicted(self) -> list[Frame]:
        """The right frames and those of the rollout."""
        return self.frames if self.rollout is None else [*self.frames, *self.rollout.frames]

    def all_problems(self) -> Iterator[Problem]:
        """Problems, numbered from the beginning of the true trace."""
        found = list(self.problems)
        if self.rollout is not None:
            found += [replace(p, frame=p.frame + len(self.frames)) for p in self.rollout.problems]
        return (replace(problem, frame=problem.frame + self.span.first) for problem in found)


def read_spans(
    spans: Sequence[Span], frames: Sequence[Frame], reader: FrameReader, keep_logprobs: bool
) -> Iterator[Branch]:
    """Read what is right of each span, from the true history before it.

    Args:
        spans: after `find_differences`.
        frames: the true frames from the first span on.
        reader: has taken the frames before; each branch has a copy, which a rollout may go on with.
        keep_logprobs: keep log-probabilities in the frames.
    """
    at = 0
    for span in spans:
        branch = Branch(span, reader.fork())
        for index, true in enumerate(span.frames[: span.right]):
            if not true.pieces:  # a RETURN that the profile does not write
                branch.reader.push(frames[at + index])
                branch.frames.append(frames[at + index])
                continue
            if true.event is Event.END:
                branch.outcome, faults = branch.reader.end()
                frame = None
            else:
                frame, faults = branch.reader.read(true.pieces[:-1])
            branch.problems += [Problem(grade, index, 0, message) for grade, message in faults]
            if frame is not None:
                if keep_logprobs:
                    found = {name: tuple(values) for name, values in span.frame_logprobs(index).items()}
                    frame = replace(frame, logprobs=found)
                branch.frames.append(frame)
        yield branch
        for _ in span.frames:
            if at < len(frames):
                reader.push(frames[at])
                at += 1


def run_branches(engine: Engine, prefix: KVCache, branches: Sequence[Branch], max_rows: int) -> None:
    """Decode the rollouts that continue a text.

    Args:
        engine: Decodes.
        prefix: Cache of the text, with `rings=False`.
        branches: Those without a rollout that goes on are left alone.
        max_rows: Rollouts that are decoded together.
    """
    rollouts = [(b.fork, b.rollout) for b in branches if b.rollout is not None and not b.rollout.is_done]
    if len(rollouts) == 1:
        ((fork, rollout),) = rollouts
        prefix.rollback(prefix.length - fork)
        for _ in run(engine, Solo(engine.decoder, prefix), [rollout]):
            pass
        return
    waiting = deque(rollouts)
    decoder = engine.decoder
    count = min(len(waiting), max_rows)
    if not count:
        return
    cache = RowsCache(decoder.config, count, prefix, dtype=decoder.dtype, device=decoder.device)
    rows = Rows(decoder, cache)
    running: list[Rollout] = []
    for row in range(count):
        fork, rollout = waiting.popleft()
        cache.restart(row, fork)
        running.append(rollout)
    while True:
        engine.step(rows, running)
        for row, rollout in enumerate(running):
            if rollout.is_done and waiting:
                fork, running[row] = waiting.popleft()
                cache.restart(row, fork)
        going = [row for row, rollout in enumerate(running) if not rollout.is_done]
        if not going:
            return
        if 2 * len(going) <= len(running):  # a copy is cheaper than many idle rows
            cache.keep(going)
            running = [running[row] for row in going]


def align(branches: Sequence[Branch], frames: Sequence[Frame], before: Sequence[Frame]) -> list[Frame]:
    """Predicted frames at the positions of the true ones, resolvable by themselves.

    Args:
        branches: in their order, done.
        frames: the true frames from the first span on.
        before: the given frames.
    """
    truth, chain = Activations(), Activations()
    for frame in before:
        truth.advance(frame)
        chain.advance(frame)
    aligned = []
    at = 0
    for branch in branches:
        is_end = branch.span.frames[-1].event is Event.END
        wanted = 0 if is_end else len(branch.span.frames)
        own = truth.fork() if wanted > 1 else truth
        predicted = branch.predicted()[: wanted or 1]
        if len(predicted) < (wanted or (branch.rollout is not None)):
            predicted.append(missing_frame(branch.rollout))
        predicted += [NO_MORE.frame] * (wanted - len(predicted))
        for frame in predicted:
            if frame.event in STATEFUL:
                state = own.after(frame)
                if wanted > 1:
                    own.advance(frame)
                frame = replace(frame, changed=chain.change(frame.activation, state))
            aligned.append(frame)
        for frame in frames[at : at + wanted]:
            truth.advance(frame)
        at += wanted
    return aligned


def missing_frame(rollout: Rollout | None) -> Frame:
    """Stands for a frame that was cut or is none, so that the ones after it keep their places."""
    event = None if rollout is None else rollout.frame.event
    if rollout is None or rollout.outcome is not Outcome.TRUNCATED or event is None or rollout.frame.is_done:
        return NO_MORE.frame
    return Frame(event, 0, "")
