"""What is not known about CWM's format, each open question a field with its alternatives."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Literal

from cwm_trace.errors import CwmTraceError
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
    """The profile called `name`.

    Raises:
        CwmTraceError: there is none.
    """
    try:
        return PROFILES[name]
    except KeyError:
        raise CwmTraceError(
            f"there is no format profile {name!r}: choose one of {', '.join(PROFILES)}"
        ) from None
