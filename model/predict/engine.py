"""The trace engine: rollouts are decoded together; a step verifies a draft of each and adds a token to it.

A step feeds what is decided and what a draft proposes in one pass; the model's own choice at every position,
under the grammar's mask, decides how far the draft is right. What is chosen never depends on the draft, so
drafts, and the tokens that a grammar leaves no choice about, only save passes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from cwm_trace.model.predict.backend import Meter
from cwm_trace.model.predict.decoders.trace_decoder import Choices, Chooser, Lanes
from cwm_trace.model.predict.rollout import Rollout
from cwm_trace.model.predict.vocabulary import Legal
from cwm_trace.records import Frame

_LONGEST_DRAFT = 64


class Engine:
    """Decodes rollouts.

    Args:
        chooser: applies the grammar, if there is one.
        meter: counts the passes.
    """

    def __init__(self, chooser: Chooser, meter: Meter) -> None:
        self._chooser = chooser
        self._meter = meter

    def step(self, lanes: Lanes, rollouts: Sequence[Rollout]) -> None:
        """Advance every rollout by one token at least; those that are done only keep their lane."""
        drafts = [_check_draft(rollout) for rollout in rollouts]
        feeds = [
            [] if rollout.is_done else [*rollout.pending, *draft.ids]
            for rollout, draft in zip(rollouts, drafts, strict=True)
        ]
        spots = [
            (row, at)
            for row, (rollout, draft, feed) in enumerate(zip(rollouts, drafts, feeds, strict=True))
            if not rollout.is_done
            for at in (*(len(rollout.pending) - 1 + offset for offset in draft.choices), len(feed) - 1)
        ]
        logits = lanes.feed(feeds, spots)  # (spots, V)
        self._meter.passes += 1
        kept, right_to_the_end, first = [], [], 0
        for rollout, draft in zip(rollouts, drafts, strict=True):
            if rollout.is_done:
                kept.append(0)
                continue
            last = first + len(draft.choices)
            held, right = len(rollout.pending), 0
            if draft.ids:
                choices = self._chooser.choose(
                    logits[first:last], draft.legals, logprobs=rollout.keep_logprobs
                )
                right = _verify(rollout, draft, choices)
            if not rollout.is_done and len(rollout.pending) == held + right == held + len(draft.ids):
                right_to_the_end.append((rollout, last))
            kept.append(held + right)
            del rollout.pending[: held + right]
            first = last + 1
        if right_to_the_end:
            self._choose_next(logits, right_to_the_end)
        lanes.accept(kept)

    def _choose_next(self, logits: Any, rollouts: Sequence[tuple[Rollout, int]]) -> None:
        """The token after each draft that was wholly right, given the last spot of each rollout."""
        choices = self._chooser.choose(
            logits[[spot for _, spot in rollouts]],
            [rollout.frame.legal for rollout, _ in rollouts],
            logprobs=any(rollout.keep_logprobs for rollout, _ in rollouts),
        )
        for position, (rollout, _) in enumerate(rollouts):
            rollout.take(*choices.at(position, rollout.sampler))


@dataclass(slots=True)
class Draft:
    """Tokens that may come next.

    Args:
        ids: the tokens.
        choices: places among them where there is a choice; the first one is.
        legals: what is legal at each of these.
    """

    ids: list[int] = field(default_factory=list)
    choices: list[int] = field(default_factory=list)
    legals: list[Legal] = field(default_factory=list)


def _check_draft(rollout: Rollout) -> Draft:
    """The draft of a rollout up to its first illegal token, and what is forced behind it."""
    draft = Draft()
    if rollout.drafter is None or rollout.is_done:
        return draft
    if rollout.steps_to_rest:  # one token alone is the fastest pass
        rollout.steps_to_rest -= 1
        return draft
    frame = rollout.frame.copy()
    guesses = iter(rollout.drafter(rollout)[: rollout.draft_limit])
    while not frame.is_done and len(draft.ids) < 2 * rollout.draft_limit:
        legal, number = frame.legal, next(guesses, None)
        if legal.only is not None and draft.ids:
            if number != legal.only:
                guesses = iter(())  # they speak of something else
            number = legal.only
        elif number is None or not frame.allows(number):
            break
        else:
            draft.choices.append(len(draft.ids))
            draft.legals.append(legal)
        draft.ids.append(number)
        frame.take(number)
    return draft


def _verify(rollout: Rollout, draft: Draft, choices: Choices) -> int:
    """Take chosen tokens as long as the draft agrees; returns how many tokens of it are right."""
    right = 0
    for position, place in enumerate(draft.choices):
        if place != right or rollout.is_done:
            break
        held = len(rollout.pending)
        rollout.take(*choices.at(position, rollout.sampler))
        right += _common(rollout.pending[held:], draft.ids[right:])
    if right == len(draft.ids):
        rollout.draft_limit = min(2 * rollout.draft_limit, _LONGEST_DRAFT)
    else:
        rollout.draft_limit = max(right + 1, rollout.draft_limit // 2)
    rollout.drafts_missed = 0 if right else rollout.drafts_missed + 1
    rollout.steps_to_rest = rollout.drafts_missed // 4  # longer, the longer nothing is right
    return right


def _common(left: Sequence[int], right: Sequence[int]) -> int:
    """Length of the common beginning."""
    for index, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return index
    return min(len(left), len(right))


def run(engine: Engine, lanes: Lanes, rollouts: Sequence[Rollout]) -> Iterator[tuple[int, Frame]]:
    """Step until all are done; yields the row of a rollout with each new frame of it."""
    seen = [0] * len(rollouts)
    while not all(rollout.is_done for rollout in rollouts):
        engine.step(lanes, rollouts)
        for row, rollout in enumerate(rollouts):
            for frame in rollout.frames[seen[row] :]:
                yield row, frame
            seen[row] = len(rollout.frames)
