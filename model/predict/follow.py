"""Predictions along a true trace: read it once, branch off where the model differs, put both together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cwm_trace.model.cache import KVCache
from cwm_trace.model.predict.branches import Branch, align, read_spans, run_branches
from cwm_trace.model.predict.drafts import Memory
from cwm_trace.model.predict.engine import Engine
from cwm_trace.model.predict.rollout import Rollout
from cwm_trace.model.predict.session import Session
from cwm_trace.model.predict.truth import Span, cut_spans, find_differences, write_frames
from cwm_trace.modes import ModeKind
from cwm_trace.predictor import ENDED, require_truth
from cwm_trace.records import Frame, Outcome, Problem
from cwm_trace.wire.render import main_thread


@dataclass(frozen=True, slots=True)
class Followed:
    """What was predicted along a true trace.

    Args:
        frames: the predicted frames.
        outcome: of the prediction.
        problems: where it is not valid; numbered like the true frames.
        new_tokens: tokens that were predicted.
        free_tokens: those of them that no pass was needed for.
    """

    frames: list[Frame]
    outcome: Outcome
    problems: list[Problem]
    new_tokens: int
    free_tokens: int


def follow_truth(session: Session, engine: Engine, cache: KVCache) -> Followed:
    """Predict in a mode that has the truth: the forced ones, `reground-K`, and `free` with a known end.

    Args:
        session: Its request has the truth.
        engine: Decodes.
        cache: Has taken a beginning of the prompt; is left with the prompt and more.
    """
    request, mode, given = session.request, session.mode, len(session.frames)
    truth = require_truth(request, f"mode '{mode}'")
    true_frames = main_thread(truth)[given:]
    is_free = mode.kind is ModeKind.FREE
    frames = true_frames[: request.max_frames] if is_free else true_frames
    ends = truth.outcome in ENDED and mode.kind in (ModeKind.FORCED, ModeKind.FREE)
    start = len(session.prompt)
    written, is_whole = write_frames(
        session.reader(),
        frames,
        start,
        mode,
        session.tokens,
        ends=ends and len(frames) == len(true_frames),
        max_tokens=session.length,
    )
    ids = [*session.prompt, *(number for true in written for number in true.ids)]
    options = session.options
    spans = cut_spans(
        written,
        given,
        mode,
        session.open_frame,
        max_tokens=options.max_new_tokens,
        max_frame_tokens=options.max_frame_tokens,
    )
    for span in spans:
        span.sampler = session.sampler(span.first)
    last = max((span.choices[-1].position for span in spans if span.choices), default=start)
    engine.passes += find_differences(
        engine.decoder, cache, ids[:last], spans, engine.chooser, options.logprobs
    )
    branches = []
    memory = session.drafter.remember(session.frames) if session.drafter is not None else None
    for branch in read_spans(spans, frames, session.reader(), options.logprobs):
        if branch.span.wrong is not None:
            _branch_off(session, branch, memory)
        elif branch.span.fit < len(branch.span.frames) or (is_free and branch.outcome is None):
            _go_on(session, branch, ids, last, memory)
        branches.append(branch)
        if memory is not None:
            for frame in frames[branch.span.first - given :][: len(branch.span.frames)]:
                memory.push(frame)
    run_branches(engine, cache, branches, options.max_rows)
    if is_free:
        predicted = [frame for branch in branches for frame in branch.predicted()]
        outcome = branches[-1].ending()
    else:
        predicted = align(branches, frames, session.frames)
        surplus = len(predicted) > len(frames)
        outcome = Outcome.TRUNCATED if not is_whole else Outcome.INCOMPLETE if surplus else truth.outcome
    problems = [problem for branch in branches for problem in branch.all_problems()]
    counts = [_count(branch) for branch in branches]
    new_tokens, free_tokens = sum(new for new, _ in counts), sum(free for _, free in counts)
    return Followed(predicted, outcome, problems, new_tokens, free_tokens)


def _count(branch: Branch) -> tuple[int, int]:
    """Tokens that were predicted, and those of them that no pass was needed for."""
    span, rollout = branch.span, branch.rollout
    end = span.wrong.position if span.wrong is not None else _end(span, span.fit)
    tokens = span.count_predicted(end)
    free = tokens - sum(choice.position < end for choice in span.choices)
    return (tokens, free) if rollout is None else (tokens + rollout.new_tokens, free + rollout.free_tokens)


def _end(span: Span, frames: int) -> int:
    """Position after the first so many frames."""
    return span.frames[frames - 1].start + len(span.frames[frames - 1].ids) if frames else 0


def _branch_off(session: Session, branch: Branch, memory: Memory | None) -> None:
    """Start a rollout at the first difference of a span."""
    span, wrong = branch.span, branch.span.wrong
    assert wrong is not None
    rollout = _rollout(session, branch, wrong.position, memory)
    rollout.resume(span.frames[wrong.frame], wrong.position, span.frame_logprobs(wrong.frame))
    rollout.take(span.token, span.logprobs[-1][1] if span.logprobs else None)
    branch.rollout, branch.fork = rollout, wrong.position


def _go_on(session: Session, branch: Branch, ids: Sequence[int], last: int, memory: Memory | None) -> None:
    """Start a rollout where a true trace stops before its end, or where a budget cuts it."""
    span = branch.span
    if span.fit < len(span.frames):
        true = span.frames[span.fit]
        position, given, event = true.start, true.ids[: true.given], true.event if true.given else None
    else:
        position, given, event = len(ids), [], None
    rollout = _rollout(session, branch, position + len(given), memory)
    branch.rollout, branch.fork = rollout, min(position - 1, last)  # the cache has no more than `last`
    rollout.pending = list(ids[branch.fork : position])
    rollout.start(given, event)


def _rollout(session: Session, branch: Branch, position: int, memory: Memory | None) -> Rollout:
    if session.mode.kind is ModeKind.FREE:
        frames, ending = session.request.max_frames - len(branch.frames), Outcome.TRUNCATED
    else:
        frames, ending = len(branch.span.frames) - len(branch.frames), Outcome.INCOMPLETE
    room = session.length - position
    if session.options.max_new_tokens is not None:
        room = min(room, session.options.max_new_tokens - branch.span.count_predicted(position))
    rollout = session.rollout(
        branch.reader,
        branch.frames[-1:],
        room=room,
        max_frames=frames,
        ending=ending,
        sampler=branch.span.sampler,
    )
    if memory is not None:
        rollout.memory = memory.fork()
        for frame in branch.frames:
            rollout.memory.push(frame)
    return rollout
