"""Predictors with a model: our engine on our model, any causal language model, and servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cwm_trace.lazy_names import lazy_names

if TYPE_CHECKING:
    from cwm_trace.model.predict.backends.chat import ChatPredictor
    from cwm_trace.model.predict.backends.server import ServerPredictor
    from cwm_trace.model.predict.backends.transformers import TransformersPredictor
    from cwm_trace.model.predict.local import LocalPredictor
    from cwm_trace.model.predict.predictor import ModelPredictor

__all__ = [
    "ChatPredictor",
    "LocalPredictor",
    "ModelPredictor",
    "ServerPredictor",
    "TransformersPredictor",
]

__getattr__ = lazy_names(
    "cwm_trace.model.predict",
    {
        "backends.chat": "ChatPredictor",
        "backends.server": "ServerPredictor",
        "backends.transformers": "TransformersPredictor",
        "local": "LocalPredictor",
        "predictor": "ModelPredictor",
    },
)
