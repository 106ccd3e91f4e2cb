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
from cwm_trace.model.predict.decoders.lanes import RowLanes, TextLane
from cwm_trace.model.predict.vocabulary import Legal, Vocabulary
from cwm_trace.model.rows_cache import RowsCache


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

    @property
    def attention(self) -> str:
        """Whose attention the last pass ran."""
        return self.decoder.attention

    def fingerprint(self) -> str:
        """Digest of the weights in memory."""
        return fingerprint_model(self._model)

    def text(self) -> TextLane:
        """An empty lane; nothing of it is forgotten, so that branches may fork anywhere."""
        return TextLane(self, self.decoder.cache(rings=False))

    def rows(self, count: int, prefix: KVCache | None = None) -> RowLanes:
        """So many lanes with texts of their own, or with beginnings of one."""
        return RowLanes(self, self.decoder.rows(count, prefix))

    def read(self, ids: Sequence[int], cache: KVCache) -> Tensor:
        """States of the tokens of one text, `(T, E)`."""
        return self._states([ids], cache)[0]

    @torch.inference_mode()
    def pick(self, parts: Sequence[Tensor], places: Sequence[int]) -> Tensor:
        """Logits of some of these states, `(places, V)`."""
        if not places:
            return torch.empty(0, self.vocab_size, device=self.decoder.device)
        states = parts[0] if len(parts) == 1 else torch.cat([*parts])
        return self.decoder.logits(states[list(places)])

    @torch.inference_mode()
    def step(
        self, ids: Sequence[Sequence[int]], spots: Sequence[tuple[int, int]], cache: RowsCache
    ) -> tuple[Tensor, Sequence[int]]:
        """Logits at the spots; where a row is fed less than another, padding follows."""
        longest = max(map(len, ids))
        states = self._states([[*row, *[0] * (longest - len(row))] for row in ids], cache)
        rows, places = torch.tensor(spots, device=states.device).T
        return self.decoder.logits(states[rows, places]), [longest] * len(ids)

    def _states(self, ids: Sequence[Sequence[int]], cache: AnyCache) -> Tensor:
        return self.decoder.states(torch.tensor(ids, device=self.decoder.device), cache)  # (R, T, E)

    def chooser(self, vocabulary: Vocabulary | None) -> TorchChooser:
        """What chooses tokens; without a vocabulary everything is legal."""
        return TorchChooser(vocabulary, self.decoder.device)

    def sampler(self, temperature: float, top_p: float, seed: int) -> Sampler:
        """What draws the tokens of one rollout."""
        return Sampler(temperature, top_p, seed, self.decoder.device)


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
    def choose(self, logits: Tensor, legals: Sequence[Legal], *, logprobs: bool) -> _TorchChoices:
        """What would come at each position."""
        return _TorchChoices(self._masked(logits, legals), logprobs)

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


class _TorchChoices:
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
