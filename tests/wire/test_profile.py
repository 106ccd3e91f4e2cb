from __future__ import annotations

import re
from dataclasses import replace

import pytest

from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Slot
from cwm_trace.wire.profile import CWM, KTH, FormatProfile, get_profile, remove_addresses
from tests.traces import PROFILES

OBJECT = Slot("<C object at 0x7fa0>", "m.C")


def test_the_hash_is_of_the_reading_not_of_its_name() -> None:
    assert re.fullmatch("[0-9a-f]{12}", CWM.hash)
    assert replace(CWM, name="mine").hash == CWM.hash
    assert len({profile.hash for profile in PROFILES}) == len({replace(p, name="") for p in PROFILES})
    assert replace(CWM, version=2).hash != CWM.hash


def test_the_hash_stays_the_same_between_releases() -> None:
    """It stands in results: a change of it is a change of the format, and needs a new `version`."""
    assert (CWM.hash, KTH.hash) == ("ef8697fabd86", "ab037a35457b")


def test_named_profiles_are_found() -> None:
    assert get_profile("cwm") is CWM
    assert get_profile("kth") is KTH
    with pytest.raises(CwmTraceError, match="'nope': choose one of cwm, kth"):
        get_profile("nope")


def test_addresses_are_removed_outside_strings() -> None:
    assert CWM.text_of(OBJECT) == "<C object>"
    assert CWM.text_of(Slot("[<C object at 0x1>, <D at 0xFF>]", "list")) == "[<C object>, <D>]"
    assert CWM.text_of(Slot("'look at 0x12'", "str")) == "'look at 0x12'"
    assert CWM.text_of(Slot("b'look at 0x12'", "bytes")) == "b'look at 0x12'"
    assert FormatProfile(addresses="kept").text_of(OBJECT) == OBJECT.text
    assert remove_addresses("f at 0x") == "f at 0x"


def test_no_value_becomes_a_copy_by_losing_its_address() -> None:
    assert CWM.text_of(Slot(".. at 0x12", "m.C")) == "<..>"


@pytest.mark.parametrize("name", ["str_iterator", "str_ascii_iterator"])
def test_the_string_iterator_has_one_name(name: str) -> None:
    profile = FormatProfile(str_iterator=name)  # type: ignore[arg-type]
    for recorded in ("str_iterator", "str_ascii_iterator"):
        slot = Slot(f"<{recorded} object at 0x1>", recorded)
        assert profile.text_of(slot) == f"<{name} object>"
        assert CWM.text_of(slot) == f"<{recorded} object>"
        quoted = Slot(f"'<{recorded} object'", "str")
        assert profile.text_of(quoted) == quoted.text


@pytest.mark.parametrize(
    ("reading", "text"), [("repr", "E(<C object>)"), ("type", "E"), ("str", "why"), ("type-repr", "'E'")]
)
def test_exceptions_are_read_as_chosen(reading: str, text: str) -> None:
    profile = FormatProfile(exception_value=reading)  # type: ignore[arg-type]
    assert profile.text_of_exception(Slot("E(<C object at 0x1>)", "m.f.<locals>.E"), "why") == text


def test_an_exception_without_a_message_is_empty_text() -> None:
    assert FormatProfile(exception_value="str").text_of_exception(Slot("E()", "E"), None) == ""
