"""The model's forward pass once more, with nothing in the way of a small model on a CPU.

transformers' `generate` spends most of a step of a small model outside of the matrix products. Here weights
are laid out once, a layer is a dozen tensor operations, keys and values are written in place into our caches,
and one plan of attention serves all layers of a kind. The loop around it is in `decoding.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.attention.kernels import find_kernels
from cwm_trace.model.cache import KVCache
from cwm_trace.model.product import Product
from cwm_trace.model.rope import rope_frequencies, rotate
from cwm_trace.model.rows_cache import RowsCache
from cwm_trace.model.weights import Weights, weights_of

AnyCache = KVCache | RowsCache


@dataclass(slots=True)
class LayerWeights:
    """Matrices of one layer, each applied in one product; the norms before them may be folded in."""

    attention_norm: Tensor  # (E)
    qkv: Product  # E to (H + 2 K) * D
    out: Product  # H * D to E
    mlp_norm: Tensor  # (E)
    gate_up: Product  # E to 2 * wide
    gate_up_bias: Tensor | None
    down: Product  # wide to E
    down_bias: Tensor | None


class Decoder:
    """The weights of a model, laid out for decoding: one more copy of them, in float32 on a CPU two more.

    In float32 and float64 the weight of each norm is folded into the matrix after it, and the rows of queries
    and keys are interleaved (x[0], x[D / 2], x[1], ...), so that rotating is one complex product; scores do
    not change. In half precision both would round differently from the model, so neither is done.

    Args:
        model: Weights as `load_weights` reads them, or any `CwmForCausalLM` of plain linear layers, ours or
            transformers' own. Later changes of its weights are not seen.

    Raises:
        CwmTraceError: A layer is quantised, the model is spread over devices, positions are scaled by the
            length of the text, or `hidden_act` is not silu.
    """

    def __init__(self, model: Any) -> None:
        weights = model if isinstance(model, Weights) else weights_of(model)
        config, tensors = weights.config, weights.tensors
        rope_type = cast("dict[str, Any]", config.rope_parameters).get("rope_type", "default")
        if rope_type in ("dynamic", "longrope"):
            raise CwmTraceError(
                f"rope_type {rope_type!r} depends on the length of the text: use model.generate"
            )
        if getattr(config, "hidden_act", "silu") != "silu":
            raise CwmTraceError(f"the decode loop knows silu, not {config.hidden_act!r}: use model.generate")
        self.config = config
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_dim = config.head_dim
        self.scale = self.head_dim**-0.5
        embedding = tensors["model.embed_tokens.weight"]
        self.dtype, self.device = embedding.dtype, embedding.device
        self.fused = self.dtype in (torch.float32, torch.float64)
        self.eps = config.rms_norm_eps
        with torch.no_grad():
            self.layers = [
                self._lay_out(tensors, f"model.layers.{index}.") for index in range(config.num_hidden_layers)
            ]
            self.embedding = embedding.detach()  # (V, E)
            self.final_norm = tensors["model.norm.weight"].detach()  # (E)
            head = embedding if config.tie_word_embeddings else tensors["lm_head.weight"]  # (V, E)
            self.head = Product(self._fold(head.detach(), self.final_norm))  # E to V
        # hypot(|x|, sqrt(E eps)) = sqrt(E) * rms(x): the factor is in the folded weights
        self.norm_floor = torch.tensor(
            (config.hidden_size * self.eps) ** 0.5, dtype=self.dtype, device=self.device
        )
        frequencies, self.rope_factor = rope_frequencies(config)
        self.frequencies = frequencies.to(self.device)  # (D / 2)
        self.attention = ""
        """Whose attention the last pass ran: `CUDA kernels` or `PyTorch`."""
        self.turns = torch.empty(0)
        """Factor and turn of each position as a complex number, `(positions, head_dim / 2)`."""

    def _fold(self, weight: Tensor, norm: Tensor) -> Tensor:
        return weight * norm * math.sqrt(self.config.hidden_size) if self.fused else weight

    def _lay_out(self, tensors: Mapping[str, Tensor], layer: str) -> LayerWeights:
        def take(*names: str) -> list[Tensor]:
            return [tensors[f"{layer}{name}"].detach() for name in names]

        q, k, v, out = take(*(f"self_attn.{part}_proj.weight" for part in "qkvo"))
        norm, mlp_norm = take("input_layernorm.weight", "post_attention_layernorm.weight")
        gate, up, down = take(*(f"mlp.{part}_proj.weight" for part in ("gate", "up", "down")))
        gate_bias = down_bias = None
        if f"{layer}mlp.gate_proj.bias" in tensors:
            *pair, down_bias = take(*(f"mlp.{part}_proj.bias" for part in ("gate", "up", "down")))
            gate_bias = torch.cat(pair)
        if self.fused:
            halves = (x.view(-1, 2, self.head_dim // 2, x.shape[1]) for x in (q, k))  # (heads, 2, D / 2, E)
            q, k = (x.transpose(1, 2).reshape(-1, x.shape[3]) for x in halves)  # (heads * D, E)
        return LayerWeights(
            attention_norm=norm,
            qkv=Product(self._fold(torch.cat((q, k, v)), norm)),
            out=Product(out),
            mlp_norm=mlp_norm,
            gate_up=Product(self._fold(torch.cat((gate, up)), mlp_norm)),
            gate_up_bias=gate_bias,
            down=Product(down),
            down_bias=down_bias,
        )

    def cache(self, batch: int = 1, **options: Any) -> KVCache:
        """Make a cache for this model; options as for `KVCache`."""
        return KVCache(self.config, batch, dtype=self.dtype, device=self.device, **options)

    def rows(
        self, count: int, prefix: KVCache | None = None, forks: Sequence[int] = (), **options: Any
    ) -> RowsCache:
        """Make a cache of rows, which begin at these forks of the prefix; options as for `RowsCache`."""
        cache = RowsCache(self.config, count, prefix, dtype=self.dtype, device=self.device, **options)
        for row, fork in enumerate(forks):
            cache.restart(row, fork)
        return cache

    def _normalise(self, x: Tensor, weight: Tensor) -> Tensor:
        if self.fused:
            return x / torch.hypot(torch.linalg.vector_norm(x, dim=-1, keepdim=True), self.norm_floor)
        wide = x.float()
        return weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)).to(x.dtype)

    def _rope(self, cache: AnyCache, count: int) -> tuple[Tensor, Tensor] | Tensor:
        """Return the turn of each token: complex `(tokens, 1, D / 2)`, or cos and sin `(tokens, 1, D)`."""
        end = cache.length + count
        if isinstance(cache, KVCache) and cache.starts is None and self.fused:
            self._extend_turns(end)
            turns = self.turns[cache.length : end].unsqueeze(1)  # (T, 1, D / 2)
            return turns if cache.batch == 1 else turns.repeat(cache.batch, 1, 1)  # (B * T, 1, D / 2)
        positions = cache.positions(count)
        positions = positions.expand(cache.batch, -1).reshape(-1).to(self.device)  # (B * T)
        if self.fused:
            self._extend_turns(int(positions.max()) + 1)
            return self.turns[positions].unsqueeze(1)  # (B * T, 1, D / 2)
        angles = positions[:, None].float() * self.frequencies  # (B * T, D / 2)
        angles = torch.cat((angles, angles), dim=-1).unsqueeze(1)  # (B * T, 1, D)
        cos, sin = angles.cos() * self.rope_factor, angles.sin() * self.rope_factor
        return cos.to(self.dtype), sin.to(self.dtype)

    def _extend_turns(self, end: int) -> None:
        if end <= len(self.turns):
            return
        positions = torch.arange(max(end, 2 * len(self.turns), 1024), device=self.device)
        angles = (positions[:, None].float() * self.frequencies).to(self.dtype)  # (T, D / 2)
        self.turns = torch.polar(torch.full_like(angles, self.rope_factor), angles)

    @torch.inference_mode()
    def states(self, ids: Tensor, cache: AnyCache) -> Tensor:
        """Run the layers on `(batch, tokens)` ids, appending to the cache.

        Returns:
            States before the last norm, `(batch, tokens, width)`.
        """
        batch, count = ids.shape
        rows = batch * count
        turned = self.heads + self.kv_heads
        widths = [self.heads * self.head_dim, 2 * self.kv_heads * self.head_dim]
        halves = [self.config.intermediate_size] * 2
        rope = self._rope(cache, count)
        cache.begin(count)
        x = F.embedding(ids.reshape(-1), self.embedding)  # (B * T, E)
        for index, layer in enumerate(self.layers):
            qkv = layer.qkv(self._normalise(x, layer.attention_norm))  # (B * T, (H + 2 K) * D)
            q, kv = qkv.split_with_sizes(widths, dim=1)
            if isinstance(rope, Tensor):
                pairs = torch.view_as_complex(qkv.view(rows, -1, self.head_dim // 2, 2))
                pairs[:, :turned].mul_(rope)  # (B * T, H + K, D / 2), in place, so in qkv
            else:
                heads = qkv.view(rows, -1, self.head_dim)[:, :turned]  # (B * T, H + K, D)
                heads.copy_(rotate(heads, *rope))
            q = q.view(rows, self.heads, self.head_dim)
            kv = kv.view(batch, count, 2, self.kv_heads, self.head_dim)
            attended = cache.attend(index, q, kv, self.scale)  # (B * T, H, D)
            x = layer.out.add(attended.view(rows, -1), x)
            hidden = layer.gate_up(self._normalise(x, layer.mlp_norm))  # (B * T, 2 * wide)
            if layer.gate_up_bias is not None:
                hidden += layer.gate_up_bias
            gate, up = hidden.split_with_sizes(halves, dim=1)
            x = layer.down.add(F.silu(gate).mul_(up), x)
            if layer.down_bias is not None:
                x += layer.down_bias
        self.attention = (
            "PyTorch" if find_kernels(q, kv[:, 0]) is None else "CUDA kernels"
        )  # as attention found
        cache.advance(count)
        return x.view(batch, count, -1)

    @torch.inference_mode()
    def logits(self, states: Tensor) -> Tensor:
        """Turn states `(..., width)` into logits `(..., vocab)`."""
        rows = self._normalise(states, self.final_norm).flatten(0, -2)
        return self.head(rows).view(*states.shape[:-1], -1)
