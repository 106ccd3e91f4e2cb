"""Lines of our files as JSON."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

import pydantic
import pydantic_core

from cwm_trace.records import FrameFields
from cwm_trace.wire.texts import escape_surrogates

_LONG = 1 << 16  # characters of a value, for which `pydantic_core` ends the process where memory is short


def dump_line(line: Mapping[str, object] | pydantic.BaseModel) -> bytes:
    """A line of a file as JSON, without its ending; floats that are not numbers by their names."""
    try:
        return pydantic_core.to_json(line, inf_nan_mode="constants")
    except pydantic_core.PydanticSerializationError:  # a lone surrogate: no UTF-8 file can hold it
        plain = line.model_dump() if isinstance(line, pydantic.BaseModel) else line
        return json.dumps(_escaped(plain), default=pydantic_core.to_jsonable_python).encode()


def _escaped(data: Any) -> Any:
    """Plain data with the lone surrogates of its texts written as escapes."""
    match data:
        case dict():
            return {escape_surrogates(name): _escaped(value) for name, value in data.items()}
        case list() | tuple():
            return [_escaped(item) for item in data]
        case str():
            return escape_surrogates(data)
        case _:
            return data


def dump_frame(fields: FrameFields) -> bytes:
    """The line of a frame; where memory is too short for a long one, that is a MemoryError."""
    is_long = "value" in fields and max(len(fields["value"]["text"]), len(fields.get("message", ""))) > _LONG
    if "changed" in fields:
        for slot in fields["changed"].values():
            if slot is not None and len(slot["text"]) > _LONG:
                is_long = True
    if is_long:
        with contextlib.suppress(UnicodeEncodeError):
            return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    return dump_line(fields)
