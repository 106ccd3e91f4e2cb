"""The trace engine on NumPy: small models on a CPU, loaded in a tenth of a second."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import accumulate, chain
from pathlib import Path

import numpy as np

from cwm_trace.model.decoding_config import DecodingConfig
from cwm_trace.model.light.cache import RowsCache, TextCache
from cwm_trace.model.light.decoder import LightDecoder
from cwm_trace.model.light.weights import Array, read_arrays
from cwm_trace.model.predict.decoders.lanes import RowLanes, TextLane
from cwm_trace.model.predict.vocabulary import Legal, Vocabulary
from cwm_trace.model.safetensors_files import read_headers
from cwm_trace.model.sampling import check_sampling


class NumpyDecoder:
    """Runs a `LightDecoder`.

    Args:
        decoder: the model.
    """

    engine = "numpy"
    attention = "NumPy"
    dtype = "float32"

    def __init__(self, decoder: LightDecoder) -> None:
        self.decoder = decoder
        self.vocab_size = decoder.config.vocab_size
        self.length = decoder.config.max_position_embeddings

    @classmethod
    def load(cls, folder: Path, config: DecodingConfig) -> NumpyDecoder:
        """Read the weights of a checkpoint that has been checked.

        Raises:
            CwmTraceError: a file cannot be read.
        """
        return cls(LightDecoder(config, read_arrays(read_headers(folder), config.tensor_shapes())))

    def fingerprint(self) -> str:
        """Digest of the weights in memory."""
        digest = hashlib.sha256(repr(self.decoder.config).encode())
        for layer in self.decoder.layers:
            for array in (layer.qkv, layer.out, layer.gate_up, layer.down):
                digest.update(array.tobytes())
        digest.update(self.decoder.embedding.tobytes())
        digest.update(self.decoder.head.tobytes())
        return digest.hexdigest()[:16]

    def text(self) -> TextLane:
        """An empty lane."""
        return TextLane(self, TextCache(self.decoder.config))

    def rows(self, count: int, prefix: TextCache | None = None) -> RowLanes:
        """So many lanes with texts of their own, or with beginnings of one."""
        return RowLanes(self, RowsCache(self.decoder.config, count, prefix))

    def read(self, ids: Sequence[int], cache: TextCache) -> Array:
        """States of the tokens of one text, `(N, E)`."""
        return self.decoder.states(ids, cache.begin(len(ids)), cache)

    def pick(self, parts: Sequence[Array], places: Sequence[int]) -> Array:
        """Logits of some of these states, `(places, V)`."""
        states = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return self.decoder.logits(states[list(places)])

    def step(
        self, ids: Sequence[Sequence[int]], spots: Sequence[tuple[int, int]], cache: RowsCache
    ) -> tuple[Array, Sequence[int]]:
        """Logits at the spots; what is fed is laid end to end, so that a short row costs what it is."""
        counts = [len(row) for row in ids]
        states = self.decoder.states([*chain.from_iterable(ids)], cache.begin(counts), cache)
        first = [0, *accumulate(counts)]
        return self.decoder.logits(states[[first[row] + at for row, at in spots]]), counts

    def chooser(self, vocabulary: Vocabulary | None) -> NumpyChooser:
        """What chooses tokens; without a vocabulary everything is legal."""
        return NumpyChooser(vocabulary)

    def sampler(self, temperature: float, top_p: float, seed: int) -> NumpySampler:
        """What draws the tokens of one rollout."""
        return NumpySampler(temperature, top_p, seed)


class NumpyChooser:
    """Applies a grammar to logits; does what `TorchChooser` does.

    Args:
        vocabulary: None: everything is legal.
    """

    def __init__(self, vocabulary: Vocabulary | None) -> None:
        self._allowed = None
        if vocabulary is not None:
            nothing = np.zeros((1, vocabulary.size), np.bool_)
            self._allowed = np.concatenate((vocabulary.allowed, nothing))  # row -1 allows nothing

    def choose(self, logits: Array, legals: Sequence[Legal], *, logprobs: bool) -> _NumpyChoices:
        """What would come at each position."""
        if self._allowed is not None:
            legal_here = self._allowed[[-1 if legal.ids is not None else legal.row for legal in legals]]
            for at, legal in enumerate(legals):
                if legal.ids is not None:
                    legal_here[at, list(legal.ids)] = True
                if legal.but:
                    legal_here[at, list(legal.but)] = False
            logits = np.where(legal_here, logits, np.float32(-np.inf))
        return _NumpyChoices(logits, logprobs)


class _NumpyChoices:
    """Tokens chosen from masked logits `(positions, vocabulary)`."""

    def __init__(self, logits: Array, logprobs: bool) -> None:
        self._logits, self._logprobs = logits, logprobs
        self._greedy = logits.argmax(axis=-1)

    def at(self, position: int, sampler: NumpySampler | None = None) -> tuple[int, float | None]:
        """The token at this position, and its log-probability."""
        logits = self._logits[position]
        token = int(self._greedy[position]) if sampler is None else sampler(logits)
        if not self._logprobs:
            return token, None
        behind = logits - logits[self._greedy[position]]
        return token, float(behind[token] - np.log(np.exp(behind).sum()))


class NumpySampler:
    """Draws tokens as `cwm_trace.model.decoding.Sampler` does, from another stream of random numbers.

    Args:
        temperature: divides the logits.
        top_p: probability mass to draw from, in (0, 1].
        seed: of the draws.

    Raises:
        CwmTraceError: the temperature is negative or `top_p` outside (0, 1].
    """

    def __init__(self, temperature: float, top_p: float, seed: int) -> None:
        check_sampling(temperature, top_p)
        self._temperature, self._top_p = temperature, top_p
        self._random = np.random.default_rng(seed)

    def __call__(self, logits: Array) -> int:
        """Choose from `(vocabulary,)`."""
        if not self._temperature:
            return int(logits.argmax())
        weights = np.exp((logits - logits.max()).astype(np.float64) / self._temperature)
        order = np.argsort(-weights, kind="stable")
        sums = weights[order].cumsum()
        before = sums - weights[order]
        kept = sums[before < self._top_p * sums[-1]]  # the first token always stays
        place = np.searchsorted(kept, self._random.random() * kept[-1], side="right")
        return int(order[min(int(place), len(kept) - 1)])
