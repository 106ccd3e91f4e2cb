"""Segments written by a model that continues ids: along the true trace where it is at hand, else alone."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from cwm_trace.model.predict.backend import Meter, Start
from cwm_trace.model.predict.branching import Branch, read_spans
from cwm_trace.model.predict.drafts import Memory
from cwm_trace.model.predict.prediction import Session, Setup
from cwm_trace.model.predict.rollout import Rollout
from cwm_trace.model.predict.true_frames import TrueFrame, cut_span, write_frames
from cwm_trace.predict.driver import Written
from cwm_trace.predict.known_frames import NOTHING, History
from cwm_trace.predict.plan import Plan
from cwm_trace.predict.protocol import ENDED
from cwm_trace.records import Cost, Decoding, Event, Frame, Outcome
from cwm_trace.states import diff_states
from cwm_trace.wire.render import main_thread
from cwm_trace.wire.tokens import EVENT_TOKENS, Special


class ModelWriter:
    """Writes the segments of one plan.

    Args:
        setup: of the predictor.
        plan: what is to be predicted.

    Raises:
        PromptTooLongError: nothing fits after the prompt.
    """

    def __init__(self, setup: Setup, plan: Plan) -> None:
        self._setup = setup
        self.session = Session(setup, plan)
        self.meter = Meter()
        self._new_tokens = self._free_tokens = 0
        self._begun = time.perf_counter()

    @property
    def decoding(self) -> Decoding:
        """That of the predictor."""
        return self._setup.decoding

    def warnings(self) -> tuple[str, ...]:
        """What a reader of the prediction must know about it."""
        return self.session.warnings

    def cost(self) -> Cost:
        """What it took so far."""
        seconds = round(time.perf_counter() - self._begun, 6)
        prompt = self.meter.prompt_tokens or len(self.session.prompt)
        meter = self.meter
        return Cost(prompt, self._new_tokens, self._free_tokens, meter.passes, seconds, meter.attention)

    def write(self, plan: Plan) -> Iterator[Frame | Written]:
        """Each segment."""
        if plan.follows or plan.draft is not None:
            yield from self._along_the_truth(plan)
            return
        start = self.begin(plan)
        for _, frame in self._setup.backend.write([start], self.meter):
            if frame is not None:
                yield frame
        yield self.finished(start.rollout)

    def begin(self, plan: Plan) -> Start:
        """The rollout of a prediction that has its own history, ready to go on."""
        session, segment = self.session, plan.segments[0]
        given = self._given_ids(plan)
        session.require_room(len(session.prompt) + len(given))
        budget = session.budget(segment.limit, len(session.prompt))
        rollout = session.rollout(session.reading(), session.frames, budget, start=len(session.frames))
        rollout.start(given, segment.known.event)
        return Start(session.prompt, len(session.prompt), rollout)

    def finished(self, rollout: Rollout) -> Written:
        """What a rollout wrote."""
        self._new_tokens += rollout.new_tokens
        self._free_tokens += rollout.free_tokens
        return Written(rollout.frames, rollout.outcome, rollout.problems, rollout.lost, rollout.texts)

    def _given_ids(self, plan: Plan) -> list[int]:
        """What is told of the first frame."""
        known, tokens = plan.segments[0].known, self._setup.tokens
        if known is NOTHING or known.event is None:
            return []
        if known.state is None:
            return [tokens.ids[EVENT_TOKENS[known.event]]]
        history = History(plan.request.history, self.session.frames)
        is_call = known.event is Event.CALL
        activation = len(history.states) if is_call else history.stack[-1].activation
        changed = diff_states(history.states.state(activation), known.state)
        pieces = self.session.reading().push(Frame(known.event, 0, "", activation, changed=changed))
        return tokens.encode_pieces(pieces[: pieces.index(Special.ACTION) + 1])

    def _along_the_truth(self, plan: Plan) -> Iterator[Frame | Written]:
        setup, session = self._setup, self.session
        shown, groups, ends = self._true_frames(plan)
        start = len(session.prompt)
        written = write_frames(
            session.reading(),
            shown,
            start,
            plan.mode,
            setup.tokens,
            ends=ends,
            length=setup.length,
        )
        ids = [*session.prompt, *(number for true in written for number in true.ids)]
        spans = []
        number = len(session.frames)
        for group in _grouped(written, groups, keep_first=not plan.follows):
            span = cut_span(
                group,
                session.open_frame,
                max_tokens=setup.max_new_tokens,
                max_frame_tokens=setup.max_frame_tokens,
            )
            if setup.decoding.temperature:
                span.sampler = setup.backend.sampler(session.seed(number))
            spans.append(span)
            number += len(group)
        last = max((span.choices[-1].position for span in spans if span.choices), default=start)
        if not setup.backend.judge(ids, start, spans, self.meter):
            for span in spans:
                if any(true.ids for true in span.frames):
                    span.fit, span.choices = 0, []
        starts: list[Start] = []
        branches: list[Branch] = []
        number = len(session.frames)
        memory = session.drafter.remember(session.frames) if session.drafter is not None else None
        frames = [frame for _, frame in shown]
        at = 0
        for branch in read_spans(spans, frames, session.reading(), setup.decoding.logprobs):
            span = branch.span
            if span.wrong is not None:
                starts.append(self._branch_off(plan, branch, ids, number + at, memory))
            elif span.fit < len(span.frames) or (not plan.follows and branch.outcome is None):
                starts.append(self._go_on(plan, branch, ids, number + at, last, memory))
            branches.append(branch)
            if memory is not None:
                for frame in frames[at : at + len(span.frames)]:
                    memory.push(frame)
            at += len(span.frames)
        if not plan.follows:
            yield from branches[0].frames
        for _, new in setup.backend.write(starts, self.meter):
            if new is not None and not plan.follows:
                yield new
        for branch, places in zip(branches, groups, strict=False):
            new_tokens, free_tokens = branch.tokens()
            self._new_tokens += new_tokens
            self._free_tokens += free_tokens
            result = branch.written()
            if plan.follows and len(branch.span.frames) < len(places):
                result.fits = len(branch.span.frames)
            yield result

    def _true_frames(self, plan: Plan) -> tuple[list[tuple[int, Frame]], list[Sequence[int]], bool]:
        """The true frames after the prompt, how they are predicted in one go, and whether the end follows."""
        known = len(self.session.frames)
        if plan.follows:
            groups: list[Sequence[int]] = [segment.places or (-1,) for segment in plan.segments]
            shown = [(at, plan.frames[at]) for segment in plan.segments for at in segment.places]
            return shown, groups, any(not segment.places for segment in plan.segments)
        truth = plan.draft
        assert truth is not None
        every = [(at, frame) for at, frame in enumerate(main_thread(truth))][known:]
        shown = every[: plan.segments[0].limit]
        ends = truth.outcome in ENDED and len(shown) == len(every)
        return shown, [[*range(len(shown) + ends)]], ends

    def _branch_off(
        self, plan: Plan, branch: Branch, ids: Sequence[int], number: int, memory: Memory | None
    ) -> Start:
        """Start a rollout at the first difference of a span."""
        span, wrong = branch.span, branch.span.wrong
        assert wrong is not None
        true = span.frames[wrong.frame]
        rollout = self._rollout(plan, branch, wrong.position, true.start, number, memory)
        rollout.resume(true, wrong.position, span.frame_logprobs(wrong.frame))
        if span.token is not None:
            rollout.take(span.token, span.logprobs[-1][1] if span.logprobs else None)
        branch.rollout = rollout
        return Start(ids, wrong.position, rollout)

    def _go_on(
        self, plan: Plan, branch: Branch, ids: Sequence[int], number: int, last: int, memory: Memory | None
    ) -> Start:
        """Start a rollout where a true trace stops before its end, or where a budget cuts it."""
        span = branch.span
        if span.fit < len(span.frames):
            true = span.frames[span.fit]
            position, given, event = true.start, true.ids[: true.given], true.event if true.given else None
        else:
            position, given, event = len(ids), [], None
        rollout = self._rollout(plan, branch, position, position, number, memory)
        branch.rollout, at = rollout, min(position - 1, last)  # a cache has no more than `last`
        rollout.pending = list(ids[at:position])
        rollout.start(given, event)
        return Start(ids, at, rollout)

    def _rollout(
        self, plan: Plan, branch: Branch, position: int, frame: int, number: int, memory: Memory | None
    ) -> Rollout:
        """A rollout from `position` in the text, in the frame that begins at `frame`."""
        session, span = self.session, branch.span
        predicted = span.count_predicted(position)
        if plan.follows:
            left, ending = len(span.frames) - len(branch.frames), Outcome.INCOMPLETE
        else:
            left, ending = plan.segments[0].limit - len(branch.frames), Outcome.TRUNCATED
        rollout = session.rollout(
            branch.reading,
            branch.frames[-1:],
            session.budget(left, position, predicted, ending),
            position=frame - span.start if span.frames else 0,
            start=number,
        )
        if span.sampler is not None:
            rollout.sampler = span.sampler
        if memory is not None:
            rollout.memory = memory.fork()
            for right in branch.frames:
                rollout.memory.push(right)
        return rollout


def _grouped(
    written: Sequence[TrueFrame], groups: Sequence[Sequence[int]], *, keep_first: bool
) -> Iterator[list[TrueFrame]]:
    """The frames that fit, group by group; none that has no frame, unless the first one is kept."""
    at = 0
    for number, group in enumerate(groups):
        part = list(written[at : at + len(group)])
        at += len(group)
        if part or (keep_first and not number):
            yield part
