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
from cwm_trace.model.predict.truth import cut_spans, find_differences, write_frames
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
        max_tokens=start + session.room,
    )
    ids = [*session.prompt, *(number for true in written for number in true.ids)]
    spans = cut_spans(written, given, mode, session.open_frame)
    for span in spans:
        span.sampler = session.sampler(span.first)
    last = max((span.choices[-1].position for span in spans if span.choices), default=start)
    engine.passes += find_differences(
        engine.decoder, cache, ids[:last], spans, engine.chooser, session.options.logprobs
    )
    branches = []
    memory = session.drafter.remember(session.frames) if session.drafter is not None else None
    for branch in read_spans(spans, frames, session.reader(), session.options.logprobs):
        if branch.span.wrong is not None:
            _branch_off(session, branch, memory)
        elif is_free and is_whole and branch.outcome is None:
            _go_on(session, branch, ids, memory)
        branches.append(branch)
        if memory is not None:
            for frame in frames[branch.span.first - given :][: len(branch.span.frames)]:
                memory.push(frame)
    run_branches(engine, cache, branches, session.options.max_rows)
    if is_free:
        predicted = [frame for branch in branches for frame in branch.predicted()]
        outcome = branches[-1].ending() if branches and is_whole else Outcome.TRUNCATED
    else:
        predicted = align(branches, frames, session.frames)
        surplus = len(predicted) > len(frames)
        outcome = Outcome.TRUNCATED if not is_whole else Outcome.INCOMPLETE if surplus else truth.outcome
    tokens = sum(len(true.ids) - true.given for true in written)
    choices = sum(len(span.choices) for span in spans)
    problems = [problem for branch in branches for problem in branch.all_problems()]
    return Followed(predicted, outcome, problems, tokens, tokens - choices)


def _branch_off(session: Session, branch: Branch, memory: Memory | None) -> None:
    """Start a rollout at the first difference of a span."""
    span, wrong = branch.span, branch.span.wrong
    assert wrong is not None
    rollout = _rollout(session, branch, wrong.position, memory)
    rollout.resume(span.frames[wrong.frame], wrong.position, span.frame_logprobs(wrong.frame))
    rollout.take(span.token, span.logprobs[-1][1] if span.logprobs else None)
    branch.rollout, branch.fork = rollout, wrong.position


def _go_on(session: Session, branch: Branch, ids: Sequence[int], memory: Memory | None) -> None:
    """Start a rollout where a true trace stops before its end."""
    rollout = _rollout(session, branch, len(ids), memory)
    rollout.pending = [ids[-1]]
    rollout.start()
    branch.rollout, branch.fork = rollout, len(ids) - 1


def _rollout(session: Session, branch: Branch, position: int, memory: Memory | None) -> Rollout:
    if session.mode.kind is ModeKind.FREE:
        frames, ending = session.request.max_frames - len(branch.frames), Outcome.TRUNCATED
    else:
        frames, ending = len(branch.span.frames) - len(branch.frames), Outcome.INCOMPLETE
    rollout = session.rollout(
        branch.reader,
        branch.frames[-1:],
        room=session.room + len(session.prompt) - position,
        max_frames=frames,
        ending=ending,
        sampler=branch.span.sampler,
    )
    if memory is not None:
        rollout.memory = memory.fork()
        for frame in branch.frames:
            rollout.memory.push(frame)
    return rollout
