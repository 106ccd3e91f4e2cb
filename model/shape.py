"""The numbers of `config.json` that decide shapes and sizes, read without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cwm_trace.errors import CwmTraceError

FULL = "full_attention"
SLIDING = "sliding_attention"
Count = Annotated[int, Field(gt=0)]


class CwmShape(BaseModel):
    """A CWM model's measures, named as in `config.json`; the defaults are CWM-32B's, as in `CwmConfig`."""

    model_config = ConfigDict(frozen=True, strict=True)

    model_type: Literal["cwm"]
    vocab_size: Count = 128_256
    hidden_size: Count = 6_144
    intermediate_size: Count = 21_504
    num_hidden_layers: Count = 64
    num_attention_heads: Count = 48
    num_key_value_heads: Count = 8
    head_dim: Count = 128
    sliding_window: Count = 8_192  # tokens, the query itself counted
    max_position_embeddings: Count = 131_072
    layer_types: tuple[Literal["full_attention", "sliding_attention"], ...] = ()
    tie_word_embeddings: bool = False
    hidden_act: Literal["silu"] = "silu"
    mlp_bias: Literal[False] = False

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every weight, in the order of the model."""
        width, inner = self.hidden_size, self.intermediate_size
        queries, keys = self.num_attention_heads * self.head_dim, self.num_key_value_heads * self.head_dim
        shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (self.vocab_size, width)}
        for layer in range(self.num_hidden_layers):
            prefix = f"model.layers.{layer}"
            shapes |= {
                f"{prefix}.input_layernorm.weight": (width,),
                f"{prefix}.self_attn.q_proj.weight": (queries, width),
                f"{prefix}.self_attn.k_proj.weight": (keys, width),
                f"{prefix}.self_attn.v_proj.weight": (keys, width),
                f"{prefix}.self_attn.o_proj.weight": (width, queries),
                f"{prefix}.post_attention_layernorm.weight": (width,),
                f"{prefix}.mlp.gate_proj.weight": (inner, width),
                f"{prefix}.mlp.up_proj.weight": (inner, width),
                f"{prefix}.mlp.down_proj.weight": (width, inner),
            }
        shapes["model.norm.weight"] = (width,)
        if not self.tie_word_embeddings:
            shapes["lm_head.weight"] = (self.vocab_size, width)
        return shapes


def take_as(config: Mapping[str, Any], name: str, as_type: str | None = None) -> dict[str, Any]:
    """Take a `config.json` as that of another model type, which Meta's first upload of CWM needs.

    It said `llama` and had CWM's `layer_types`; a loader that believes the former reads the whole text in
    every layer, and gives other numbers without a word.

    Args:
        config: The file's object.
        name: What to call it in an error.
        as_type: "cwm", or None for what it says.

    Raises:
        CwmTraceError: It says `llama` and describes a CWM, and nobody said to take it as one.
    """
    kinds = config.get("layer_types")
    is_mixed = isinstance(kinds, list | tuple) and SLIDING in kinds
    if as_type is not None:
        taken = {**config, "model_type": as_type, "architectures": ["CwmForCausalLM"]}
        rope = taken.pop("rope_scaling", None) or {}  # as files had it before transformers 5
        if "rope_parameters" not in taken and "rope_theta" in taken:
            kind = rope.get("rope_type", rope.get("type", "default"))
            taken["rope_parameters"] = {**rope, "rope_type": kind, "rope_theta": taken.pop("rope_theta")}
        return taken
    if config.get("model_type") == "llama" and is_mixed:
        raise CwmTraceError(
            f"{name} says llama and has CWM's layer_types, as Meta's first upload of CWM did: write "
            "model_type cwm into it, or give --as cwm to predict, bench, model info or format probe "
            "(in Python load_model(folder, as_type='cwm'))"
        )
    return dict(config)


def read_shape(config: Mapping[str, Any], name: str, as_type: str | None = None) -> CwmShape:
    """Take the measures out of a `config.json`, with what it leaves open filled in as `CwmConfig` does.

    Args:
        config: The file's object.
        name: What to call it in an error.
        as_type: Model type to take it for, whatever it says.

    Raises:
        CwmTraceError: It is no CWM model, or a number or a layer type makes no sense.
    """
    config = take_as(config, name, as_type)
    given = {key: value for key, value in config.items() if value is not None}
    try:
        # Through JSON once more: strict mode takes a JSON array for a tuple, but not a Python list.
        shape = CwmShape.model_validate({**given, "layer_types": tuple(given.get("layer_types", ()))})
    except (ValidationError, TypeError) as error:
        raise CwmTraceError(f"{name} is not a CWM configuration: {explain(error)}") from error
    layers = shape.num_hidden_layers
    if not given.get("layer_types"):
        types = tuple(FULL if layer % 4 == 0 else SLIDING for layer in range(layers))
        shape = shape.model_copy(update={"layer_types": types})
    if len(shape.layer_types) != layers:
        raise CwmTraceError(f"{name} has {len(shape.layer_types)} layer_types for {layers} layers")
    if shape.num_attention_heads % shape.num_key_value_heads:
        raise CwmTraceError(
            f"{name} has {shape.num_attention_heads} heads, not a multiple of its "
            f"{shape.num_key_value_heads} key and value heads"
        )
    if shape.head_dim % 2:
        raise CwmTraceError(f"{name} has an odd head_dim of {shape.head_dim}, which rotary pairs cannot fill")
    return shape


def explain(error: ValidationError | TypeError) -> str:
    """Say the first thing that pydantic found wrong: where, what, and the value."""
    if isinstance(error, TypeError):
        return f"layer_types should be a list ({error})"
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    value = "" if first["type"] == "missing" else f", not {first['input']!r}"
    return f"{where}: {first['msg'].lower()}{value}"
