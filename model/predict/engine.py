"""The trace engine: rollouts are decoded together; a step verifies a draft of each and adds a token to it.

A step feeds what is decided and what a draft proposes in one pass; the model's own choice at every position,
under the grammar's mask, decides how far the draft is right. What is chosen never depends on the draft, so
drafts, and the tokens that a grammar leaves no choice about, only save passes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from cwm_trace.model.cache import KVCache
from cwm_trace.model.decoder import Decoder
from cwm_trace.model.predict.backend import Meter
from cwm_trace.model.predict.rollout import Rollout
from cwm_trace.model.predict.vocabulary import Legal, Vocabulary
from cwm_trace.model.rows import RowsCache
from cwm_trace.records import Frame

LONGEST_DRAFT = 64
CHUNK = 2048
"""Tokens of one pass over a prompt."""


class Chooser:
    """Applies the grammar to logits.

    Args:
        vocabulary: None: everything is legal.
        device: where the logits are.
    """

    def __init__(self, vocabulary: Vocabulary | None, device: torch.device | str = "cpu") -> None:
        self._bias: Tensor | None = None
        if vocabulary is not None:
            allowed = torch.from_numpy(vocabulary.allowed)
            allowed = torch.cat((allowed, allowed.new_zeros(1, allowed.shape[1])))  # row -1 allows nothing
            self._bias = torch.zeros(allowed.shape).masked_fill_(~allowed, -torch.inf).to(device)

    def masked(self, logits: Tensor, legals: Sequence[Legal]) -> Tensor:
        """Logits `(positions, vocabulary)` with -inf for what is not legal at each position."""
        if self._bias is None:
            return logits
        logits = logits.float()  # the bias is; of a model in bfloat16 they are not
        rows = [legal.row if legal.ids is None else -1 for legal in legals]
        result: Tensor = logits + self._bias[torch.tensor(rows, device=logits.device)]
        few = [(at, number) for at, legal in enumerate(legals) for number in legal.ids or ()]
        if few:
            at, numbers = torch.tensor(few, device=logits.device).T
            result[at, numbers] = logits[at, numbers]
        never = [(at, number) for at, legal in enumerate(legals) for number in legal.but]
        if never:
            at, numbers = torch.tensor(never, device=logits.device).T
            result[at, numbers] = -torch.inf
        return result


class Choices:
    """The tokens chosen at some positions, with their log-probabilities on request.

    Greedy choices are made together; sampled ones when they are asked for, so that a rollout draws once for
    each token whatever was drafted.
    """

    def __init__(self, logits: Tensor, need_logprobs: bool) -> None:
        self._logits = logits
        self._greedy: list[int] | None = None
        self._logprobs = torch.log_softmax(logits.float(), dim=-1) if need_logprobs else None

    def at(self, position: int, rollout: Rollout) -> tuple[int, float | None]:
        """The token that the rollout takes at this position, and its log-probability."""
        if rollout.sampler is None:
            if self._greedy is None:
                self._greedy = self._logits.argmax(dim=-1).tolist()
            token = self._greedy[position]
        else:
            token = int(rollout.sampler(self._logits[position : position + 1]))
        return token, None if self._logprobs is None else float(self._logprobs[position, token])


class Lanes(Protocol):
    """Where rollouts keep their keys and values: a lane for each."""

    def feed(self, ids: Tensor) -> Tensor:
        """Run the layers on `(lanes, tokens)`; returns states `(lanes, tokens, width)`."""

    def accept(self, fed: int, counts: Sequence[int]) -> None:
        """Keep the first so many of the `fed` tokens of each lane."""


class Solo:
    """One lane: a cache that goes on where it ends."""

    def __init__(self, decoder: Decoder, cache: KVCache) -> None:
        self._decoder, self._cache = decoder, cache

    def feed(self, ids: Tensor) -> Tensor:
        """Run the layers."""
        parts = [
            self._decoder.states(ids[:, at : at + CHUNK], self._cache) for at in range(0, ids.shape[1], CHUNK)
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def accept(self, fed: int, counts: Sequence[int]) -> None:
        """Take the others back."""
        if fed > counts[0]:
            self._cache.rollback(fed - counts[0])


class Rows:
    """Lanes with texts of their own, or with a common beginning."""

    def __init__(self, decoder: Decoder, cache: RowsCache) -> None:
        self._decoder, self.cache = decoder, cache

    def feed(self, ids: Tensor) -> Tensor:
        """Run the layers."""
        return self._decoder.states(ids, self.cache)

    def accept(self, fed: int, counts: Sequence[int]) -> None:  # noqa: ARG002
        """Forget the others."""
        self.cache.accept(counts)


class Engine:
    """Decodes rollouts.

    Args:
        decoder: the model.
        chooser: applies the grammar, if there is one.
        meter: counts the passes.
    """

    def __init__(self, decoder: Decoder, chooser: Chooser, meter: Meter) -> None:
        self.decoder = decoder
        self.chooser = chooser
        self._meter = meter

    @torch.inference_mode()
    def step(self, lanes: Lanes, rollouts: Sequence[Rollout]) -> None:
        """Advance every rollout by one token at least; those that are done only keep their lane."""
        drafts = [check_draft(rollout) for rollout in rollouts]
        feeds = [
            [] if rollout.is_done else [*rollout.pending, *draft.ids]
            for rollout, draft in zip(rollouts, drafts, strict=True)
        ]
        fed = max(map(len, feeds))
        device = self.decoder.device
        ids = torch.tensor([feed + [0] * (fed - len(feed)) for feed in feeds], device=device)
        states = lanes.feed(ids)  # (R, fed, E)
        self._meter.passes += 1
        spots = [
            (row, at)
            for row, (rollout, feed) in enumerate(zip(rollouts, feeds, strict=True))
            if not rollout.is_done
            for at in range(len(rollout.pending) - 1, len(feed))
        ]
        rows, places = torch.tensor(spots, device=device).T
        logits = self.decoder.logits(states[rows, places])  # (spots, V)
        kept, right_to_the_end, first = [], [], 0
        for rollout, draft in zip(rollouts, drafts, strict=True):
            if rollout.is_done:
                kept.append(0)
                continue
            last = first + len(draft.ids)
            held, right = len(rollout.pending), 0
            if draft.ids:
                masked = self.chooser.masked(logits[first:last], draft.legals)
                right = _verify(rollout, draft.ids, Choices(masked, rollout.keep_logprobs))
            if not rollout.is_done and len(rollout.pending) == held + right == held + len(draft.ids):
                right_to_the_end.append((rollout, last))
            kept.append(held + right)
            del rollout.pending[: held + right]
            first = last + 1
        if right_to_the_end:
            self._choose_next(logits, right_to_the_end)
        lanes.accept(fed, kept)

    def _choose_next(self, logits: Tensor, rollouts: Sequence[tuple[Rollout, int]]) -> None:
        """The token after each draft that was wholly right, given the last spot of each rollout."""
        spots = torch.tensor([spot for _, spot in rollouts], device=logits.device)
        masked = self.chooser.masked(logits[spots], [rollout.frame.legal for rollout, _ in rollouts])
        choices = Choices(masked, any(rollout.keep_logprobs for rollout, _ in rollouts))
        for position, (rollout, _) in enumerate(rollouts):
            rollout.take(*choices.at(position, rollout))


@dataclass(slots=True)
class Draft:
    """Tokens that may come next, and what is legal at each of them."""

    ids: list[int] = field(default_factory=list)
    legals: list[Legal] = field(default_factory=list)


def check_draft(rollout: Rollout) -> Draft:
    """The draft of a rollout up to its first illegal token, or to the end of the frame."""
    draft = Draft()
    if rollout.drafter is None or rollout.is_done:
        return draft
    if rollout.steps_to_rest:  # one token alone is the fastest pass
        rollout.steps_to_rest -= 1
        return draft
    frame = rollout.frame.copy()
    for number in rollout.drafter(rollout)[: rollout.draft_limit]:
        if frame.is_done or not frame.allows(number):
            break
        draft.ids.append(number)
        draft.legals.append(frame.legal)
        frame.take(number)
    return draft


def _verify(rollout: Rollout, draft: Sequence[int], choices: Choices) -> int:
    """Take chosen tokens as long as the draft agrees; returns how many tokens of it are right."""
    right = 0
    while right < len(draft) and not rollout.is_done:
        held = len(rollout.pending)
        rollout.take(*choices.at(right, rollout))
        decided = rollout.pending[held:]
        agreed = _common(decided, draft[right:])
        right += agreed
        if agreed < len(decided):
            break
    if right == len(draft):
        rollout.draft_limit = min(2 * rollout.draft_limit, LONGEST_DRAFT)
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
