"""The Code World Model: architecture, attention, caches, tokenizer and predictors.

The names below are imported when first used: PyTorch takes seconds to load.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from cwm_trace.extras import explain_missing

if TYPE_CHECKING:
    from cwm_trace.model.cache import KVCache
    from cwm_trace.model.decoder import Decoder
    from cwm_trace.model.decoding import generate, generate_branches
    from cwm_trace.model.loading import load_model
    from cwm_trace.model.modeling import CwmConfig, CwmForCausalLM, CwmModel, CwmPreTrainedModel

HOMES = {
    "CwmConfig": "modeling",
    "CwmForCausalLM": "modeling",
    "CwmModel": "modeling",
    "CwmPreTrainedModel": "modeling",
    "Decoder": "decoder",
    "KVCache": "cache",
    "generate": "decoding",
    "generate_branches": "decoding",
    "load_model": "loading",
}
"""Module of each public name."""

__all__ = [
    "CwmConfig",
    "CwmForCausalLM",
    "CwmModel",
    "CwmPreTrainedModel",
    "Decoder",
    "KVCache",
    "generate",
    "generate_branches",
    "load_model",
]


def __getattr__(name: str) -> object:
    """Import a public name's module on first use (PEP 562)."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if explain_missing(error):
            raise ImportError(explain_missing(error, f"{__name__}.{name}")) from error
        raise
