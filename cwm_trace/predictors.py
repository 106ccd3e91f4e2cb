"""Predictors by name: what the command line, the API and the benchmark call a model.

======================  ===============================================================================
name                    predictor
======================  ===============================================================================
``copy``, ``oracle``…   a baseline (`cwm_trace.eval.baselines`)
``mini``                our engine on `cwm-mini`, the small model that comes along
``FOLDER``              our engine on the CWM checkpoint in that folder
``hf:FOLDER_OR_ID``     transformers on any causal language model whose tokenizer has the trace tokens
``http://HOST:PORT``    an OpenAI-compatible server; ``http://HOST:PORT#NAME`` if it serves several models
======================  ===============================================================================
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cwm_trace.errors import CwmTraceError
from cwm_trace.predictor import Predictor

DEFAULT = "mini"
"""Who predicts where nothing is said."""

MINI_BOUNDS = {"max_text_tokens": 128, "max_frame_tokens": 384}
"""Where cwm-mini is cut: hardly a frame that it was trained on is longer, and lost, it does not stop."""


@dataclass(frozen=True)
class Decode:
    """How a model is to choose its tokens.

    Args:
        constrained: keep every frame valid by the grammar; None: with our own engine only.
        temperature: 0 is greedy.
        top_p: probability mass to draw from, in (0, 1].
        seed: of the draws.
        logprobs: keep log-probabilities of predicted tokens in the frames.
        max_new_tokens: tokens after which a rollout is cut; None: what the model's length leaves.
        dtype: of the weights, such as `float32`; `auto`: that of the files.
        as_type: `cwm` for a folder whose `config.json` calls a CWM something else.
    """

    constrained: bool | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    logprobs: bool = False
    max_new_tokens: int | None = None
    dtype: str = "auto"
    as_type: str | None = None


def check_name(name: str) -> None:
    """Make sure that `name` has the form of a predictor's name, without loading anything.

    Raises:
        CwmTraceError: it has not, or it means the bundled model and that is not there.
    """
    from cwm_trace.eval.baselines import BASELINES

    if name == "mini":
        find_mini()
        return
    if name in BASELINES or name.startswith(("http://", "https://", "hf:")) or os.path.isdir(name):
        return
    raise CwmTraceError(
        f"there is no model {name!r}: give mini, a checkpoint folder, hf:FOLDER_OR_ID, http://HOST:PORT, or"
        f" one of {', '.join(BASELINES)}"
    )


def find_predictor(name: str, decode: Decode = Decode()) -> Predictor:
    """The predictor called `name`.

    Raises:
        CwmTraceError: there is none, its packages are not installed, or it cannot decode like that.
    """
    from cwm_trace.eval.baselines import BASELINES

    check_name(name)
    if name in BASELINES:
        if decode.constrained or decode.temperature or decode.logprobs:
            raise CwmTraceError(f"{name} is a baseline: it has no tokens to constrain, draw or score")
        return BASELINES[name]()
    _require_model_packages()
    if name == "mini":
        # stored in bfloat16, which CPUs without AVX-512 compute many times slower
        dtype = "float32" if decode.dtype == "auto" else decode.dtype
        folder = str(find_mini())
        with _no_progress():  # it loads in an instant
            return _local(folder, replace(decode, dtype=dtype), **MINI_BOUNDS)
    if name.startswith(("http://", "https://")):
        return _server(name, decode)
    if name.startswith("hf:"):
        return _transformers(name.removeprefix("hf:"), decode)
    return _local(name, decode)


def find_mini() -> Path:
    """The folder of the bundled model.

    Raises:
        CwmTraceError: this installation does not have it.
    """
    folder = Path(__file__).parent / "model" / "pretrained" / "cwm-mini"
    if not (folder / "model.safetensors").is_file():
        raise CwmTraceError(
            f"this installation has no bundled model ({folder} has no model.safetensors): give a checkpoint"
            " folder, or train one with cwm-trace train"
        )
    return folder


@contextmanager
def _no_progress() -> Iterator[None]:
    """Without the bars that transformers draws."""
    from transformers.utils import logging

    was_on = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if was_on:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _local(folder: str, decode: Decode, **bounds: Any) -> Predictor:
    from cwm_trace.model.predict.local import LocalPredictor
    from cwm_trace.model.predict.session import Options

    options = Options(
        constrained=decode.constrained is not False,
        temperature=decode.temperature,
        top_p=decode.top_p,
        seed=decode.seed,
        logprobs=decode.logprobs,
        max_new_tokens=decode.max_new_tokens,
        **bounds,
    )
    return LocalPredictor.load(folder, options=options, dtype=decode.dtype, as_type=decode.as_type)


def _transformers(name: str, decode: Decode) -> Predictor:
    from cwm_trace.model.predict.backends.transformers import TransformersPredictor

    if decode.constrained:
        raise CwmTraceError(f"hf:{name} cannot be constrained by the frame grammar: leave the option out")
    return TransformersPredictor(name, **_shared(decode), dtype=decode.dtype)


def _server(name: str, decode: Decode) -> Predictor:
    from cwm_trace.model.predict.backends.server import ServerPredictor

    url, _, served = name.partition("#")
    return ServerPredictor(url, served or None, constrained=bool(decode.constrained), **_shared(decode))


def _shared(decode: Decode) -> dict[str, Any]:
    from cwm_trace.model.predict.backends.backend import Sampling

    return {
        "sampling": Sampling(decode.temperature, decode.top_p, decode.seed),
        "logprobs": decode.logprobs,
        "max_new_tokens": decode.max_new_tokens,
    }


def has_model_packages() -> bool:
    """Whether torch and transformers are installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("torch", "transformers"))


def _require_model_packages() -> None:
    if not has_model_packages():
        raise CwmTraceError(
            "a model needs torch and transformers: pip install 'cwm-trace[model]'; a baseline, such as copy,"
            " does without"
        )
