"""Rollouts that branch off a true trace: what is right of each span is read, the rest is theirs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from cwm_trace.model.predict.guide import Reading
from cwm_trace.model.predict.rollout import Rollout
from cwm_trace.model.predict.true_frames import Span
from cwm_trace.predict.driver import Texts, Written
from cwm_trace.records import Event, Frame, Outcome, Problem


@dataclass(slots=True)
class Branch:
    """What is predicted for a span.

    Args:
        span: the true frames.
        reading: has taken the frames of the span that are right.
        frames: those frames, as they are read.
        texts: what each was read from.
        problems: what is wrong with them; numbered from the first frame of the span.
        rollout: goes on from the first difference; None if there is none.
        outcome: how the trace ends, if the end is right.
    """

    span: Span
    reading: Reading
    frames: list[Frame] = field(default_factory=list)
    texts: list[Texts | None] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    rollout: Rollout | None = None
    outcome: Outcome | None = None

    def written(self) -> Written:
        """The right frames and those of the rollout."""
        rollout = self.rollout
        if rollout is None:
            return Written(self.frames, self.outcome, self.problems, None, self.texts)
        further = (replace(p, frame=p.frame + len(self.frames)) for p in rollout.problems)
        return Written(
            [*self.frames, *rollout.frames],
            rollout.outcome,
            [*self.problems, *further],
            rollout.lost,
            [*self.texts, *rollout.texts],
        )

    def tokens(self) -> tuple[int, int]:
        """Tokens that were predicted, and those of them that no pass was needed for."""
        span, rollout = self.span, self.rollout
        end = span.wrong.position if span.wrong is not None else span.end
        tokens = span.count_predicted(end)
        free = tokens - sum(choice.position < end for choice in span.choices)
        return (
            (tokens, free) if rollout is None else (tokens + rollout.new_tokens, free + rollout.free_tokens)
        )


def read_spans(
    spans: Sequence[Span], frames: Sequence[Frame], reading: Reading, keep_logprobs: bool
) -> Iterator[Branch]:
    """Read what is right of each span, from the true history before it.

    Args:
        spans: after they were judged.
        frames: the true frames from the first span on.
        reading: has taken the frames before; each branch has a copy, which a rollout may go on with.
        keep_logprobs: keep log-probabilities in the frames.
    """
    at = 0
    for span in spans:
        branch = Branch(span, reading.fork())
        for index, true in enumerate(span.frames[: span.right]):
            if not true.pieces:  # a RETURN that the profile does not write
                branch.reading.push(frames[at + index])
                branch.frames.append(frames[at + index])
                branch.texts.append(None)
                continue
            if true.event is Event.END:
                branch.outcome, faults = branch.reading.reader.end()
                frame = None
            else:
                frame, faults = branch.reading.reader.read(true.pieces[:-1])
            place = true.start - span.start
            branch.problems += [Problem(grade, index, place, message) for grade, message in faults]
            if frame is not None:
                branch.reading.follow(frame)
                if keep_logprobs:
                    found = {name: tuple(values) for name, values in span.frame_logprobs(index).items()}
                    frame = replace(frame, logprobs=found)
                branch.frames.append(frame)
                branch.texts.append(branch.reading.reader.texts)
        yield branch
        for _ in span.frames:
            if at < len(frames):
                reading.push(frames[at])
                at += 1
