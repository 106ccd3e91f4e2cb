"""How well a model predicts held-out traces that it reads as they are: cheap enough to do on the way.

One pass over a true trace decides every frame of it: a frame is right if each of its tokens is the likeliest
one after the true tokens before it. Nothing is constrained here. A trace whose frames are all right is what
free greedy decoding would write. Final figures come from the predictors and `cwm_trace.eval`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from cwm_trace.datasets.tokenizing import TokenField, TokenizedTrace, tokenize_trace
from cwm_trace.errors import CwmTraceError
from cwm_trace.model.tokens import read_tokens
from cwm_trace.model.training.recipe import Recipe
from cwm_trace.model.training.stream import Mix, record


@dataclass
class Tally:
    """What was right, of how many; and the sum of the losses (nats) by field."""

    right: Counter[str] = field(default_factory=Counter)
    total: Counter[str] = field(default_factory=Counter)
    nats: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def add(self, name: str, right: int, total: int = 1) -> None:
        """Count trials."""
        self.right[name] += right
        self.total[name] += total

    def figures(self) -> dict[str, float]:
        """Shares, and mean losses as `loss_FIELD`."""
        shares = {name: round(self.right[name] / total, 4) for name, total in self.total.items() if total}
        losses = {
            f"loss_{name}": round(nats / self.total[name], 4)
            for name, nats in self.nats.items()
            if self.total[name]
        }
        return {**shares, **losses}


@torch.no_grad()
def evaluate(
    model: Any,
    documents: Sequence[TokenizedTrace],
    frame_end: int,
    precision: AbstractContextManager[Any],
    device: torch.device | str = "cpu",
) -> dict[str, float]:
    """Read documents and count.

    Args:
        model: ids to logits.
        documents: held-out ones.
        frame_end: id of `<|frame_sep|>`.
        precision: an autocast that can be entered again and again.
        device: where the model is.

    Returns:
        Shares of right `frames`, `traces`, `changed_values` (values written in full, each as a whole), and
        tokens by field; mean losses by field.
    """
    was_training = model.training
    model.eval()
    tally = Tally()
    for document in documents:
        with precision:
            read_document(model, document, frame_end, tally, device)
    model.train(was_training)
    return tally.figures()


@torch.no_grad()
def read_document(
    model: Any,
    document: TokenizedTrace,
    frame_end: int,
    tally: Tally,
    device: torch.device | str = "cpu",
) -> None:
    """Read one document and count what the model has right of it."""
    ids = torch.tensor([document.ids], device=device)
    given = document.given
    logits = model(ids, use_cache=False).logits[0, given - 1 : -1].float()
    true = ids[0, given:]
    nats = functional.cross_entropy(logits, true, reduction="none").tolist()
    right = (logits.argmax(-1) == true).tolist()
    _count(tally, document, right, nats, frame_end)


def _count(
    tally: Tally, document: TokenizedTrace, right: Sequence[bool], nats: Sequence[float], frame_end: int
) -> None:
    given = document.given
    for mark, is_right, loss in zip(document.fields[given:], right, nats, strict=True):
        name = TokenField(mark).name.lower()
        tally.add(name, is_right)
        tally.nats[name] += loss
    frames = [all(right[a:b]) for a, b in _frames(document.ids[given:], frame_end)]
    tally.add("frames", sum(frames), len(frames))
    tally.add("traces", all(right))
    for a, b in _runs(document.fields[given:], TokenField.CHANGED):
        tally.add("changed_values", all(right[a:b]))


def _frames(ids: Sequence[int], frame_end: int) -> Iterator[tuple[int, int]]:
    start = 0
    for place, number in enumerate(ids, start=1):
        if number == frame_end or place == len(ids):
            yield start, place
            start = place


def _runs(fields: bytes, wanted: TokenField) -> Iterator[tuple[int, int]]:
    start = -1
    for place, mark in enumerate([*fields, -1]):
        if mark == wanted and start < 0:
            start = place
        elif mark != wanted and start >= 0:
            yield start, place
            start = -1


def held_documents(recipe: Recipe, words: Path, length: int) -> list[TokenizedTrace]:
    """The held-out documents: another seed, and constants that no training program has.

    Args:
        recipe: says which.
        words: path of a `tokenizer.json`.
        length: tokens of one at the most.

    Raises:
        CwmTraceError: hardly a program fits the model.
    """
    mapping = read_tokens(words)
    mix = Mix(recipe.evaluation.mix, recipe.seed + 1, "dev")
    found: list[TokenizedTrace] = []
    for number in range(20 * recipe.evaluation.programs):
        trace = record(mix.item(number))
        document = None if trace is None else tokenize_trace(trace, mapping).cut(length)
        if document is not None and document.given < len(document.ids):
            found.append(document)
        if len(found) == recipe.evaluation.programs:
            return found
    raise CwmTraceError(
        f"of {20 * recipe.evaluation.programs} held-out programs only {len(found)} leave room for a trace in"
        f" {length} tokens: make max_length, or the rows, longer"
    )
