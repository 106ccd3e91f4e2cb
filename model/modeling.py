"""The Code World Model in PyTorch: the architecture, top to bottom; the angles of its positions: `rope.py`.

CWM (Meta FAIR, 2025) is a dense decoder: RMSNorm, SwiGLU, grouped-query attention, RoPE scaled as in
Llama 3.1, and attention that sees the whole text only in some layers (`config.layer_types`; by default every
fourth); the others see a window that counts the query itself. The defaults of `CwmConfig` are CWM-32B's.

Configuration, tensor names and outputs are those of `transformers.models.cwm`, so one folder of files loads
here, through `transformers.AutoModelForCausalLM` and in vLLM, and `generate`, `save_pretrained`, `device_map`
and the rest of `PreTrainedModel` work. Every module takes and returns what transformers' own does, so hooks,
trainers and plans for many processes written for that one work too (`tests/model/conformance/`). Not here:
our own decode loop (`decoding.py`), its caches (`cache.py`), the attention operation (`attention/`), masks
(`masks.py`), reading Meta's checkpoints.

Shapes in comments: B batch, T tokens of this call, S keys, H query heads, K key-value heads,
D head dimension, E model width, V vocabulary. A process of a tensor-parallel run holds part of the heads.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CwmConfig, DynamicCache, GenerationMixin, PreTrainedModel
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.cache_utils import Cache
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast
from transformers.modeling_rope_utils import dynamic_rope_update
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, slice_logits_to_keep
from transformers.utils.generic import can_return_tuple, merge_with_config_defaults
from transformers.utils.output_capturing import capture_outputs

from cwm_trace.model.attention.eager import attend_eagerly
from cwm_trace.model.masks import check_layer_types, make_masks
from cwm_trace.model.rope import rope_frequencies, rotate

__all__ = ["CwmConfig", "CwmForCausalLM", "CwmModel", "CwmPreTrainedModel"]

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
        """Return cos and sin `(batch, tokens, head_dim)` in the dtype of `x`; the two halves are equal."""
        angles = position_ids[..., None].float() * self.inv_freq.to(x.device).float()  # (B, T, D / 2)
        angles = torch.cat((angles, angles), dim=-1)  # (B, T, D)
        cos, sin = angles.cos() * self.attention_scaling, angles.sin() * self.attention_scaling
        return cos.to(x.dtype), sin.to(x.dtype)


# ------------------------------------------------------------
# Layers


class CwmRMSNorm(nn.Module):
    """x / rms(x) * weight, the root mean square in float32 (Zhang and Sennrich 2019, arXiv:1910.07467)."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.variance_epsilon = eps

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised `x`, same shape and dtype."""
        wide = x.float()
        scale = torch.rsqrt(wide.pow(2).mean(dim=-1, keepdim=True) + self.variance_epsilon)  # (..., 1)
        return self.weight * (wide * scale).to(x.dtype)


class CwmMLP(nn.Module):
    """SwiGLU: down(silu(gate(x)) * up(x)) (Shazeer 2020, arXiv:2002.05202); silu is `config.hidden_act`."""

    def __init__(self, config: CwmConfig) -> None:
        super().__init__()
        wide, bias = config.intermediate_size, config.mlp_bias
        self.gate_proj = nn.Linear(config.hidden_size, wide, bias=bias)
        self.up_proj = nn.Linear(config.hidden_size, wide, bias=bias)
        self.down_proj = nn.Linear(wide, config.hidden_size, bias=bias)
        self.act_fn = ACT2FN[config.hidden_act]
        self.is_silu = config.hidden_act == "silu"

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, tokens, width)`."""
        gate, up = self.gate_proj(x), self.up_proj(x)  # (B, T, wide)
        if torch.is_grad_enabled() or not self.is_silu:
            hidden = self.act_fn(gate) * up
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
        hidden_states: Tensor,
        position_embeddings: tuple[Tensor, Tensor],
        attention_mask: Any,
        past_key_values: Cache | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        """Return `(batch, tokens, width)` and, from `eager`, the weights `(batch, heads, tokens, keys)`.

        Args:
            hidden_states: `(batch, tokens, width)`, normalised.
            position_embeddings: Cos and sin of the tokens' positions, `(batch, tokens, head_dim)`.
            attention_mask: For this layer's kind.
            past_key_values: Keys and values are appended to it.
            **kwargs: To the implementation of attention, which may find the documents of a packed row in
                `position_ids`.
        """
        batch, tokens, _ = hidden_states.shape
        q = self.q_proj(hidden_states).view(batch, tokens, -1, self.head_dim)  # (B, T, H, D)
        k = self.k_proj(hidden_states).view(batch, tokens, -1, self.head_dim)  # (B, T, K, D)
        v = self.v_proj(hidden_states).view(batch, tokens, -1, self.head_dim)  # (B, T, K, D)
        cos, sin = (x.unsqueeze(2) for x in position_embeddings)  # (B, T, 1, D)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
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
        self,
        hidden_states: Tensor,
        attention_mask: Any = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = False,
        position_embeddings: tuple[Tensor, Tensor] | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Return the layer's output `(batch, tokens, width)`; the arguments of `CwmAttention.forward`."""
        attended, _ = self.self_attn(
            hidden_states=self.input_layernorm(hidden_states),
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            use_cache=use_cache,
            position_embeddings=position_embeddings,
            **kwargs,
        )
        x = hidden_states + attended
        return cast(Tensor, x + self.mlp(self.post_attention_layernorm(x)))


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
    _can_compile_fullgraph = True
    _can_record_outputs = {"hidden_states": CwmDecoderLayer, "attentions": CwmAttention}  # noqa: RUF012

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

    @merge_with_config_defaults  # type: ignore[untyped-decorator]
    @capture_outputs  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Any = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
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
            use_cache: Make a cache if none is given; the config decides if None (never while checkpointing
                gradients).
            **kwargs: `output_hidden_states` (True, or indices) and `output_attentions` (from `eager` and
                `flex_attention` only); the rest goes to the attention implementation.

        Returns:
            Hidden states `(batch, tokens, width)` after the last norm, and what was asked for.

        Raises:
            ValueError: Both or neither of `input_ids` and `inputs_embeds` are given.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give exactly one of input_ids and inputs_embeds")
        x = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds  # (B, T, E)
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache(config=self.config)
        if position_ids is None:
            seen = past_key_values.get_seq_length() if past_key_values is not None else 0
            position_ids = (torch.arange(x.shape[1], device=x.device) + seen).unsqueeze(0)  # (1, T)
        masks = make_masks(self.config, x, attention_mask, past_key_values, position_ids)
        rope = self.rotary_emb(x, position_ids)
        kinds = cast("list[str]", self.config.layer_types)
        depth = range(self.config.num_hidden_layers)  # may be fewer than were built
        for index, layer in zip(depth, self.layers, strict=False):  # a slice would build a module every time
            x = layer(
                x,
                attention_mask=masks[kinds[index]],
                position_ids=position_ids,
                past_key_values=past_key_values,
                position_embeddings=rope,
                **kwargs,
            )
        return BaseModelOutputWithPast(last_hidden_state=self.norm(x), past_key_values=past_key_values)


class CwmForCausalLM(CwmPreTrainedModel, GenerationMixin):  # type: ignore[no-untyped-call]
    """Token ids to logits of the next token."""

    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}  # noqa: RUF012 (tied if config.tie_word_embeddings)
    # what several processes do with the head; `CwmConfig` says it of the layers
    _tp_plan = {"lm_head": "colwise_gather_output"}  # noqa: RUF012
    _pp_plan = {"lm_head": (["hidden_states"], ["logits"])}  # type: ignore[dict-item]  # noqa: RUF012
    _fsdp_plan = {"lm_head": "keep_full_weight"}  # noqa: RUF012

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
            logits_to_keep: Compute logits for so many last tokens only, for these indices, or where a mask
                `(batch, tokens)` is true; 0 means all.
            **kwargs: To `CwmModel.forward`, and to the loss: `shift_labels`, `ignore_index`,
                `num_items_in_batch`.

        Returns:
            Logits `(batch, tokens, vocab)`, with `labels` the mean cross entropy (nats), the model's outputs.
        """
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            **kwargs,
        )
        logits = self.lm_head(slice_logits_to_keep(outputs.last_hidden_state, logits_to_keep))  # (B, T, V)
        loss = None
        if labels is not None:
            vocabulary = self.config.vocab_size
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=vocabulary, **kwargs)
        return CausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )
