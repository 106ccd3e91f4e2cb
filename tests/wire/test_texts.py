from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace.wire.texts import escape_surrogates, parse_locals, parse_value
from tests.traces import plain_text

NOTHING_STRANGE = st.dictionaries(plain_text(), plain_text(), max_size=4)


@given(NOTHING_STRANGE)
def test_locals_are_read_in_their_order(state: dict[str, str]) -> None:
    found, fault = parse_locals(json.dumps(state))
    assert (found, fault) == (state, None)
    assert list(found or ()) == list(state)


@given(plain_text())
def test_a_value_is_read(text: str) -> None:
    assert parse_value(json.dumps(text)) == (text, None)


@given(st.text())
def test_any_text_is_read_or_has_a_fault(text: str) -> None:
    for found, fault in (parse_locals(text), parse_value(text)):
        assert (found is None) is (fault is not None)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("{'a': '1'}", "not JSON"),
        ("\ufeff{}", "not JSON"),
        ('{"a": ' * 50_000, "not JSON"),
        ('{"a": ' + "9" * 9999 + "}", "not JSON"),
        ("[]", "not a JSON object"),
        ('[["a", "1"]]', "not a JSON object"),
        ('"a"', "not a JSON object"),
        ("null", "not a JSON object"),
        ('{"a": 1}', "not a string"),
        ('{"a": null}', "not a string"),
        ('{"a": NaN}', "not a string"),
        ('{"a": {"b": "1"}}', "not a string"),
    ],
)
def test_what_is_no_object_of_strings_has_a_fault(text: str, fault: str) -> None:
    state, message = parse_locals(text)
    assert state is None
    assert fault in (message or "")


def test_a_name_twice_is_a_fault_and_the_last_one_counts() -> None:
    assert parse_locals('{"a": "1", "a": "2"}') == ({"a": "2"}, "the locals name a variable twice")


@pytest.mark.parametrize("text", ["", "1", "null", "NaN", "[]", "'1'", '"', "[" * 99_999, "1" * 9999])
def test_what_is_no_string_is_no_value(text: str) -> None:
    value, fault = parse_value(text)
    assert value is None
    assert fault is not None


def test_lone_surrogates_become_escapes() -> None:
    assert parse_value('"\\ud800"') == ("\\ud800", None)
    assert parse_locals('{"\\udfff": "\\ud83d\\ude00"}') == ({"\\udfff": "😀"}, None)


@given(st.text(st.characters()))
def test_escaped_text_is_utf8(text: str) -> None:
    escaped = escape_surrogates(text)
    assert escaped.encode().decode() == escape_surrogates(escaped) == escaped
