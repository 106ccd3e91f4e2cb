"""The Code World Model: architecture, attention, caches, tokenizer and predictors.

The names below are imported when first used: PyTorch takes seconds to load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cwm_trace.lazy_names import lazy_names

if TYPE_CHECKING:
    from cwm_trace.model.cache import KVCache
    from cwm_trace.model.chat import SYSTEM_PROMPT, encode_chat
    from cwm_trace.model.convert import convert_checkpoint
    from cwm_trace.model.decoder import Decoder
    from cwm_trace.model.decoding import generate, generate_branches, prefill
    from cwm_trace.model.info import describe_model
    from cwm_trace.model.loading import load_model, load_weights
    from cwm_trace.model.modeling import CwmConfig, CwmForCausalLM, CwmModel, CwmPreTrainedModel
    from cwm_trace.model.scoring import Scorer
    from cwm_trace.model.tokenizer import build_tokenizer, load_tokenizer, save_tokenizer
    from cwm_trace.model.tokens import read_tokens

__all__ = [
    "SYSTEM_PROMPT",
    "CwmConfig",
    "CwmForCausalLM",
    "CwmModel",
    "CwmPreTrainedModel",
    "Decoder",
    "KVCache",
    "Scorer",
    "build_tokenizer",
    "convert_checkpoint",
    "describe_model",
    "encode_chat",
    "generate",
    "generate_branches",
    "load_model",
    "load_tokenizer",
    "load_weights",
    "prefill",
    "read_tokens",
    "save_tokenizer",
]

__getattr__ = lazy_names(
    "cwm_trace.model",
    {
        "cache": "KVCache",
        "chat": "SYSTEM_PROMPT encode_chat",
        "convert": "convert_checkpoint",
        "decoder": "Decoder",
        "decoding": "generate generate_branches prefill",
        "info": "describe_model",
        "loading": "load_model load_weights",
        "modeling": "CwmConfig CwmForCausalLM CwmModel CwmPreTrainedModel",
        "scoring": "Scorer",
        "tokenizer": "build_tokenizer load_tokenizer save_tokenizer",
        "tokens": "read_tokens",
    },
)
