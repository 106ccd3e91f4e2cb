"""Predictors by name: what the command line, the API and the benchmark call a model.

======================  ===============================================================================
name                    predictor
======================  ===============================================================================
``copy``, ``oracle``…   a baseline (`cwm_trace.predict.baselines`)
``mini``                our engine on `cwm-mini`, the small model that comes along, without torch
``FOLDER``              our engine on the CWM checkpoint in that folder
``hf:FOLDER_OR_ID``     transformers on any causal language model whose tokenizer has the trace tokens
``http://HOST:PORT``    an OpenAI-compatible server; ``http://HOST:PORT#NAME`` if it serves several models
``chat:URL#NAME``       any chat model behind ``/v1/chat/completions``
======================  ===============================================================================
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cwm_trace.errors import CwmTraceError
from cwm_trace.extras import is_installed, require
from cwm_trace.predict.settings import (
    OF_CHATS,
    OF_ENGINE,
    OF_SERVERS,
    OF_TRANSFORMERS,
    read_arguments,
    with_arguments,
)
from cwm_trace.records import Decoding

if TYPE_CHECKING:
    from cwm_trace.predict.protocol import Predictor
    from cwm_trace.predict.questions import Writer

_MINI = "cwm-mini"
"""What traces and logs call the bundled model, wherever it is installed."""
DEFAULT = "mini"
"""Who predicts where nothing is said."""

_ANSWERS = "CWM_TRACE_ANSWERS"
"""Environment variable: a file that keeps every answer of a server, for a run that is cut to go on from."""

MINI_TEXT_TOKENS, MINI_FRAME_TOKENS = 128, 384
"""Where cwm-mini is cut: hardly a frame that it was trained on is longer, and lost, it does not stop."""


def check_name(name: str) -> None:
    """Make sure that `name` has the form of a predictor's name and its packages are there; nothing is loaded.

    Raises:
        CwmTraceError: it has not, they are not, or it means the bundled model and that is not there.
    """
    from cwm_trace.predict.baselines import BASELINES

    if name in BASELINES:
        return
    if name == "mini":
        find_mini()
    if name == "mini" or name.startswith(("http://", "https://", "hf:", "chat:")) or os.path.isdir(name):
        _require_packages(name)
        return
    raise CwmTraceError(
        f"there is no model {name!r}: give mini, a checkpoint folder, hf:FOLDER_OR_ID, http://HOST:PORT,"
        " chat:URL#NAME, or"
        f" one of {', '.join(BASELINES)}"
    )


def find_predictor(
    name: str,
    decoding: Decoding = Decoding(),
    *,
    grammar: str = "frame",
    arguments: Mapping[str, str] | None = None,
) -> Predictor:
    """The predictor called `name`.

    Args:
        name: as above.
        decoding: how it is to decode; who it is, it says itself.
        grammar: that of our own engine, where `decoding` says none.
        arguments: further settings, as texts; see `cwm_trace.predict.settings`.

    Raises:
        CwmTraceError: there is none, its packages are not installed, or it cannot decode like that.
    """
    from cwm_trace.predict.baselines import BASELINES

    check_name(name)
    values = read_arguments(arguments or {}, _argument_names(name), name)
    decoding = with_arguments(decoding, values)
    if name in BASELINES:
        if decoding.constrained or decoding.temperature or decoding.logprobs:
            raise CwmTraceError(f"{name} is a baseline: it has no tokens to constrain, draw or score")
        if decoding.engine:
            raise CwmTraceError(f"{name} is a baseline: it needs no engine")
        if decoding.as_type:
            raise _not_a_folder(name, decoding)
        return BASELINES[name]()
    if name.startswith(("http://", "https://", "hf:", "chat:")):
        if decoding.engine:
            raise CwmTraceError(f"{name} is not run by our engine: leave the engine {decoding.engine} out")
        if decoding.as_type:
            raise _not_a_folder(name, decoding)
    else:
        decoding = replace(decoding, grammar=decoding.grammar or grammar)
    if name == "mini":
        # stored in bfloat16, which CPUs without AVX-512 compute many times slower
        decoding = replace(decoding, dtype=decoding.dtype or "float32", as_type="")  # it says what it is
        decoding = replace(
            decoding,
            max_text_tokens=decoding.max_text_tokens or MINI_TEXT_TOKENS,
            max_frame_tokens=decoding.max_frame_tokens or MINI_FRAME_TOKENS,
        )
        return _local(find_mini(), decoding, name=_MINI)
    if name.startswith("chat:"):
        return _chat(name.removeprefix("chat:"), decoding, values)
    if name.startswith(("http://", "https://")):
        return _server(name, decoding, values)
    if name.startswith("hf:"):
        return _transformers(name.removeprefix("hf:"), decoding, values.get("tokenizer"))
    return _local(Path(name), decoding)


def find_writer(
    name: str, decoding: Decoding = Decoding(), arguments: Mapping[str, str] | None = None
) -> Writer:
    """The model called `name`, to be asked in words.

    Raises:
        CwmTraceError: it is none that can be, or there is no such server.
    """
    if not name.startswith(("http://", "https://", "chat:")):
        raise CwmTraceError(
            f"{name} cannot be asked in words: give http://HOST:PORT#NAME or chat:URL#NAME, or score finished"
            " answers with bench rescore --inputs"
        )
    values = read_arguments(arguments or {}, OF_CHATS, name)
    from cwm_trace.model.predict.backends.answering import ServedWriter

    url, _, served = name.removeprefix("chat:").partition("#")
    client = {key: value for key, value in _of_client(values).items() if key != "concurrency"}
    decoding = with_arguments(decoding, values)
    return ServedWriter(url, served or None, chat=name.startswith("chat:"), decoding=decoding, **client)


def _argument_names(name: str) -> tuple[str, ...]:
    """The further settings that a predictor has."""
    from cwm_trace.predict.baselines import BASELINES

    if name in BASELINES:
        return ()
    if name.startswith("chat:"):
        return OF_CHATS
    if name.startswith(("http://", "https://")):
        return OF_SERVERS
    return OF_TRANSFORMERS if name.startswith("hf:") else OF_ENGINE


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


def find_checkpoint(name: str) -> str:
    """What is to be loaded for the name of a checkpoint: `mini` is the bundled model's folder, others stay.

    Raises:
        CwmTraceError: it is the bundled model, and this installation does not have it.
    """
    return str(find_mini()) if name == "mini" else name


def _local(folder: Path, decoding: Decoding, name: str | None = None) -> Predictor:
    from cwm_trace.model.predict.local import LocalPredictor

    return LocalPredictor.load(folder, decoding=decoding, name=name)


def _transformers(name: str, decoding: Decoding, tokenizer: str | None) -> Predictor:
    from cwm_trace.model.predict.backends.transformers import TransformersPredictor

    return TransformersPredictor(name, tokenizer, decoding=decoding)


def _server(name: str, decoding: Decoding, values: Mapping[str, Any]) -> Predictor:
    from cwm_trace.model.predict.backends.server import ServerPredictor

    url, _, served = name.partition("#")
    return ServerPredictor(
        url, served or None, values.get("tokenizer"), decoding=decoding, **_of_client(values)
    )


def _chat(name: str, decoding: Decoding, values: Mapping[str, Any]) -> Predictor:
    from cwm_trace.model.predict.backends.chat import ChatPredictor

    url, _, served = name.partition("#")
    if not served:
        raise CwmTraceError(f"chat:{url} names no model: give chat:{url}#NAME")
    return ChatPredictor(url, served, decoding=decoding, **_of_client(values))


def _of_client(values: Mapping[str, Any]) -> dict[str, Any]:
    from cwm_trace.model.predict.backends.completions import PATIENT

    patience = {name: values[name] for name in ("timeout", "tries") if name in values}
    concurrency = {"concurrency": values["concurrency"]} if "concurrency" in values else {}
    return {**concurrency, "patience": replace(PATIENT, **patience), "answers": os.environ.get(_ANSWERS)}


def has_mini_packages() -> bool:
    """Whether what the bundled model needs is installed."""
    return is_installed(*_MINI_PACKAGES)


_MINI_PACKAGES = ("numpy", "tokenizers")


def _require_packages(name: str) -> None:
    """Make sure that a model's packages are there; whether torch is among them, its size decides later."""
    if name.startswith("hf:"):
        require("model", name, "torch", "transformers")
    elif name.startswith(("http://", "https://")):
        require("model", "a server's tokenizer", "numpy", "tokenizers", "transformers")
    elif not name.startswith("chat:"):
        require("mini", "a model", *_MINI_PACKAGES)
