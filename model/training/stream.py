"""Documents by number: document `k` of a recipe is the same on every machine and in every run.

A process of its own makes them, a chunk ahead of the training, since they cost a few milliseconds each.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.families import make_item
from cwm_trace.datasets.item import Item
from cwm_trace.datasets.item_recording import KEPT, record_item, stand_ins
from cwm_trace.datasets.tokenizing import TokenizedTrace, tokenize_trace
from cwm_trace.model.tokens import read_tokens
from cwm_trace.records import Limits, Trace
from cwm_trace.wire.context import render_context
from cwm_trace.wire.profile import CWM
from cwm_trace.wire.render import FrameRenderer
from cwm_trace.wire.tokens import Special

CHUNK = 32
"""Numbers that are made in one go."""

LIMITS = Limits(max_frames=2000, max_bytes=200_000, timeout=10.0)


@dataclass(frozen=True)
class Mix:
    """Which programs there are.

    Args:
        weights: of families and presets, relative to each other.
        seed: of the series.
        split: whose constants are used.
    """

    weights: Mapping[str, float]
    seed: int
    split: str

    def item(self, number: int) -> Item:
        """Program `number`."""
        place = Draw(f"mix|{self.seed}|{number}", self.split).random() * sum(self.weights.values())
        name = ""
        for name, weight in self.weights.items():  # noqa: B007 (the last one takes what rounding leaves)
            place -= weight
            if place < 0:
                break
        return make_item(name, number, seed=self.seed, split=self.split)


def record(item: Item) -> Trace | None:
    """Run a generated program, which is trusted, in this process; None if its trace is not whole."""
    trace = record_item(item, LIMITS)
    return trace if trace.outcome in KEPT else None


def texts_of(items: Iterable[Item]) -> Iterator[str]:
    """What the traces of generated programs say between the special tokens, for a tokenizer to learn."""
    for trace in map(record, items):
        if trace is not None:
            yield render_context(trace, CWM)
            renderer = FrameRenderer(trace, CWM)
            for frame in trace.frames:
                yield from (piece for piece in renderer.render(frame) if not isinstance(piece, Special))


class Source:
    """Makes documents in this process.

    Args:
        mix: which programs.
        tokenizer: path of a `tokenizer.json`.
    """

    def __init__(self, mix: Mix, tokenizer: Path) -> None:
        self.mix = mix
        self._tokens = read_tokens(tokenizer)

    def chunk(self, number: int) -> list[TokenizedTrace]:
        """The documents of chunk `number`."""
        items = map(self.mix.item, range(number * CHUNK, (number + 1) * CHUNK))
        with stand_ins():
            traces = [trace for trace in map(record, items) if trace is not None]
        return [tokenize_trace(trace, self._tokens) for trace in traces]


class Stream:
    """The chunks of a source in order, from any one on.

    Args:
        mix: which programs.
        tokenizer: path of a `tokenizer.json`.
        chunk: the first one.
        stride: from one to the next: as many as there are processes that share the chunks.
        workers: processes that work ahead; 0: chunks are made when they are asked for.
    """

    def __init__(
        self, mix: Mix, tokenizer: Path, *, chunk: int = 0, stride: int = 1, workers: int = 1
    ) -> None:
        self.chunk = chunk
        """The next one."""
        self._stride = stride
        self._source = None if workers else Source(mix, tokenizer)
        self._ahead: deque[Future[list[TokenizedTrace]]] = deque()
        self._pool = None
        if workers:
            self._pool = ProcessPoolExecutor(
                workers, get_context("spawn"), initializer=_prepare, initargs=(mix, tokenizer)
            )
            for place in range(2 * workers):
                self._ahead.append(self._pool.submit(_make, chunk + place * stride))

    def __iter__(self) -> Iterator[list[TokenizedTrace]]:
        """Chunk after chunk, for ever."""
        while True:
            if self._pool is None:
                assert self._source is not None
                made = self._source.chunk(self.chunk)
            else:
                made = self._ahead.popleft().result()
                self._ahead.append(
                    self._pool.submit(_make, self.chunk + (len(self._ahead) + 1) * self._stride)
                )
            self.chunk += self._stride
            yield made

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


_sources: list[Source] = []
"""Of this worker process."""


def _prepare(mix: Mix, tokenizer: Path) -> None:
    _sources[:] = [Source(mix, tokenizer)]


def _make(number: int) -> list[TokenizedTrace]:
    return _sources[0].chunk(number)
