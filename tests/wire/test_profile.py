from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Slot
from cwm_trace.wire.profile import (
    CWM,
    KTH,
    PROFILES,
    FormatProfile,
    get_profile,
    read_profile,
    readings_of,
    remove_addresses,
    write_profile,
)
from tests.traces import PROFILES as READINGS

OBJECT = Slot("<C object at 0x7fa0>", "m.C")


def test_the_hash_is_of_the_reading_not_of_its_name() -> None:
    assert re.fullmatch("[0-9a-f]{12}", CWM.hash)
    assert replace(CWM, name="mine").hash == CWM.hash
    assert len({profile.hash for profile in READINGS}) == len({replace(p, name="") for p in READINGS})
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


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> dict[str, FormatProfile]:
    """The named profiles, put back afterwards."""
    known = dict(PROFILES)
    monkeypatch.setattr("cwm_trace.wire.profile.PROFILES", known)
    return known


def test_a_profile_is_written_and_read_back(tmp_path: Path, registry: dict[str, FormatProfile]) -> None:
    profile = FormatProfile(name="mine", diff_reset="never", addresses="kept")
    write_profile(profile, tmp_path / "p.json")
    assert read_profile(tmp_path / "p.json") == get_profile(str(tmp_path / "p.json")) == profile
    assert get_profile("mine") == profile
    (tmp_path / "short.json").write_text('{"diff_reset": "never"}')
    assert read_profile(tmp_path / "short.json") == FormatProfile(name="short", diff_reset="never")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"diff_reset": "sometimes"}, "has diff_reset 'sometimes': it is one of activation, never"),
        ({"diff_resets": "never"}, "has a field 'diff_resets', which no profile has"),
        ({"version": 9}, "is of version 9 of the profiles, this is 1"),
        ({"name": 3}, "has the name 3: it should be a text"),
        ([1], "holds a list"),
        ({"name": "cwm", "diff_reset": "never"}, "calls its profile 'cwm', which is another one's name"),
    ],
)
def test_a_bad_profile_is_one_sentence(
    tmp_path: Path, fields: Any, message: str, registry: dict[str, FormatProfile]
) -> None:
    (tmp_path / "p.json").write_text(json.dumps(fields))
    with pytest.raises(CwmTraceError, match=message) as caught:
        get_profile(str(tmp_path / "p.json"))
    assert "\n" not in str(caught.value)


def test_no_profile_file_and_no_json_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CwmTraceError, match=r"cannot read .*: No such file"):
        get_profile(str(tmp_path / "none.json"))
    (tmp_path / "p.json").write_text("{")
    with pytest.raises(CwmTraceError, match="is not JSON"):
        get_profile(str(tmp_path / "p.json"))
    with pytest.raises(CwmTraceError, match="cannot write"):
        write_profile(CWM, tmp_path / "none" / "p.json")


def test_readings_are_those_of_the_fields() -> None:
    assert readings_of("exception_value") == ("repr", "type", "str", "type-repr")
    assert readings_of("name") is readings_of("version") is readings_of("nope") is None
