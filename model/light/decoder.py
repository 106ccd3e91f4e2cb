"""CWM's forward pass in NumPy, for small models on a CPU.

PyTorch takes seconds to import and hundreds of megabytes; a token of a model of a few million parameters
takes a millisecond or two either way. Here are RMSNorm, rotary embedding, grouped-query attention with
windows and SwiGLU, in float32. Other dtypes, rotary scaling and devices are `cwm_trace.model.decoder`'s.

Letters: N tokens, E width, H heads of queries, K of keys, G = H / K, D numbers of a head, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cwm_trace.model.decoding_config import DecodingConfig
from cwm_trace.model.frequencies import pair_frequencies
from cwm_trace.model.light.cache import Numbers, RowsCache, TextCache
from cwm_trace.model.light.weights import Array


@dataclass(slots=True)
class Layer:
    """Matrices of one layer, each applied in one product, with the norms before them and scales folded in."""

    qkv: Array  # (E, (H + 2 K) * D)
    out: Array  # (H * D, E)
    gate_up: Array  # (E, 2 * wide)
    down: Array  # (wide, E)


class LightDecoder:
    """The weights of a model, laid out for decoding.

    The rows of queries and keys are interleaved (x[0], x[D / 2], x[1], …), so that rotating is one product of
    complex numbers; scores do not change.

    Args:
        config: of the model.
        arrays: every weight by the name that it has in a checkpoint.
    """

    def __init__(self, config: DecodingConfig, arrays: Mapping[str, Array]) -> None:
        self.config = config
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_dim, self.wide = config.head_dim, config.intermediate_size
        self._floor = np.float32(config.hidden_size * config.rms_norm_eps)
        self.layers = [
            self._lay_out(arrays, f"model.layers.{index}.") for index in range(config.num_hidden_layers)
        ]
        self.embedding = arrays["model.embed_tokens.weight"]  # (V, E)
        head = self.embedding if config.tie_word_embeddings else arrays["lm_head.weight"]
        self.head = self._fold(head, arrays["model.norm.weight"])  # (E, V)
        pairs = np.arange(0, config.head_dim, 2, dtype=np.float32)
        self._frequencies = pair_frequencies(config.rope_parameters, pairs, config.head_dim)  # (D / 2)
        self._turns = np.empty((0, config.head_dim // 2), np.complex64)  # of each position

    def _fold(self, weight: Array, norm: Array) -> Array:
        """`(in, out)` of an `(out, in)` weight, with the norm before it and the root it still lacks."""
        return np.ascontiguousarray((weight * (norm * np.float32(math.sqrt(len(norm))))).T)

    def _lay_out(self, arrays: Mapping[str, Array], layer: str) -> Layer:
        q, k, v, out = (arrays[f"{layer}self_attn.{part}_proj.weight"] for part in "qkvo")
        gate, up, down = (arrays[f"{layer}mlp.{part}_proj.weight"] for part in ("gate", "up", "down"))
        halves = (x.reshape(-1, 2, self.head_dim // 2, x.shape[1]) for x in (q, k))  # (heads, 2, D / 2, E)
        q, k = (x.swapaxes(1, 2).reshape(-1, x.shape[3]) for x in halves)  # (heads * D, E)
        q = q * np.float32(self.head_dim**-0.5)
        return Layer(
            qkv=self._fold(np.concatenate((q, k, v)), arrays[f"{layer}input_layernorm.weight"]),
            out=np.ascontiguousarray(out.T),
            gate_up=self._fold(np.concatenate((gate, up)), arrays[f"{layer}post_attention_layernorm.weight"]),
            down=np.ascontiguousarray(down.T),
        )

    def states(self, ids: Sequence[int], positions: Numbers, cache: TextCache | RowsCache) -> Array:
        """Run the layers.

        Args:
            ids: tokens, `(N,)`.
            positions: of each in its text, as the cache's `begin` gives them.
            cache: of their texts.

        Returns:
            States before the last norm, `(N, E)`.
        """
        count = len(ids)
        turned = self.heads + self.kv_heads
        turns = self._turns_at(positions)[:, None]  # (N, 1, D / 2)
        x = self.embedding[np.array(ids, np.intp)]  # (N, E)
        with np.errstate(over="ignore"):  # of exp(-gate), whose inverse is 0 as it should be
            for index, layer in enumerate(self.layers):
                qkv = _normalise(x, self._floor) @ layer.qkv  # (N, (H + 2 K) * D)
                qkv = qkv.reshape(count, -1, self.head_dim)  # (N, H + 2 K, D)
                pairs = qkv.view(np.complex64)  # (N, H + 2 K, D / 2)
                pairs[:, :turned] *= turns
                q = qkv[:, : self.heads].reshape(count, self.kv_heads, -1, self.head_dim)  # (N, K, G, D)
                mixed = cache.attend(index, q, qkv[:, self.heads : turned], qkv[:, turned:])  # (N, K, G, D)
                x += mixed.reshape(count, -1) @ layer.out
                hidden = _normalise(x, self._floor) @ layer.gate_up  # (N, 2 * wide)
                x += self._gate(hidden) @ layer.down
        cache.advance(count)
        return x

    def _gate(self, hidden: Array) -> Array:
        """SwiGLU (Shazeer 2020, arXiv:2002.05202): silu(gate) * up, `(N, wide)` of `(N, 2 * wide)`."""
        gate, up = hidden[:, : self.wide], hidden[:, self.wide :]
        result = np.exp(-gate)
        result += 1
        np.divide(gate, result, out=result)  # silu(x) = x / (1 + exp(-x))
        result *= up
        return result

    def logits(self, states: Array) -> Array:
        """Turn states `(N, E)` into logits `(N, V)`."""
        return _normalise(states, self._floor) @ self.head

    def _turns_at(self, positions: Numbers) -> npt.NDArray[np.complex64]:
        """The turn of a pair at each position, `(N, D / 2)`."""
        end = int(positions.max(initial=0)) + 1
        if end > len(self._turns):
            angles = (
                np.arange(max(end, 2 * len(self._turns), 1024), dtype=np.float32)[:, None] * self._frequencies
            )
            self._turns = np.empty(angles.shape, np.complex64)
            self._turns.real, self._turns.imag = np.cos(angles), np.sin(angles)
        return self._turns[positions]


def _normalise(x: Array, floor: np.float32) -> Array:
    """RMSNorm (Zhang and Sennrich 2019, arXiv:1910.07467) of `(N, E)`, smaller by the root of E."""
    result: Array = x / np.sqrt(np.einsum("ne,ne->n", x, x) + floor)[:, None]
    return result
