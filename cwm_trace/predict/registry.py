"""Predictors by name: what the command line, the API and the benchmark call a model.

======================  ===============================================================================
name                    predictor
======================  ===============================================================================
``copy``, ``oracle``…   a baseline (`cwm_trace.predict.baselines`)
``mini``                our engine on `cwm-mini`, the small model that comes along
``FOLDER``              our engine on the CWM checkpoint in that folder
``hf:FOLDER_OR_ID``     transformers on any causal language model whose tokenizer has the trace tokens
``http://HOST:PORT``    an OpenAI-compatible server; ``http://HOST:PORT#NAME`` if it serves several models
``chat:URL#NAME``       any chat model behind ``/v1/chat/completions``
======================  ===============================================================================
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import replace
from pathlib import Path

from cwm_trace.errors import CwmTraceError
from cwm_trace.predict.protocol import Predictor
from cwm_trace.records import Decoding

MINI = "cwm-mini"
"""What traces and logs call the bundled model, wherever it is installed."""
DEFAULT = "mini"
"""Who predicts where nothing is said."""

ANSWERS = "CWM_TRACE_ANSWERS"
"""Environment variable: a file that keeps every answer of a server, for a run that is cut to go on from."""

MINI_TEXT_TOKENS, MINI_FRAME_TOKENS = 128, 384
"""Where cwm-mini is cut: hardly a frame that it was trained on is longer, and lost, it does not stop."""


def check_name(name: str) -> None:
    """Make sure that `name` has the form of a predictor's name, without loading anything.

    Raises:
        CwmTraceError: it has not, or it means the bundled model and that is not there.
    """
    from cwm_trace.predict.baselines import BASELINES

    if name == "mini":
        find_mini()
        return
    if name in BASELINES or name.startswith(("http://", "https://", "hf:", "chat:")) or os.path.isdir(name):
        return
    raise CwmTraceError(
        f"there is no model {name!r}: give mini, a checkpoint folder, hf:FOLDER_OR_ID, http://HOST:PORT,"
        " chat:URL#NAME, or"
        f" one of {', '.join(BASELINES)}"
    )


def find_predictor(name: str, decoding: Decoding = Decoding(), *, grammar: str = "frame") -> Predictor:
    """The predictor called `name`.

    Args:
        name: as above.
        decoding: how it is to decode; who it is, it says itself.
        grammar: that of our own engine, where `decoding` says none.

    Raises:
        CwmTraceError: there is none, its packages are not installed, or it cannot decode like that.
    """
    from cwm_trace.predict.baselines import BASELINES

    check_name(name)
    if name in BASELINES:
        if decoding.constrained or decoding.temperature or decoding.logprobs:
            raise CwmTraceError(f"{name} is a baseline: it has no tokens to constrain, draw or score")
        if decoding.as_type:
            raise _not_a_folder(name, decoding)
        return BASELINES[name]()
    _require_model_packages()
    if not name.startswith(("http://", "https://", "hf:", "chat:")):
        decoding = replace(decoding, grammar=decoding.grammar or grammar)
    elif decoding.as_type:
        raise _not_a_folder(name, decoding)
    if name == "mini":
        # stored in bfloat16, which CPUs without AVX-512 compute many times slower
        decoding = replace(decoding, dtype=decoding.dtype or "float32", as_type="")  # it says what it is
        decoding = replace(
            decoding,
            max_text_tokens=decoding.max_text_tokens or MINI_TEXT_TOKENS,
            max_frame_tokens=decoding.max_frame_tokens or MINI_FRAME_TOKENS,
        )
        return _local(find_mini(), decoding, name=MINI)
    if name.startswith("chat:"):
        return _chat(name.removeprefix("chat:"), decoding)
    if name.startswith(("http://", "https://")):
        return _server(name, decoding)
    if name.startswith("hf:"):
        return _transformers(name.removeprefix("hf:"), decoding)
    return _local(Path(name), decoding)


def _not_a_folder(name: str, decoding: Decoding) -> CwmTraceError:
    return CwmTraceError(
        f"--as {decoding.as_type} is for a checkpoint folder, and {name} is none: leave it out"
    )


def find_mini() -> Path:
    """The folder of the bundled model.

    Raises:
        CwmTraceError: this installation does not have it.
    """
    folder = Path(__file__).parents[1] / "model" / "pretrained" / "cwm-mini"
    if not (folder / "model.safetensors").is_file():
        raise CwmTraceError(
            f"this installation has no bundled model ({folder} has no model.safetensors): give a checkpoint"
            " folder, or train one with cwm-trace train"
        )
    return folder


def _local(folder: Path, decoding: Decoding, name: str | None = None) -> Predictor:
    from cwm_trace.model.predict.local import LocalPredictor

    return LocalPredictor.load(folder, decoding=decoding, name=name)


def _transformers(name: str, decoding: Decoding) -> Predictor:
    from cwm_trace.model.predict.backends.transformers import TransformersPredictor

    return TransformersPredictor(name, decoding=decoding)


def _server(name: str, decoding: Decoding) -> Predictor:
    from cwm_trace.model.predict.backends.server import ServerPredictor

    url, _, served = name.partition("#")
    return ServerPredictor(url, served or None, decoding=decoding, answers=os.environ.get(ANSWERS))


def _chat(name: str, decoding: Decoding) -> Predictor:
    from cwm_trace.model.predict.backends.chat import ChatPredictor

    url, _, served = name.partition("#")
    if not served:
        raise CwmTraceError(f"chat:{url} names no model: give chat:{url}#NAME")
    return ChatPredictor(url, served, decoding=decoding, answers=os.environ.get(ANSWERS))


def has_model_packages() -> bool:
    """Whether torch and transformers are installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("torch", "transformers"))


def _require_model_packages() -> None:
    if not has_model_packages():
        raise CwmTraceError(
            "a model needs torch and transformers: pip install 'cwm-trace[model]'; a baseline, such as copy,"
            " does without"
        )
