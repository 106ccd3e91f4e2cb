"""Our own decode loop: prefill, one token after another, batches, branches, greedy or sampled.

Not here: beams, logits processors, assisted generation; use `CwmForCausalLM.generate` for those.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.cache import KVCache
from cwm_trace.model.decoder import AnyCache, Decoder
from cwm_trace.model.sampling import check_sampling


def prefill(decoder: Decoder, ids: Tensor, cache: AnyCache, chunk: int = 4096) -> Tensor:
    """Append prompts to a cache and predict the token after them.

    Args:
        decoder: The model.
        ids: `(batch, tokens)`, padded on the left if the cache has `starts`.
        cache: Of this batch.
        chunk: Tokens per pass.

    Returns:
        Logits `(batch, vocab)`.
    """
    states = [decoder.states(part, cache)[:, -1] for part in ids.split(chunk, dim=1)]  # type: ignore[no-untyped-call]
    return decoder.logits(states[-1])


def decode_one_token(decoder: Decoder, ids: Tensor, cache: AnyCache) -> Tensor:
    """Append one token `(batch,)` per row and return the logits after it, `(batch, vocab)`."""
    return decoder.logits(decoder.states(ids[:, None], cache)[:, 0])


def score(decoder: Decoder, ids: Tensor, cache: AnyCache) -> Tensor:
    """Append draft tokens `(batch, tokens)` and return the logits after each, `(batch, tokens, vocab)`.

    Reject the last n of them by `cache.rollback(n)`; make the cache with `drafts` of at least `tokens`.
    """
    return decoder.logits(decoder.states(ids, cache))


class Sampler:
    """Choose tokens from logits: the largest one, or drawn from the smallest set that holds `top_p`.

    Args:
        temperature: Divides the logits; 0 is greedy.
        top_p: Probability mass to draw from, in (0, 1] (Holtzman et al. 2020, arXiv:1904.09751).
        seed: Of the draws.
        device: Where the logits are.

    Raises:
        CwmTraceError: The temperature is negative or `top_p` outside (0, 1].
    """

    def __init__(
        self, temperature: float, top_p: float, seed: int | None, device: torch.device | str = "cpu"
    ) -> None:
        check_sampling(temperature, top_p)
        self.temperature, self.top_p = temperature, top_p
        self.generator = torch.Generator(device=device)
        if seed is None:
            self.generator.seed()
        else:
            self.generator.manual_seed(seed)

    def __call__(self, logits: Tensor) -> Tensor:
        """Choose from `(batch, vocab)`; returns `(batch,)`."""
        if self.temperature == 0:
            return logits.argmax(dim=-1)
        probabilities = torch.softmax(logits.float() / self.temperature, dim=-1)  # (B, V)
        if self.top_p < 1:
            ordered, index = probabilities.sort(dim=-1, descending=True)
            ordered[ordered.cumsum(dim=-1) - ordered >= self.top_p] = 0  # the first token always stays
            drawn = torch.multinomial(ordered, 1, generator=self.generator)
            return index.gather(1, drawn)[:, 0]
        return torch.multinomial(probabilities, 1, generator=self.generator)[:, 0]


@torch.inference_mode()
def _continue_rows(
    decoder: Decoder,
    logits: Tensor,
    cache: AnyCache,
    max_new_tokens: int,
    stop_ids: Collection[int] = (),
    sampler: Sampler | None = None,
) -> list[list[int]]:
    """Decode every row of a cache until it stops.

    Args:
        decoder: The model.
        logits: Of the first new token, `(batch, vocab)`.
        cache: What the rows hold so far.
        max_new_tokens: Per row.
        stop_ids: Tokens that end a row.
        sampler: Greedy if left out.

    Returns:
        The new tokens of each row, a stop token included.
    """
    sampler = sampler or Sampler(0.0, 1.0, seed=0, device=logits.device)
    stops = frozenset(stop_ids)
    rows: list[list[int]] = [[] for _ in range(logits.shape[0])]
    running = [True] * len(rows)
    for step in range(max_new_tokens):
        tokens = sampler(logits)  # (B)
        for row, token in enumerate(tokens.tolist()):
            if running[row]:
                rows[row].append(token)
                running[row] = token not in stops
        if step + 1 == max_new_tokens or not any(running):
            break
        logits = decode_one_token(decoder, tokens, cache)
    return rows


@torch.inference_mode()
def generate(
    model: Decoder | Any,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    *,
    stop_ids: Collection[int] | None = None,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int | None = None,
) -> list[list[int]]:
    """Continue prompts, of any lengths, as one batch.

    Args:
        model: A `Decoder`, or a model to make one of.
        prompts: Token ids of each text; none may be empty.
        max_new_tokens: Per text.
        stop_ids: Tokens that end a text; the config's `eos_token_id` if None.
        temperature: 0 is greedy.
        top_p: Probability mass to draw from.
        seed: Of the draws.

    Returns:
        The new tokens of each text, a stop token included.

    Raises:
        CwmTraceError: There is no prompt, one is empty, or the sampling arguments are out of range.
    """
    decoder = model if isinstance(model, Decoder) else Decoder(model)
    lengths = [len(prompt) for prompt in prompts]
    if not lengths or not min(lengths):
        raise CwmTraceError(
            "a prompt is empty: give every text at least one token, such as the begin-of-text token"
        )
    if stop_ids is None:
        stop_ids = _eos_ids(decoder.config.eos_token_id)
    sampler = Sampler(temperature, top_p, seed, decoder.device)
    if max_new_tokens < 1:
        return [[] for _ in prompts]
    longest = max(lengths)
    starts = [longest - length for length in lengths]
    padded = [[0] * start + list(prompt) for start, prompt in zip(starts, prompts, strict=True)]
    cache = decoder.cache(len(prompts), tokens=longest + max_new_tokens, starts=starts)
    logits = prefill(decoder, torch.tensor(padded, device=decoder.device), cache)
    return _continue_rows(decoder, logits, cache, max_new_tokens, stop_ids, sampler)


@torch.inference_mode()
def generate_branches(
    decoder: Decoder,
    prefix: KVCache,
    forks: Sequence[int],
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    *,
    stop_ids: Collection[int] | None = None,
    sampler: Sampler | None = None,
) -> list[list[int]]:
    """Continue N branches of one text at once; the prefix is read once per step, not once per branch.

    Args:
        decoder: The model.
        prefix: Cache of the text.
        forks: Tokens of the text each branch keeps, `(branches,)`.
        prompts: First tokens of each branch after its fork; none may be empty, lengths may differ.
        max_new_tokens: Per branch.
        stop_ids: Tokens that end a branch; the config's `eos_token_id` if None.
        sampler: Greedy if left out.

    Returns:
        The new tokens of each branch, a stop token included.

    Raises:
        CwmTraceError: A branch is empty, or forks outside of the prefix or where its window is gone.
    """
    lengths = [len(prompt) for prompt in prompts]
    if not lengths or not min(lengths):
        raise CwmTraceError("a branch is empty: give it the token after its fork at least")
    if stop_ids is None:
        stop_ids = _eos_ids(decoder.config.eos_token_id)
    longest = max(lengths)
    padded = [[*prompt, *[0] * (longest - len(prompt))] for prompt in prompts]
    cache = decoder.rows(len(prompts), prefix, forks, tokens=longest + max_new_tokens)
    states = decoder.states(torch.tensor(padded, device=decoder.device), cache)  # (B, T, E)
    cache.rollback([longest - length for length in lengths])
    logits = decoder.logits(torch.stack([row[n - 1] for row, n in zip(states, lengths, strict=True)]))
    return _continue_rows(decoder, logits, cache, max_new_tokens, stop_ids, sampler)


def _eos_ids(eos: int | list[int] | None) -> list[int]:
    """Return the ids that end a text, as a list."""
    return [] if eos is None else [eos] if isinstance(eos, int) else list(eos)
