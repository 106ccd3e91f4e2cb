"""The Code World Model in PyTorch: the architecture, top to bottom; the angles of its positions: `rope.py`.

CWM (Meta FAIR, 2025) is a dense decoder: RMSNorm, SwiGLU, grouped-query attention, RoPE scaled as in
Llama 3.1, and attention that sees the whole text only in some layers (`config.layer_types`; by default every
fourth); the others see a window that counts the query itself. The defaults of `CwmConfig` are CWM-32B's.

Configuration, tensor names and outputs are those of `transformers.models.cwm`, so one folder of files loads
here, through `transformers.AutoModelForCausalLM` and in vLLM, and `generate`, `save_pretrained`, `device_map`
and the rest of `PreTrainedModel` work. Not here: our own decode loop (`decoding.py`), its caches
(`cache.py`), the attention operation (`attention/`), reading Meta's checkpoints.

Shapes in comments: B batch, T tokens of this call, S keys, H query heads, K key-value heads,
D head dimension, E model width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CwmConfig, DynamicCache, GenerationMixin, PreTrainedModel
from transformers import initialization as init
from transformers.cache_utils import Cache
from transformers.masking_utils import create_causal_mask, create_sliding_window_causal_mask
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast
from transformers.modeling_rope_utils import dynamic_rope_update
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.utils.generic import can_return_tuple

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.attention.eager import attend_eagerly
from cwm_trace.model.attention.implementation import NAME as INTERVAL
from cwm_trace.model.attention.implementation import packed_intervals
from cwm_trace.model.rope import rope_frequencies, rotate

__all__ = ["CwmConfig", "CwmForCausalLM", "CwmModel", "CwmPreTrainedModel"]

MASKS: dict[str, Callable[..., Any]] = {
    "full_attention": create_causal_mask,
    "sliding_attention": create_sliding_window_causal_mask,
}


class LayerTypesError(CwmTraceError, ValueError):
    """The config describes layers that CWM does not have."""


def check_layer_types(config: CwmConfig) -> None:
    """Check that every layer of `config` has a kind this model knows.

    Raises:
        LayerTypesError: A kind is unknown, there is not one per layer, or window layers have no window.
    """
    kinds = config.layer_types
    assert kinds is not None, "CwmConfig fills in layer_types"
    unknown = sorted({kind for kind in kinds if kind not in MASKS})
    if unknown:
        known = " or ".join(map(repr, MASKS))
        raise LayerTypesError(f"layer_types holds {unknown[0]!r}: a CWM layer is {known}")
    layers = config.num_hidden_layers
    if len(kinds) != layers:
        raise LayerTypesError(f"layer_types has {len(kinds)} entries for {layers} layers: name each once")
    if "sliding_attention" in kinds and not config.sliding_window:
        raise LayerTypesError(
            f"sliding_window is {config.sliding_window}: window layers need at least 1 token"
        )


# ------------------------------------------------------------
# Rotary position embedding


class CwmRotaryEmbedding(nn.Module):
    """Cosines and sines of the tokens' positions."""

    inv_freq: Tensor
    original_inv_freq: Tensor

    def __init__(self, config: CwmConfig) -> None:
        super().__init__()
        self.config = config
        self.rope_type = cast("dict[str, Any]", config.rope_parameters).get("rope_type", "default")
        # `dynamic_rope_update` (kinds "dynamic" and "longrope") reads and writes these two
        self.max_seq_len_cached = self.original_max_seq_len = config.max_position_embeddings
        frequencies, self.attention_scaling = rope_frequencies(config)
        self.register_buffer("inv_freq", frequencies, persistent=False)
        self.register_buffer("original_inv_freq", frequencies.clone(), persistent=False)

    @torch.no_grad()
    @dynamic_rope_update  # type: ignore[untyped-decorator]
    def forward(self, x: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return cos and sin `(batch, tokens, 1, head_dim)` in the dtype of `x`; the two halves are equal."""
        angles = position_ids[..., None].float() * self.inv_freq.to(x.device).float()  # (B, T, D / 2)
        angles = torch.cat((angles, angles), dim=-1).unsqueeze(2)  # (B, T, 1, D)
        cos, sin = angles.cos() * self.attention_scaling, angles.sin() * self.attention_scaling
        return cos.to(x.dtype), sin.to(x.dtype)


# ------------------------------------------------------------
# Layers


class CwmRMSNorm(nn.Module):
    """x / rms(x) * weight, the root mean square in float32 (Zhang and Sennrich 2019, arXiv:1910.07467)."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised `x`, same shape and dtype."""
        wide = x.float()
        scale = torch.rsqrt(wide.pow(2).mean(dim=-1, keepdim=True) + self.eps)  # (..., 1)
        return self.weight * (wide * scale).to(x.dtype)


class CwmMLP(nn.Module):
    """SwiGLU: down(silu(gate(x)) * up(x)) (Shazeer 2020, arXiv:2002.05202)."""

    def __init__(self, config: CwmConfig) -> None:
        super().__init__()
        wide, bias = config.intermediate_size, config.mlp_bias
        self.gate_proj = nn.Linear(config.hidden_size, wide, bias=bias)
        self.up_proj = nn.Linear(config.hidden_size, wide, bias=bias)
        self.down_proj = nn.Linear(wide, config.hidden_size, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, tokens, width)`."""
        gate, up = self.gate_proj(x), self.up_proj(x)  # (B, T, wide)
        if torch.is_grad_enabled():
            hidden = F.silu(gate) * up
        else:  # the same without two more tensors of this size
            hidden = F.silu(gate, inplace=True).mul_(up)
        return cast(Tensor, self.down_proj(hidden))


class CwmAttention(nn.Module):
    """Grouped-query attention over the whole text or over a window, as the layer's kind says."""

    def __init__(self, config: CwmConfig, layer_idx: int) -> None:
        super().__init__()
        kinds = cast("list[str]", config.layer_types)
        self.config = config
        self.layer_idx = layer_idx
        self.head_dim = config.head_dim
        self.num_key_value_groups = config.num_attention_heads // config.num_key_value_heads
        self.scaling = config.head_dim**-0.5
        self.is_causal = True
        self.sliding_window = config.sliding_window if kinds[layer_idx] == "sliding_attention" else None
        queries = config.num_attention_heads * config.head_dim
        keys = config.num_key_value_heads * config.head_dim
        self.q_proj = nn.Linear(config.hidden_size, queries, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, keys, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, keys, bias=False)
        self.o_proj = nn.Linear(queries, config.hidden_size, bias=False)

    def forward(
        self,
        x: Tensor,
        rope: tuple[Tensor, Tensor],
        attention_mask: Any,
        past_key_values: Cache | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        """Return `(batch, tokens, width)` and, from `eager`, the weights `(batch, heads, tokens, keys)`."""
        batch, tokens, _ = x.shape
        q = self.q_proj(x).view(batch, tokens, -1, self.head_dim)  # (B, T, H, D)
        k = self.k_proj(x).view(batch, tokens, -1, self.head_dim)  # (B, T, K, D)
        v = self.v_proj(x).view(batch, tokens, -1, self.head_dim)  # (B, T, K, D)
        q, k = rotate(q, *rope), rotate(k, *rope)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)  # (B, heads, T, D)
        if past_key_values is not None:
            k, v = past_key_values.update(k, v, self.layer_idx)  # (B, K, S, D)
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, attend_eagerly)
        output, weights = attend(
            self,
            q,
            k,
            v,
            attention_mask,
            dropout=self.config.attention_dropout if self.training else 0.0,
            scaling=self.scaling,
            sliding_window=self.sliding_window,
            **kwargs,
        )
        return self.o_proj(output.reshape(batch, tokens, -1)), weights


class CwmDecoderLayer(GradientCheckpointingLayer):  # type: ignore[no-untyped-call]
    """Attention, then MLP, each on the normalised input and added to it."""

    def __init__(self, config: CwmConfig, layer_idx: int) -> None:
        super().__init__()
        self.self_attn = CwmAttention(config, layer_idx)
        self.mlp = CwmMLP(config)
        self.input_layernorm = CwmRMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = CwmRMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self, x: Tensor, rope: tuple[Tensor, Tensor], attention_mask: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor | None]:
        """Return the layer's output `(batch, tokens, width)` and the attention weights, if kept."""
        attended, weights = self.self_attn(self.input_layernorm(x), rope, attention_mask, **kwargs)
        x = x + attended
        return x + self.mlp(self.post_attention_layernorm(x)), weights


# ------------------------------------------------------------
# Models


class CwmPreTrainedModel(PreTrainedModel):  # type: ignore[no-untyped-call]
    """What loading, saving and placing the model need to know."""

    config_class = CwmConfig
    config: CwmConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _no_split_modules = ["CwmDecoderLayer"]  # noqa: RUF012 (transformers declares these without ClassVar)
    _skip_keys_device_placement = ["past_key_values"]  # noqa: RUF012
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Draw a module's weights, and fill the buffers that no checkpoint holds."""
        std = self.config.initializer_range
        if isinstance(module, nn.Linear | nn.Embedding):
            init.normal_(module.weight, mean=0.0, std=std)
            if isinstance(module, nn.Linear) and module.bias is not None:
                init.zeros_(module.bias)
            loaded = getattr(module.weight, "_is_hf_initialized", False)  # from a checkpoint: hands off
            if isinstance(module, nn.Embedding) and module.padding_idx is not None and not loaded:
                init.zeros_(module.weight[module.padding_idx])
        elif isinstance(module, CwmRMSNorm):
            init.ones_(module.weight)
        elif isinstance(module, CwmRotaryEmbedding):
            frequencies, _ = rope_frequencies(self.config)
            init.copy_(module.inv_freq, frequencies)
            init.copy_(module.original_inv_freq, frequencies)


class CwmModel(CwmPreTrainedModel):  # type: ignore[no-untyped-call]
    """Token ids to hidden states."""

    def __init__(self, config: CwmConfig) -> None:
        check_layer_types(config)
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size, config.pad_token_id)
        self.layers = nn.ModuleList(CwmDecoderLayer(config, i) for i in range(config.num_hidden_layers))
        self.norm = CwmRMSNorm(config.hidden_size, config.rms_norm_eps)
        self.rotary_emb = CwmRotaryEmbedding(config)
        self.gradient_checkpointing = False
        self.post_init()  # type: ignore[no-untyped-call]

    @can_return_tuple  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Any = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        """Run the layers.

        Args:
            input_ids: `(batch, tokens)`; or give `inputs_embeds`.
            attention_mask: 1 for tokens and 0 for padding, `(batch, seen + tokens)`; or a ready mask for each
                kind of layer, as a dict `full_attention`, `sliding_attention`.
            position_ids: `(batch, tokens)`. Without mask and cache, a position that does not follow the one
                before it begins a new document, and no token sees another document (packing).
            past_key_values: Any transformers cache: dynamic, static, sliding.
            inputs_embeds: `(batch, tokens, width)`.
            use_cache: Return a cache; the config decides if None (never while checkpointing gradients).
            output_hidden_states: Return the input of every layer and the final states.
            output_attentions: Return every layer's weights (`eager` and `flex_attention` only).
            **kwargs: Passed on to the attention implementation.

        Returns:
            Hidden states `(batch, tokens, width)` after the last norm, and what was asked for.

        Raises:
            ValueError: Both or neither of `input_ids` and `inputs_embeds` are given.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give exactly one of input_ids and inputs_embeds")
        config = self.config
        keep_states = config.output_hidden_states if output_hidden_states is None else output_hidden_states
        keep_weights = config.output_attentions if output_attentions is None else output_attentions
        use_cache = config.use_cache if use_cache is None else use_cache
        x = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds  # (B, T, E)
        if self.gradient_checkpointing and self.training:
            past_key_values, use_cache = None, False  # the recomputation would write the cache twice
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache(config=config)
        if position_ids is None:
            seen = past_key_values.get_seq_length() if past_key_values is not None else 0
            position_ids = (torch.arange(x.shape[1], device=x.device) + seen).unsqueeze(0)  # (1, T)
        kinds = cast("list[str]", config.layer_types)
        masks = attention_mask
        if masks is None and past_key_values is None and config._attn_implementation == INTERVAL:
            positions = position_ids.expand(x.shape[0], -1)
            masks = {
                kind: packed_intervals(positions, None if kind == "full_attention" else config.sliding_window)
                for kind in set(kinds)
            }
        elif not isinstance(masks, dict):
            masks = {
                kind: MASKS[kind](
                    config=config,
                    inputs_embeds=x,
                    attention_mask=attention_mask,
                    past_key_values=past_key_values,
                    position_ids=position_ids,
                )
                for kind in set(kinds)
            }
        rope = self.rotary_emb(x, position_ids)
        states: list[Tensor] = []
        weights: list[Tensor | None] = []
        for layer, kind in zip(self.layers, kinds, strict=True):
            if keep_states:
                states.append(x)
            x, layer_weights = layer(x, rope, masks[kind], past_key_values=past_key_values, **kwargs)
            if keep_weights:
                weights.append(layer_weights)
        x = self.norm(x)
        return BaseModelOutputWithPast(
            last_hidden_state=x,
            past_key_values=past_key_values if use_cache else None,
            hidden_states=(*states, x) if keep_states else None,
            attentions=tuple(cast("list[Any]", weights)) if keep_weights else None,
        )


class CwmForCausalLM(CwmPreTrainedModel, GenerationMixin):  # type: ignore[no-untyped-call]
    """Token ids to logits of the next token."""

    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}  # noqa: RUF012 (tied if config.tie_word_embeddings)

    def __init__(self, config: CwmConfig) -> None:
        super().__init__(config)
        self.model = CwmModel(config)
        self.vocab_size = config.vocab_size
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()  # type: ignore[no-untyped-call]

    @can_return_tuple  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Any = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Predict the next tokens; the arguments of `CwmModel.forward`, and two more.

        Args:
            input_ids: `(batch, tokens)`.
            attention_mask: `(batch, seen + tokens)`.
            position_ids: `(batch, tokens)`.
            past_key_values: Keys and values of the tokens seen before.
            inputs_embeds: `(batch, tokens, width)` in place of `input_ids`.
            labels: `(batch, tokens)`, unshifted: token t is compared with the logits at t - 1; -100: skipped.
            use_cache: Return a cache.
            logits_to_keep: Compute logits for so many last tokens only, or for these indices; 0 means all.
            **kwargs: To `CwmModel.forward`; `num_items_in_batch` goes to the loss.

        Returns:
            Logits `(batch, tokens, vocab)`, with `labels` the mean cross entropy (nats), the model's outputs.
        """
        loss_kwargs = {"num_items_in_batch": kwargs.pop("num_items_in_batch", None)}
        kwargs.pop("return_dict", None)
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            return_dict=True,
            **kwargs,
        )
        x = outputs.last_hidden_state  # (B, T, E)
        x = x[:, -logits_to_keep:] if isinstance(logits_to_keep, int) else x[:, logits_to_keep]  # -0: all
        logits = self.lm_head(x)  # (B, T, V)
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=self.vocab_size, **loss_kwargs)
        return CausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )
