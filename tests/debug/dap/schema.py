"""Checks messages against the protocol's own schema, and that they say nothing it does not know."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

Schema = dict[str, Any]
_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "object": dict,
    "array": list,
    "null": type(None),
}


@cache
def definitions() -> Schema:
    """Every type of the protocol."""
    found: Schema = json.loads(Path(__file__).with_name("protocol.json").read_text("utf-8"))["definitions"]
    return found


def definition_of(message: Schema) -> str:
    """The type that a message must have."""
    match message["type"]:
        case "event":
            name = message["event"]
            return f"{name[0].upper()}{name[1:]}Event"
        case "response" if not message["success"]:
            return "ErrorResponse"
        case "response":
            name = message["command"]
            return f"{name[0].upper()}{name[1:]}Response"
    return "Request"


def faults(message: Schema) -> list[str]:
    """What is wrong with a message; empty: nothing."""
    return list(_faults(message, {"$ref": f"#/definitions/{definition_of(message)}"}, "message"))


def _faults(value: Any, schema: Schema, where: str) -> list[str]:
    schema = _flat(schema)
    found = []
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(_is(value, name) for name in types):
        return [f"{where} is {value!r}, no {types}"]
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where} is {value!r}, none of {schema['enum']}")
    if "minimum" in schema and isinstance(value, int) and value < schema["minimum"]:
        found.append(f"{where} is {value}, below {schema['minimum']}")
    properties = schema.get("properties")
    if isinstance(value, dict) and properties is not None:
        found += [f"{where} lacks {name}" for name in schema.get("required", []) if name not in value]
        for name, part in value.items():
            if name not in properties:
                found.append(f"{where} has {name}, which the protocol does not know")
            else:
                found += _faults(part, properties[name], f"{where}.{name}")
    if isinstance(value, list) and "items" in schema:
        for number, part in enumerate(value):
            found += _faults(part, schema["items"], f"{where}[{number}]")
    return found


def _flat(schema: Schema) -> Schema:
    """A schema with what it refers to and is made of put together."""
    if "$ref" in schema:
        return _flat(definitions()[schema["$ref"].rpartition("/")[2]])
    if "allOf" not in schema:
        return schema
    whole: Schema = {"properties": {}, "required": []}
    for part in map(_flat, schema["allOf"]):
        for name, inner in part.get("properties", {}).items():
            whole["properties"][name] = {**whole["properties"].get(name, {}), **inner}
        whole["required"] = [*whole["required"], *part.get("required", [])]
        whole.update({key: value for key, value in part.items() if key not in ("properties", "required")})
    return whole


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, _TYPES[name])
