"""Further settings of a model, as `NAME=VALUE`: what only some kinds of predictors have.

=================  ==========================================================================  =============
name               value                                                                       of
=================  ==========================================================================  =============
``tokenizer``      a folder or hub id; of a server: else what it says it was loaded from       server, hf
``max_length``     tokens that the model reads, where it does not say or is to read fewer      all but chats
``drafts``         no: let the truth and cheap guesses not be verified many tokens at a time   all but chats
``concurrency``    requests at a time                                                          server, chat
``timeout``        seconds without a byte before a request is given up                         server, chat
``tries``          requests before giving up                                                   server, chat
``extra``          further fields of every request, a JSON object                              server, chat
=================  ==========================================================================  =============
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Decoding


def _number(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value


def _yes(text: str) -> bool:
    known = {
        "yes": True,
        "true": True,
        "1": True,
        "on": True,
        "no": False,
        "false": False,
        "0": False,
        "off": False,
    }
    if text.lower() not in known:
        raise ValueError(text)
    return known[text.lower()]


def _fields(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(text)
    return value


_KINDS: Mapping[str, tuple[Callable[[str], Any], str]] = {
    "tokenizer": (str, "a folder or hub id"),
    "max_length": (_number, "a number of tokens"),
    "drafts": (_yes, "yes or no"),
    "concurrency": (_number, "a number of requests"),
    "timeout": (_seconds, "a number of seconds"),
    "tries": (_number, "a number of requests"),
    "extra": (_fields, 'a JSON object such as {"top_k": 20}'),
}

OF_SERVERS = tuple(_KINDS)
OF_CHATS = ("concurrency", "timeout", "tries", "extra")
OF_TRANSFORMERS = ("tokenizer", "max_length", "drafts")
OF_ENGINE = ("max_length", "drafts")
_OF_DECODING = ("max_length", "drafts", "extra")


def split_arguments(texts: Iterable[str]) -> dict[str, str]:
    """`NAME=VALUE` texts by name.

    Raises:
        CwmTraceError: one has another form, or a name that no model knows.
    """
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise CwmTraceError(
                f"--model-arg {text!r} is not of the form NAME=VALUE, such as max_length=4096"
            )
        if name not in _KINDS:
            raise CwmTraceError(f"there is no --model-arg {name!r}: choose one of {', '.join(_KINDS)}")
        found[name] = value
    return found


def read_arguments(texts: Mapping[str, str], names: Iterable[str], model: str) -> dict[str, Any]:
    """The values of arguments.

    Args:
        texts: by name.
        names: that this kind of model knows.
        model: what it is called.

    Raises:
        CwmTraceError: it does not know one, or a value is none.
    """
    found = {}
    known = tuple(names)
    for name, text in texts.items():
        if name not in known:
            choice = f"it knows {', '.join(known)}" if known else "it knows none"
            raise CwmTraceError(f"{model} has no --model-arg {name}: {choice}")
        read, what = _KINDS[name]
        try:
            found[name] = read(text)
        except ValueError:
            raise CwmTraceError(f"--model-arg {name}={text} is not {what}") from None
    return found


def with_arguments(decoding: Decoding, values: Mapping[str, Any]) -> Decoding:
    """A decoding with the arguments that change an answer."""
    return replace(decoding, **{name: value for name, value in values.items() if name in _OF_DECODING})
