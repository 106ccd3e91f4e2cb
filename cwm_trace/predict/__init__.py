"""Predicting executions: the protocol, the modes, who predicts under which name, and floors without a model.

A prediction goes one way, whoever makes it: a `Request` (protocol) in a mode (modes) becomes a `Plan` of
segments (plan), a `Writer` writes what is predicted for each, and the driver puts that into a trace (driver).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cwm_trace.lazy_names import lazy_names

if TYPE_CHECKING:
    from cwm_trace.predict.baselines import BASELINES
    from cwm_trace.predict.driver import Writer, drive
    from cwm_trace.predict.kept_answers import Answers
    from cwm_trace.predict.modes import Mode, ModeKind, parse_mode
    from cwm_trace.predict.plan import Plan, Segment, make_plan
    from cwm_trace.predict.protocol import (
        BatchPredictor,
        Predictor,
        RefusedError,
        Request,
        StepPredictor,
        predict_all,
    )
    from cwm_trace.predict.registry import DEFAULT, find_predictor
    from cwm_trace.predict.stepping import StepWriter

__all__ = [
    "BASELINES",
    "DEFAULT",
    "Answers",
    "BatchPredictor",
    "Mode",
    "ModeKind",
    "Plan",
    "Predictor",
    "RefusedError",
    "Request",
    "Segment",
    "StepPredictor",
    "StepWriter",
    "Writer",
    "drive",
    "find_predictor",
    "make_plan",
    "parse_mode",
    "predict_all",
]

__getattr__ = lazy_names(
    "cwm_trace.predict",
    {
        "baselines": "BASELINES",
        "driver": "Writer drive",
        "kept_answers": "Answers",
        "modes": "Mode ModeKind parse_mode",
        "plan": "Plan Segment make_plan",
        "protocol": "BatchPredictor Predictor RefusedError Request StepPredictor predict_all",
        "registry": "DEFAULT find_predictor",
        "stepping": "StepWriter",
    },
)
