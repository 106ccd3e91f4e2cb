"""Predictions by our engine on our model: any folder with a CWM checkpoint."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from cwm_trace.model.cache import KVCache
from cwm_trace.model.decoder import Decoder
from cwm_trace.model.decoding import Sampler
from cwm_trace.model.fingerprint import fingerprint_folder, fingerprint_model
from cwm_trace.model.loading import load_model
from cwm_trace.model.predict.backend import Meter, Start
from cwm_trace.model.predict.engine import CHUNK, Chooser, Engine, Rows, Solo, run
from cwm_trace.model.predict.predictor import ModelPredictor
from cwm_trace.model.predict.rollout import Rollout
from cwm_trace.model.predict.session import Setup
from cwm_trace.model.predict.truth import Choice, Span
from cwm_trace.model.predict.vocabulary import Vocabulary
from cwm_trace.model.rows import RowsCache
from cwm_trace.model.tokenizer import load_tokenizer
from cwm_trace.records import Decoding, Frame
from cwm_trace.wire.profile import CWM, FormatProfile
from cwm_trace.wire.tokens import TraceTokens

MAX_FRAME_TOKENS = 2048
"""Tokens of one frame after which a rollout is cut, if nobody says otherwise."""
MAX_ROWS = 64
"""Rollouts that are decoded together."""


class LocalPredictor(ModelPredictor):
    """Predicts with a model in this process.

    Args:
        model: a model of ours or of transformers, whose layers are plain.
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
        Sampler(decoding.temperature, decoding.top_p, decoding.seed)  # refuses what makes no sense
        decoder = model if isinstance(model, Decoder) else Decoder(model)
        config = decoder.config
        decoding = replace(
            decoding,
            predictor="local",
            model=name,
            fingerprint=decoding.fingerprint or fingerprint_model(model),
            grammar=decoding.grammar or "frame",
            dtype=str(decoder.dtype).removeprefix("torch."),
            max_frame_tokens=decoding.max_frame_tokens or MAX_FRAME_TOKENS,
            profile=profile.name,
            profile_hash=profile.hash,
        )
        vocabulary = Vocabulary(tokens, config.vocab_size) if decoding.constrained else None
        backend = EngineBackend(decoder, vocabulary, decoding, max_rows)
        length = int(decoding.max_length or config.max_position_embeddings)
        setup = Setup(Path(name).name, backend, tokens, decoding, profile, length, vocabulary, "frames")
        super().__init__(setup)

    @classmethod
    def load(
        cls, folder: str | Path, *, decoding: Decoding = Decoding(), name: str | None = None
    ) -> LocalPredictor:
        """Load a checkpoint folder.

        Args:
            folder: of the checkpoint.
            decoding: how to decode, and in which dtype.
            name: what reports call it; None: the folder.

        Raises:
            CwmTraceError: it is no CWM checkpoint, or its tokenizer has no trace tokens.
        """
        model = load_model(folder, dtype=decoding.dtype or "auto")
        tokens = TraceTokens.from_tokenizer(load_tokenizer(folder))
        decoding = replace(decoding, fingerprint=fingerprint_folder(folder))
        return cls(model, tokens, name=str(folder) if name is None else name, decoding=decoding)


class EngineBackend:
    """Our engine on one model, with the cache of the last text that it was given.

    Args:
        decoder: the model.
        vocabulary: of the grammar; None: anything goes.
        decoding: how it decodes.
        max_rows: rollouts that are decoded together.
    """

    def __init__(
        self, decoder: Decoder, vocabulary: Vocabulary | None, decoding: Decoding, max_rows: int = MAX_ROWS
    ) -> None:
        self.decoder = decoder
        self.length: int | None = int(decoder.config.max_position_embeddings)
        self.together = max_rows
        self._decoding = decoding
        self._chooser = Chooser(vocabulary, decoder.device)
        self._kept: tuple[Sequence[int], KVCache] | None = None

    def sampler(self, seed: int) -> Sampler | None:
        """Draws from a stream of its own; None: greedy."""
        decoding = self._decoding
        if not decoding.temperature:
            return None
        return Sampler(decoding.temperature, decoding.top_p, seed, self.decoder.device)

    def judge(self, ids: Sequence[int], start: int, spans: Sequence[Span], meter: Meter) -> bool:
        """Read a true text once, and compare what would have been chosen."""
        last = max((span.choices[-1].position for span in spans if span.choices), default=start)
        text = ids[:last]
        cache = self._prefix(ids[:start])
        meter.passes += self._find_differences(cache, text, spans)
        self._kept = text, cache
        return True

    def write(self, starts: Sequence[Start], meter: Meter) -> Iterator[tuple[int, Frame | None]]:
        """Decode: one rollout from the cache that is kept, several of one text as its branches, else rows."""
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

    @torch.inference_mode()
    def _find_differences(self, cache: KVCache, ids: Sequence[int], spans: Sequence[Span]) -> int:
        """Passes it took; the cache has taken a beginning of the text already and takes the rest."""
        flat = [(span, choice) for span in spans for choice in span.choices]
        places = [choice.position for _, choice in flat]
        device, passes = self.decoder.device, 0
        for begin in range(cache.length, len(ids), CHUNK):
            part = torch.tensor([ids[begin : begin + CHUNK]], device=device)
            states = self.decoder.states(part, cache)[0]  # (T, E)
            passes += 1
            low, high = bisect_left(places, begin + 1), bisect_left(places, begin + part.shape[1] + 1)
            if low < high:
                at = torch.tensor([place - 1 - begin for place in places[low:high]], device=device)
                self._compare(self.decoder.logits(states[at]), flat[low:high])
        return passes

    def _compare(self, logits: torch.Tensor, choices: Sequence[tuple[Span, Choice]]) -> None:
        """Compare what is chosen with what is true; logits are `(choices, vocabulary)`."""
        logits = self._chooser.masked(logits, [choice.legal for _, choice in choices])
        greedy = logits.argmax(dim=-1).tolist()
        logprobs = torch.log_softmax(logits.float(), dim=-1) if self._decoding.logprobs else None
        for row, (span, choice) in enumerate(choices):
            if span.wrong is not None:
                continue
            token = greedy[row] if span.sampler is None else int(span.sampler(logits[row : row + 1]))
            if logprobs is not None:
                span.logprobs.append((choice, float(logprobs[row, token])))
            if token != choice.true:
                span.wrong, span.token = choice, token

    def _alone(self, start: Start, meter: Meter) -> Iterator[Frame]:
        rollout = start.rollout
        prompt = start.text[: start.at]
        cache = self._prefix(prompt, keep_all=bool(rollout.pending))
        rollout.pending[:0] = prompt[cache.length :]
        engine = Engine(self.decoder, self._chooser, meter)
        for _, frame in run(engine, Solo(self.decoder, cache), [rollout]):
            yield frame
        self._kept = prompt, cache  # not before: others may predict while a stream waits

    def _rows(self, starts: Sequence[Start], meter: Meter) -> Iterator[tuple[int, Frame | None]]:
        """Rollouts with texts of their own."""
        decoder = self.decoder
        engine = Engine(decoder, self._chooser, meter)
        cache = RowsCache(decoder.config, len(starts), dtype=decoder.dtype, device=decoder.device)
        rows = Rows(decoder, cache)
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
                cache.keep(going)
            running = [running[row] for row in going]
            if running:
                engine.step(rows, [rollout for _, rollout in running])

    def _branches(
        self, starts: Sequence[Start], going: Sequence[int], meter: Meter
    ) -> Iterator[tuple[int, Frame | None]]:
        """Rollouts that branch off one text, over the one cache of it."""
        text = starts[0].text
        prefix = self._prefix(text[: max(start.at for start in starts)], keep_all=True)
        missing = text[prefix.length : max(start.at for start in starts)]
        if missing:
            Solo(self.decoder, prefix).feed(torch.tensor([missing], device=self.decoder.device))
        decoder, waiting = self.decoder, deque(going)
        engine = Engine(decoder, self._chooser, meter)
        count = min(len(waiting), self.together)
        cache = RowsCache(decoder.config, count, prefix, dtype=decoder.dtype, device=decoder.device)
        rows = Rows(decoder, cache)
        running: list[Rollout] = []
        for row in range(count):
            start = starts[waiting.popleft()]
            cache.restart(row, start.at)
            running.append(start.rollout)
        while True:
            engine.step(rows, running)
            for row, rollout in enumerate(running):
                if rollout.is_done and waiting:
                    start = starts[waiting.popleft()]
                    running[row] = start.rollout
                    cache.restart(row, start.at)
            left = [row for row, rollout in enumerate(running) if not rollout.is_done]
            if not left:
                break
            if 2 * len(left) <= len(running):  # a copy is cheaper than many idle rows
                cache.keep(left)
                running = [running[row] for row in left]
        self._kept = text[: prefix.length], prefix
        for index, start in enumerate(starts):
            yield from ((index, frame) for frame in start.rollout.frames)
            yield index, None

    def _prefix(self, text: Sequence[int], *, keep_all: bool = False) -> KVCache:
        """A cache of what this text has in common with the last one.

        Args:
            text: that is to be continued.
            keep_all: something follows it already; else its last token has to be read anew.
        """
        if self._kept is None:
            return self.decoder.cache(rings=False)
        ids, cache = self._kept
        self._kept = None
        longest = len(text) if keep_all else len(text) - 1
        shared = 0
        for a, b in zip(ids, text[:longest], strict=False):
            if a != b:
                break
            shared += 1
        cache.rollback(cache.length - min(shared, cache.length))
        return cache
