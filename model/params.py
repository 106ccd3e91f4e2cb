"""`params.json` of Meta's checkpoints and `config.json` of Hugging Face's: the same model in other words.

Names, defaults and formulas of Meta's side are those of `cwm/model/transformer.py` in facebookresearch/cwm.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.shape import FULL, SLIDING, Count, CwmShape, explain, read_shape

SPECIALS = 256  # ids at the end of Meta's vocabulary
CARRIED = "cwm_trace"
"""Section of `params.json` where Hugging Face's files travel, for what Meta's has no words for."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ScaledRope(_Strict):
    """How rotary frequencies are stretched for long contexts."""

    scale_factor: Annotated[float, Field(gt=1)] = 8
    old_context_len: Count = 8_192
    low_freq_factor: float = 1
    high_freq_factor: float = 4
    use_attn_scale: Literal[False] = False


class WindowAttention(_Strict):
    """Which layers look at a window only."""

    window_pattern: Count = 6
    global_window: Count | None = None
    local_window: Count | None = None
    global_last_layer: bool = True


class MetaModel(_Strict):
    """The `model` section of `params.json`."""

    dim: Count = 512
    n_layers: Count = 8
    n_heads: Count = 8
    n_kv_heads: Count | None = None
    head_dim: Count | None = None
    max_seq_len: Count = 1_024
    vocab_size: Count
    ffn_dim_multiplier: float | None = None
    ffn_exp: Count = 4
    multiple_of: Count = 256
    norm_eps: float = 1e-5
    pos_embed_impl: Literal["rope", "scaled_rope"] = "rope"
    rope_theta: float = 10_000.0
    scaled_rope: ScaledRope = ScaledRope()
    attn_impl: str = "xformers"
    attn_bias_type: str | None = None
    window_attn: WindowAttention | None = None
    q_lora_rank: Literal[0] = 0
    kv_lora_rank: Literal[0] = 0
    qk_nope_head_dim: int = 128
    qk_rope_head_dim: int = 64
    weight_tying: Literal[False] = False
    qkv_biases: Literal[False] = False
    qk_norm: Literal[False] = False

    @property
    def hidden_dim(self) -> int:
        """Width inside the feed-forward layers."""
        return feed_forward_width(self.dim, self.ffn_exp, self.ffn_dim_multiplier, self.multiple_of)

    def layer_types(self) -> list[str]:
        """The kind of every layer.

        Raises:
            CwmTraceError: A global layer has a window that `layer_types` has no word for.
        """
        window = self.window_attn
        if window is None:
            return [FULL] * self.n_layers
        if window.global_window is not None and window.global_window < self.max_seq_len:
            raise CwmTraceError(
                f"params.json gives global layers a window of {window.global_window}, shorter than the "
                f"context of {self.max_seq_len}: config.json cannot say so"
            )
        if window.local_window is None and window.window_pattern != 1:
            raise CwmTraceError("params.json has window layers (window_pattern) but no local_window")
        return _layer_pattern(self.n_layers, window.window_pattern, last=window.global_last_layer)


def _layer_pattern(layers: int, period: int, *, last: bool) -> list[str]:
    """Every `period`-th layer is global, from the first; `last` makes the last one global too.

    >>> _layer_pattern(4, 2, last=True)
    ['full_attention', 'sliding_attention', 'full_attention', 'full_attention']
    """
    return [
        FULL if layer % period == 0 or (last and layer == layers - 1) else SLIDING for layer in range(layers)
    ]


def feed_forward_width(dim: int, expansion: int, multiplier: float | None, multiple_of: int) -> int:
    """Two thirds of the expanded width, times the multiplier, rounded up to a multiple."""
    width = int(2 * (expansion * dim) / 3)
    if multiplier is not None:
        width = int(multiplier * width)
    return multiple_of * ((width + multiple_of - 1) // multiple_of)


def config_from_params(
    params: Mapping[str, Any], name: str, *, specials: int | None = None
) -> dict[str, Any]:
    """Write `config.json` for a `params.json`, with `layer_types` spelt out.

    Args:
        params: The file's object.
        name: What to call it in an error.
        specials: The id of `<|begin_of_text|>`; the last 256 ids are special without it.

    Raises:
        CwmTraceError: A key is unknown, or says something that a CWM model on Hugging Face's side cannot be.
    """
    try:
        model = MetaModel.model_validate(params.get("model", params))
    except ValidationError as error:
        raise CwmTraceError(f"{name} cannot be converted: model.{explain(error)}") from error
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": model.rope_theta}
    if model.pos_embed_impl == "scaled_rope":
        rope = {
            "rope_type": "llama3",
            "rope_theta": model.rope_theta,
            "factor": model.scaled_rope.scale_factor,
            "low_freq_factor": model.scaled_rope.low_freq_factor,
            "high_freq_factor": model.scaled_rope.high_freq_factor,
            "original_max_position_embeddings": model.scaled_rope.old_context_len,
        }
    window = model.window_attn.local_window if model.window_attn is not None else None
    carried = carried_file(params, "config")
    for older in ("rope_theta", "rope_scaling"):  # `rope_parameters` takes their place
        carried.pop(older, None)
    begin = model.vocab_size - SPECIALS if specials is None else specials
    config = {
        "architectures": ["CwmForCausalLM"],
        "model_type": "cwm",
        **({"bos_token_id": begin, "eos_token_id": [begin + 1, begin + 8, begin + 9]} if begin > 0 else {}),
        **carried,
        "vocab_size": model.vocab_size,
        "hidden_size": model.dim,
        "intermediate_size": model.hidden_dim,
        "num_hidden_layers": model.n_layers,
        "num_attention_heads": model.n_heads,
        "num_key_value_heads": model.n_kv_heads or model.n_heads,
        "head_dim": model.head_dim or model.dim // model.n_heads,
        "hidden_act": "silu",
        "max_position_embeddings": model.max_seq_len,
        "rms_norm_eps": model.norm_eps,
        "rope_parameters": rope,
        "sliding_window": window or carried.get("sliding_window") or model.max_seq_len,
        "layer_types": model.layer_types(),
        "tie_word_embeddings": False,
    }
    read_shape(config, name)
    return config


def params_from_config(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Write `params.json` for a `config.json`, which travels along for what Meta's side has no words for.

    Raises:
        CwmTraceError: Meta's code cannot build such a model.
    """
    shape = read_shape(config, name)
    if shape.tie_word_embeddings:
        raise CwmTraceError(f"{name} ties the head to the embedding, which Meta's code does not support")
    if shape.hidden_size % shape.num_attention_heads:
        raise CwmTraceError(
            f"{name} has a hidden_size of {shape.hidden_size}; Meta's code needs a multiple of its "
            f"{shape.num_attention_heads} heads"
        )
    multiplier, multiple_of = _feed_forward(shape)
    model = {
        "dim": shape.hidden_size,
        "n_layers": shape.num_hidden_layers,
        "n_heads": shape.num_attention_heads,
        "n_kv_heads": shape.num_key_value_heads,
        "head_dim": shape.head_dim,
        "max_seq_len": shape.max_position_embeddings,
        "vocab_size": shape.vocab_size,
        "ffn_dim_multiplier": multiplier,
        "ffn_exp": 4,
        "multiple_of": multiple_of,
        "norm_eps": config.get("rms_norm_eps", 1e-5),
        **_rope(config, name),
        "window_attn": _window(shape, name),
    }
    return {"model": model, CARRIED: {"config": dict(config)}}


def carried_file(params: Mapping[str, Any], name: str) -> dict[str, Any]:
    """One of Hugging Face's files that travels in `params.json`; empty if it does not."""
    section = params.get(CARRIED)
    file = section.get(name) if isinstance(section, dict) else None
    return dict(file) if isinstance(file, dict) else {}


def _feed_forward(shape: CwmShape) -> tuple[float | None, int]:
    """Find the multiplier and the multiple that give this width."""
    base = feed_forward_width(shape.hidden_size, 4, None, 1)
    width = shape.intermediate_size
    multiple_of = next(2**power for power in (8, 7, 6, 5, 4, 3, 2, 1, 0) if width % 2**power == 0)
    # Half a unit more, so that rounding down in Meta's formula cannot lose one.
    candidates = (None, width / base, (width + 0.5) / base)
    fits = (x for x in candidates if feed_forward_width(shape.hidden_size, 4, x, multiple_of) == width)
    return next(fits), multiple_of


def _rope(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Read `rope_parameters` (transformers 5) or `rope_theta` and `rope_scaling` (before)."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if not rope and "rope_theta" not in config:  # CwmConfig's own defaults
        rope = {"rope_type": "llama3", "factor": 16.0, "original_max_position_embeddings": 8_192}
    theta = rope.get("rope_theta", config.get("rope_theta", 1_000_000.0))
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind == "default":
        return {"pos_embed_impl": "rope", "rope_theta": theta}
    if kind != "llama3":
        raise CwmTraceError(
            f"{name} scales rotary positions by {kind!r}; Meta's code knows 'default' and 'llama3'"
        )
    scaled = {
        "scale_factor": rope.get("factor", 16.0),
        "old_context_len": rope.get("original_max_position_embeddings", 8_192),
        "low_freq_factor": rope.get("low_freq_factor", 1.0),
        "high_freq_factor": rope.get("high_freq_factor", 4.0),
    }
    # Meta's class declares whole numbers here; JSON's 16.0 is one.
    whole = {key: int(value) if value == int(value) else value for key, value in scaled.items()}
    return {"pos_embed_impl": "scaled_rope", "rope_theta": theta, "scaled_rope": whole}


def _window(shape: CwmShape, name: str) -> dict[str, Any] | None:
    """Find the period and the last layer's rule that give these layer types."""
    types, layers = list(shape.layer_types), shape.num_hidden_layers
    if SLIDING not in types:
        return None
    for period in range(1, layers + 1):
        for last in (True, False):
            if _layer_pattern(layers, period, last=last) == types:
                return {
                    "window_pattern": period,
                    "local_window": shape.sliding_window,
                    "global_last_layer": last,
                }
    raise CwmTraceError(
        f"{name} has layer_types without a period; "
        "in Meta's code every n-th layer, and perhaps the last, is global"
    )
