"""Predictions by our engine on our model: any folder with a CWM checkpoint."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.fingerprint import fingerprint_folder
from cwm_trace.model.predict.backend import Meter, Start
from cwm_trace.model.predict.decoders.choosing import load_decoder
from cwm_trace.model.predict.decoders.trace_decoder import CHUNK, Text, TraceDecoder
from cwm_trace.model.predict.engine import Engine, run
from cwm_trace.model.predict.prediction import Setup
from cwm_trace.model.predict.predictor import ModelPredictor
from cwm_trace.model.predict.rollout import Rollout
from cwm_trace.model.predict.true_frames import Choice, Span
from cwm_trace.model.predict.vocabulary import Vocabulary
from cwm_trace.model.tokens import read_tokens
from cwm_trace.records import Decoding, Frame
from cwm_trace.wire.profile import CWM, FormatProfile
from cwm_trace.wire.tokens import TraceTokens

_MAX_FRAME_TOKENS = 2048
"""Tokens of one frame after which a rollout is cut, if nobody says otherwise."""
MAX_ROWS = 64
"""Rollouts that are decoded together."""


class LocalPredictor(ModelPredictor):
    """Predicts with a model in this process.

    Args:
        model: a `TraceDecoder`, or a model of ours or of transformers, whose layers are plain.
        tokens: its tokenizer's mapping.
        name: what reports call it: the folder it comes from.
        decoding: how it is to decode; every frame is kept valid unless it says `grammar="none"`.
        profile: how frames are written.
        max_rows: rollouts that are decoded together.

    Raises:
        CwmTraceError: the model cannot be decoded here (see `Decoder`), has fewer ids than the tokenizer, or
            cannot be sampled from as asked.
    """

    def __init__(
        self,
        model: Any,
        tokens: TraceTokens,
        *,
        name: str = "local",
        decoding: Decoding = Decoding(),
        profile: FormatProfile = CWM,
        max_rows: int = MAX_ROWS,
    ) -> None:
        decoder = model if isinstance(model, TraceDecoder) else _on_torch(model)
        if decoding.engine not in ("", decoder.engine):
            raise CwmTraceError(
                f"this model is decoded by {decoder.engine}, not by {decoding.engine}: leave the engine out"
            )
        decoder.sampler(decoding.temperature, decoding.top_p, decoding.seed)  # refuses what makes no sense
        decoding = replace(
            decoding,
            predictor="local",
            engine=decoder.engine,
            model=name,
            fingerprint=decoding.fingerprint or decoder.fingerprint(),
            grammar=decoding.grammar or "frame",
            dtype=decoder.dtype,
            max_frame_tokens=decoding.max_frame_tokens or _MAX_FRAME_TOKENS,
            profile=profile.name,
            profile_hash=profile.hash,
        )
        vocabulary = Vocabulary(tokens, decoder.vocab_size) if decoding.constrained else None
        backend = EngineBackend(decoder, vocabulary, decoding, max_rows)
        length = int(decoding.max_length or decoder.length)
        setup = Setup(Path(name).name, backend, tokens, decoding, profile, length, vocabulary, "frames")
        super().__init__(setup)

    @classmethod
    def load(
        cls, folder: str | Path, *, decoding: Decoding = Decoding(), name: str | None = None
    ) -> LocalPredictor:
        """Load a checkpoint folder.

        Args:
            folder: of the checkpoint.
            decoding: how to decode, in which dtype and with which engine (see `load_decoder`).
            name: what reports call it; None: the folder.

        Raises:
            CwmTraceError: it is no CWM checkpoint, its tokenizer has no trace tokens, or the engine cannot
                decode it.
        """
        decoder = load_decoder(
            Path(folder), decoding.engine, decoding.dtype, as_type=decoding.as_type or None
        )
        decoding = replace(decoding, fingerprint=fingerprint_folder(folder))
        return cls(
            decoder, read_tokens(folder), name=str(folder) if name is None else name, decoding=decoding
        )


class EngineBackend:
    """Our engine on one model, with the cache of the last text that it was given.

    Args:
        decoder: the model.
        vocabulary: of the grammar; None: anything goes.
        decoding: how it decodes.
        max_rows: rollouts that are decoded together.
    """

    def __init__(
        self,
        decoder: TraceDecoder,
        vocabulary: Vocabulary | None,
        decoding: Decoding,
        max_rows: int = MAX_ROWS,
    ) -> None:
        self.decoder = decoder
        self.length: int | None = decoder.length
        self.together = max_rows
        self._decoding = decoding
        self._chooser = decoder.chooser(vocabulary)
        self._kept: tuple[Sequence[int], Text] | None = None

    def sampler(self, seed: int) -> Any:
        """Draws from a stream of its own; None: greedy."""
        decoding = self._decoding
        if not decoding.temperature:
            return None
        return self.decoder.sampler(decoding.temperature, decoding.top_p, seed)

    def judge(self, ids: Sequence[int], start: int, spans: Sequence[Span], meter: Meter) -> bool:
        """Read a true text once, and compare what would have been chosen."""
        last = max((span.choices[-1].position for span in spans if span.choices), default=start)
        true = ids[:last]
        text = self._prefix(ids[:start])
        meter.passes += self._find_differences(text, true, spans)
        meter.attention = self.decoder.attention
        self._kept = true, text
        return True

    def write(self, starts: Sequence[Start], meter: Meter) -> Iterator[tuple[int, Frame | None]]:
        """Decode: one rollout from the cache that is kept, several of one text as its branches, else rows."""
        for written in self._write(starts, meter):
            meter.attention = self.decoder.attention
            yield written

    def _write(self, starts: Sequence[Start], meter: Meter) -> Iterator[tuple[int, Frame | None]]:
        going = [index for index, start in enumerate(starts) if not start.rollout.is_done]
        if len(starts) == 1 or len(going) == 1:
            written = self._alone(starts[going[0]], meter) if going else iter(())
            yield from ((going[0], frame) for frame in written)
        elif going and all(start.text is starts[0].text for start in starts):
            yield from self._branches(starts, going, meter)
            return
        elif going:
            yield from self._rows(starts, meter)
            return
        for index in range(len(starts)):
            yield index, None

    def _find_differences(self, text: Text, ids: Sequence[int], spans: Sequence[Span]) -> int:
        """Passes it took; the lane has taken a beginning of the text already and takes the rest."""
        flat = [(span, choice) for span in spans for choice in span.choices]
        places = [choice.position for _, choice in flat]
        passes = 0
        for begin in range(text.length, len(ids), CHUNK):
            part = ids[begin : begin + CHUNK]
            low, high = bisect_left(places, begin + 1), bisect_left(places, begin + len(part) + 1)
            logits = text.feed([part], [(0, place - 1 - begin) for place in places[low:high]])
            passes += 1
            if low < high:
                self._compare(logits, flat[low:high])
        return passes

    def _compare(self, logits: Any, choices: Sequence[tuple[Span, Choice]]) -> None:
        """Compare what is chosen with what is true; logits are `(choices, vocabulary)`."""
        chosen = self._chooser.choose(
            logits, [choice.legal for _, choice in choices], logprobs=self._decoding.logprobs
        )
        for place, (span, choice) in enumerate(choices):
            if span.wrong is not None:
                continue
            token, logprob = chosen.at(place, span.sampler)
            if logprob is not None:
                span.logprobs.append((choice, logprob))
            if token != choice.true:
                span.wrong, span.token = choice, token

    def _alone(self, start: Start, meter: Meter) -> Iterator[Frame]:
        rollout = start.rollout
        prompt = start.text[: start.at]
        text = self._prefix(prompt, keep_all=bool(rollout.pending))
        rollout.pending[:0] = prompt[text.length :]
        for _, frame in run(Engine(self._chooser, meter), text, [rollout]):
            yield frame
        self._kept = prompt, text  # not before: others may predict while a stream waits

    def _rows(self, starts: Sequence[Start], meter: Meter) -> Iterator[tuple[int, Frame | None]]:
        """Rollouts with texts of their own."""
        engine = Engine(self._chooser, meter)
        rows = self.decoder.rows(len(starts))
        for start in starts:
            start.rollout.pending[:0] = start.text[: start.at]
        running = [(index, start.rollout) for index, start in enumerate(starts)]
        seen = [0] * len(starts)
        while running:
            for index, rollout in running:
                yield from ((index, frame) for frame in rollout.frames[seen[index] :])
                seen[index] = len(rollout.frames)
                if rollout.is_done:
                    yield index, None
            going = [row for row, (_, rollout) in enumerate(running) if not rollout.is_done]
            if 0 < len(going) < len(running):
                rows.keep(going)
            running = [running[row] for row in going]
            if running:
                engine.step(rows, [rollout for _, rollout in running])

    def _branches(
        self, starts: Sequence[Start], going: Sequence[int], meter: Meter
    ) -> Iterator[tuple[int, Frame | None]]:
        """Rollouts that branch off one text, over the one cache of it."""
        ids = starts[0].text
        end = max(start.at for start in starts)
        text = self._prefix(ids[:end], keep_all=True)
        if text.length < end:
            text.feed([ids[text.length : end]], [])
        waiting = deque(going)
        engine = Engine(self._chooser, meter)
        rows = text.branches(min(len(waiting), self.together))
        running: list[Rollout] = []
        for row in range(min(len(waiting), self.together)):
            start = starts[waiting.popleft()]
            rows.restart(row, start.at)
            running.append(start.rollout)
        while True:
            engine.step(rows, running)
            for row, rollout in enumerate(running):
                if rollout.is_done and waiting:
                    start = starts[waiting.popleft()]
                    running[row] = start.rollout
                    rows.restart(row, start.at)
            left = [row for row, rollout in enumerate(running) if not rollout.is_done]
            if not left:
                break
            if 2 * len(left) <= len(running):  # a copy is cheaper than many idle rows
                rows.keep(left)
                running = [running[row] for row in left]
        self._kept = ids[: text.length], text
        for index, start in enumerate(starts):
            yield from ((index, frame) for frame in start.rollout.frames)
            yield index, None

    def _prefix(self, text: Sequence[int], *, keep_all: bool = False) -> Text:
        """A lane of what this text has in common with the last one.

        Args:
            text: that is to be continued.
            keep_all: something follows it already; else its last token has to be read anew.
        """
        if self._kept is None:
            return self.decoder.text()
        ids, kept = self._kept
        self._kept = None
        longest = len(text) if keep_all else len(text) - 1
        shared = 0
        for a, b in zip(ids, text[:longest], strict=False):
            if a != b:
                break
            shared += 1
        kept.rollback(kept.length - min(shared, kept.length))
        return kept


def _on_torch(model: Any) -> TraceDecoder:
    from cwm_trace.model.predict.decoders.torch import TorchDecoder

    return TorchDecoder(model)
