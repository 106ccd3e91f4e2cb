"""The trace engine on PyTorch: any CWM, on any device; tokens are chosen where the logits are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from cwm_trace.model.cache import KVCache
from cwm_trace.model.decoder import AnyCache, Decoder
from cwm_trace.model.decoding import Sampler
from cwm_trace.model.fingerprint import fingerprint_model
from cwm_trace.model.predict.decoders.protocol import CHUNK
from cwm_trace.model.predict.vocabulary import Legal, Vocabulary
from cwm_trace.model.rows import RowsCache


class TorchDecoder:
    """Runs our `Decoder`.

    Args:
        model: a `Decoder`, or a model to make one of.

    Raises:
        CwmTraceError: the model cannot be decoded here (see `Decoder`).
    """

    engine = "torch"

    def __init__(self, model: Any) -> None:
        self._model = model
        self.decoder = model if isinstance(model, Decoder) else Decoder(model)
        self.dtype = str(self.decoder.dtype).removeprefix("torch.")
        self.vocab_size: int = self.decoder.config.vocab_size
        self.length = int(self.decoder.config.max_position_embeddings)

    def fingerprint(self) -> str:
        """Digest of the weights in memory."""
        return fingerprint_model(self._model)

    def text(self) -> TorchText:
        """An empty lane; nothing of it is forgotten, so that branches may fork anywhere."""
        return TorchText(self.decoder, self.decoder.cache(rings=False))

    def rows(self, count: int) -> TorchRows:
        """So many lanes with texts of their own."""
        return TorchRows(self.decoder, count)

    def chooser(self, vocabulary: Vocabulary | None) -> TorchChooser:
        """What chooses tokens; without a vocabulary everything is legal."""
        return TorchChooser(vocabulary, self.decoder.device)

    def sampler(self, temperature: float, top_p: float, seed: int) -> Sampler:
        """What draws the tokens of one rollout."""
        return Sampler(temperature, top_p, seed, self.decoder.device)


class TorchText:
    """One lane: a cache that goes on where it ends."""

    def __init__(self, decoder: Decoder, cache: KVCache) -> None:
        self._decoder, self._cache = decoder, cache
        self._fed = 0

    @property
    def length(self) -> int:
        """Tokens that count."""
        return self._cache.length

    def rollback(self, count: int) -> None:
        """Take back the last tokens."""
        self._cache.rollback(count)

    def branches(self, count: int) -> TorchRows:
        """Rows that go on from beginnings of this text."""
        return TorchRows(self._decoder, count, self._cache)

    def feed(self, ids: Sequence[Sequence[int]], spots: Sequence[tuple[int, int]]) -> Tensor:
        """Run the layers, a chunk at a time."""
        (row,) = ids
        parts = [_run(self._decoder, [row[at : at + CHUNK]], self._cache) for at in range(0, len(row), CHUNK)]
        self._fed = len(row)
        return _logits(self._decoder, parts[0] if len(parts) == 1 else torch.cat(parts, dim=1), spots)

    def accept(self, counts: Sequence[int]) -> None:
        """Take the others back."""
        if self._fed > counts[0]:
            self._cache.rollback(self._fed - counts[0])


class TorchRows:
    """Rows of one cache; where one is fed less than another, padding follows that never counts."""

    def __init__(self, decoder: Decoder, count: int, prefix: KVCache | None = None) -> None:
        self._decoder = decoder
        self._cache = RowsCache(decoder.config, count, prefix, dtype=decoder.dtype, device=decoder.device)

    def restart(self, row: int, fork: int) -> None:
        """Let a row begin again."""
        self._cache.restart(row, fork)

    def keep(self, rows: Sequence[int]) -> None:
        """Keep only these rows."""
        self._cache.keep(rows)

    def feed(self, ids: Sequence[Sequence[int]], spots: Sequence[tuple[int, int]]) -> Tensor:
        """Run the layers."""
        longest = max(map(len, ids))
        padded = [[*row, *[0] * (longest - len(row))] for row in ids]
        return _logits(self._decoder, _run(self._decoder, padded, self._cache), spots)

    def accept(self, counts: Sequence[int]) -> None:
        """Forget the others."""
        self._cache.accept(counts)


def _run(decoder: Decoder, ids: Sequence[Sequence[int]], cache: AnyCache) -> Tensor:
    return decoder.states(torch.tensor(ids, device=decoder.device), cache)  # (R, T, E)


@torch.inference_mode()
def _logits(decoder: Decoder, states: Tensor, spots: Sequence[tuple[int, int]]) -> Tensor:
    if not spots:
        return states.new_empty(0, decoder.config.vocab_size)
    rows, places = torch.tensor(spots, device=states.device).T
    return decoder.logits(states[rows, places])  # (spots, V)


class TorchChooser:
    """Applies a grammar to logits.

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

    @torch.inference_mode()
    def choose(self, logits: Tensor, legals: Sequence[Legal], *, logprobs: bool) -> TorchChoices:
        """What would come at each position."""
        return TorchChoices(self._masked(logits, legals), logprobs)

    def _masked(self, logits: Tensor, legals: Sequence[Legal]) -> Tensor:
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


class TorchChoices:
    """Tokens chosen from masked logits.

    Greedy choices are made together; sampled ones when they are asked for, so that a rollout draws once for
    each token whatever was drafted.
    """

    def __init__(self, logits: Tensor, logprobs: bool) -> None:
        self._logits = logits
        self._greedy: list[int] | None = None
        self._logprobs = torch.log_softmax(logits.float(), dim=-1) if logprobs else None

    @torch.inference_mode()
    def at(self, position: int, sampler: Sampler | None = None) -> tuple[int, float | None]:
        """The token at this position, and its log-probability."""
        if sampler is None:
            if self._greedy is None:
                self._greedy = self._logits.argmax(dim=-1).tolist()
            token = self._greedy[position]
        else:
            token = int(sampler(self._logits[position : position + 1]))
        return token, None if self._logprobs is None else float(self._logprobs[position, token])
