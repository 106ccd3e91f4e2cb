"""What is not known about CWM's format, each open question a field with its alternatives."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cwm_trace.errors import CwmTraceError
from cwm_trace.files import write_whole
from cwm_trace.records import UNCHANGED, Slot

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_STR_ITERATOR = re.compile(r"<str(_ascii)?_iterator object")
_STRINGS = ("str", "bytes", "bytearray")


@dataclass(frozen=True, slots=True)
class FormatProfile:
    """One reading of the format.

    Args:
        name: what files and reports call it; not part of the hash.
        version: raised whenever the meaning of a field changes.
        exception_value: VALUE of an EXCEPTION: `repr(exc)`, the type's name, `str(exc)`, or the `repr` of
            the type's name.
        unwinding_return: the RETURN `"None"` that `settrace` reports when an exception leaves an
            activation: written or dropped.
        addresses: ` at 0x…` in values: removed, so that traces repeat, or kept as recorded.
        str_iterator: the iterator over an ASCII string is `str_ascii_iterator` from CPython 3.11 on: as the
            running Python says, or always one of the two names.
        diff_reset: when `..` starts afresh: whenever a frame of another activation came between, or never.
        module_code: a script is shown as the body of an entry `main` (the text only: it ran unchanged), or
            as a `<module>` activation.
    """

    name: str = "cwm"
    version: int = 1
    exception_value: Literal["repr", "type", "str", "type-repr"] = "repr"
    unwinding_return: Literal["written", "dropped"] = "written"
    addresses: Literal["removed", "kept"] = "removed"
    str_iterator: Literal["as-run", "str_iterator", "str_ascii_iterator"] = "as-run"
    diff_reset: Literal["activation", "never"] = "activation"
    module_code: Literal["main", "module"] = "main"

    @property
    def hash(self) -> str:
        """Twelve hex digits that are equal for equal readings, whatever they are called."""
        fields = dataclasses.asdict(self)
        del fields["name"]
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:12]

    def text_of(self, slot: Slot) -> str:
        """The text of a local variable or a returned value."""
        text = slot.text
        if slot.type in _STRINGS:
            return text
        if " object" in text and self.str_iterator != "as-run":
            text = _STR_ITERATOR.sub(f"<{self.str_iterator} object", text)
        if self.addresses == "removed" and " at 0x" in text:
            text = remove_addresses(text)
            return "<..>" if text == UNCHANGED else text
        return text

    def text_of_exception(self, slot: Slot, message: str | None) -> str:
        """The text of a raised exception."""
        type_name = slot.type.rpartition(".")[2]
        match self.exception_value:
            case "repr":
                return self.text_of(slot)
            case "type":
                return type_name
            case "type-repr":
                return repr(type_name)
            case "str":
                return message or ""


def remove_addresses(text: str) -> str:
    """`text` without heap addresses: `<C object at 0x7f…>` becomes `<C object>`."""
    return _ADDRESS.sub("", text) if " at 0x" in text else text


CWM = FormatProfile()
"""What CWM-32B itself writes, as far as its published generations show."""

KTH = FormatProfile(name="kth", diff_reset="never")
"""The reset-free differences that the scorer of ASSERT-KTH/cwm assumes."""

PROFILES = {profile.name: profile for profile in (CWM, KTH)}


def get_profile(name: str) -> FormatProfile:
    """The profile called `name`; or that in a `.json` file, which is known by its own name from then on.

    Raises:
        CwmTraceError: there is none, or the file holds none.
    """
    if name.endswith(".json"):
        profile = read_profile(Path(name))
        if PROFILES.setdefault(profile.name, profile).hash != profile.hash:
            raise CwmTraceError(
                f"{name} calls its profile {profile.name!r}, which is another one's name: rename it there"
            )
        return profile
    try:
        return PROFILES[name]
    except KeyError:
        raise CwmTraceError(
            f"there is no format profile {name!r}: choose one of {', '.join(PROFILES)}, or a .json file that "
            "`cwm-trace format probe` wrote"
        ) from None


def write_profile(profile: FormatProfile, path: Path) -> None:
    """Write a profile as JSON.

    Raises:
        CwmTraceError: the file cannot be written.
    """
    write_whole(path, json.dumps(dataclasses.asdict(profile), indent=2) + "\n")


def read_profile(path: Path) -> FormatProfile:
    """Read a profile that `write_profile` wrote; fields that are not there have their defaults.

    Raises:
        CwmTraceError: the file cannot be read, or a field or its value is not known.
    """
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CwmTraceError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise CwmTraceError(f"{path} is not JSON ({error}): write it by cwm-trace format probe") from error
    if not isinstance(fields, dict):
        raise CwmTraceError(f"{path} holds a {type(fields).__name__} where the fields of a profile should be")
    for field, value in fields.items():
        known = readings_of(field)
        if field == "version" and value != CWM.version:
            raise CwmTraceError(f"{path} is of version {value!r} of the profiles, this is {CWM.version}")
        if field == "name" and not isinstance(value, str):
            raise CwmTraceError(f"{path} has the name {value!r}: it should be a text")
        if known is None and field not in ("name", "version"):
            raise CwmTraceError(f"{path} has a field {field!r}, which no profile has: remove it")
        if known is not None and value not in known:
            raise CwmTraceError(f"{path} has {field} {value!r}: it is one of {', '.join(known)}")
    return FormatProfile(**{"name": path.stem, **fields})


def readings_of(field: str) -> tuple[str, ...] | None:
    """The values a field of `FormatProfile` may have; None for its name, its version, and what is no field.

    >>> readings_of("diff_reset")
    ('activation', 'never')
    """
    kind = typing.get_type_hints(FormatProfile).get(field)
    return typing.get_args(kind) or None
