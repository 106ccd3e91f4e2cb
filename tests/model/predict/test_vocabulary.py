"""The automaton takes exactly what `json.dumps` writes, whatever the tokens are."""

from __future__ import annotations

import json
import random
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.predict.vocabulary import DEAD, Vocabulary
from cwm_trace.wire.tokens import Special, TraceTokens
from tests.effort import examples
from tests.model.predict import walks
from tests.model.predict.examples import tokenizer
from tests.model.predict.walks import at_locals, at_value, grammar, legal_ids, takes, vocabulary

KINDS = sorted(walks.TOKENS)
NAME = re.compile(r"(?:[A-Za-z0-9_.]|[^\x20-\x7e\n\r\t\b\f])+")
ANY_TEXT = st.text(st.characters(codec=None), max_size=6) | st.sampled_from(["", "..", "'\\n'", '"', "\x7f"])
NAMES = st.sampled_from(["a", "ab", "b", ".0", "_", "é", "a9", "\ufb01", "\U0001d482"])
EDITS = st.sampled_from([*'{}":, \\u0a7f.x\n\x7fé', "\\u0041", "\\u000a", "\\u007f", '"": "', "é"])


@st.composite
def near(draw: st.DrawFn, text: str) -> str:
    """The text, or one that a few edits make of it."""
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(EDITS) + text[at + draw(st.integers(0, 1)) :]
    return text


def is_locals(text: str) -> bool:
    """Whether `json.dumps` writes this for a dict of texts under names that the tracer records."""
    try:
        pairs = json.loads(text, object_pairs_hook=list)
    except ValueError:
        return False
    if not text.startswith("{") or not all(isinstance(value, str) for _, value in pairs):
        return False
    return json.dumps(dict(pairs)) == text and all(NAME.fullmatch(name) for name, _ in pairs)


def is_value(text: str) -> bool:
    try:
        value = json.loads(text)
    except ValueError:
        return False
    return isinstance(value, str) and json.dumps(value) == text


@pytest.mark.parametrize("kind", ["bytes", "built"])
@examples(3)
@given(state=st.dictionaries(NAMES, ANY_TEXT, max_size=3), data=st.data())
def test_locals_are_what_json_writes(kind: str, state: dict[str, str], data: st.DataObject) -> None:
    text = data.draw(near(json.dumps(state)))
    tokens, _ = vocabulary(kind)
    frame = at_locals(grammar(kind))
    taken = takes(frame, tokens.encode(text))
    assert (taken and frame.allows(tokens.ids[Special.ACTION])) == is_locals(text)


@pytest.mark.parametrize("kind", ["bytes", "built"])
@examples(2)
@given(text=ANY_TEXT, data=st.data())
def test_values_are_what_json_writes(kind: str, text: str, data: st.DataObject) -> None:
    text = data.draw(near(json.dumps(text)))
    tokens, _ = vocabulary(kind)
    frame = at_value(grammar(kind))
    taken = takes(frame, tokens.encode(text))
    assert (taken and frame.allows(tokens.ids[Special.FRAME])) == is_value(text)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bound", [None, 0, 3])
def test_walks_write_json_and_never_get_stuck(kind: str, bound: int | None) -> None:
    tokens, _ = vocabulary(kind)
    rules = grammar(kind, max_text_tokens=bound)
    choose = random.Random(f"{kind} {bound}")
    for _ in range(60):
        for begin, right in ((at_locals, is_locals), (at_value, is_value)):
            frame = begin(rules)
            first = len(frame.ids)
            while not tokens.specials.keys() & set(legal := legal_ids(rules, frame)):
                assert legal, tokens.decode(frame.ids)
                closing = [number for number in legal if '"' in tokens.decode([number])]
                often = closing if closing and choose.random() < 0.3 else legal
                frame.take(choose.choice(often))
            text = tokens.decode(frame.ids[first:])
            assert right(text), text


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_stands_once(kind: str) -> None:
    tokens, _ = vocabulary(kind)
    rules = grammar(kind)
    for written, repeated in (("a", "a"), ("ab", "ab"), ("é", "é"), (".0", ".0")):
        frame = at_locals(rules)
        assert takes(frame, tokens.encode(json.dumps({written: "1"})[:-1] + ', "'))
        again = tokens.encode(json.dumps(repeated)[1:-1])
        assert takes(frame, again)
        assert not takes(frame.copy(), tokens.encode('": "'))
        for number in legal_ids(rules, frame):
            assert not tokens.decode([number]).startswith('"')
        assert takes(frame, tokens.encode("b"))  # a name may begin with another one
        assert takes(frame, tokens.encode('": "2"}'))


@pytest.mark.parametrize("kind", ["bytes", "built"])
def test_a_name_that_begins_another_is_allowed(kind: str) -> None:
    tokens, _ = vocabulary(kind)
    assert takes(at_locals(grammar(kind)), tokens.encode('{"ab": "1", "a": "2", "abc": "3"}'))


@pytest.mark.parametrize("kind", KINDS)
def test_no_special_token_is_ever_inside_a_text(kind: str) -> None:
    tokens, words = vocabulary(kind)
    specials = set(tokens.ids.values())
    if kind == "built":
        specials |= set(tokenizer().all_special_ids)
        assert len(specials) > len(Special)
    if kind == "joined":
        specials |= {number for number, text in enumerate([tokens.decode([n]) for n in range(words.size)])
                     if text == "<|pad|>"}  # fmt: skip
    assert not words.allowed[:, sorted(specials)].any()
    assert not words.allowed[:, max(tokens.ids.values()) + 1 :].any()  # ids that no token has


@pytest.mark.parametrize("kind", KINDS)
def test_a_bound_leaves_only_what_comes_nearer_to_the_end(kind: str) -> None:
    _, words = vocabulary(kind)
    free, bounded, closed, both = np.split(words.allowed, 4)
    assert np.array_equal(free, words.after != DEAD)
    for fewer in (bounded, closed, both):
        assert not (fewer & ~free).any()
        assert (fewer.any(axis=1) == free.any(axis=1)).all(), "something may always follow"
    assert np.array_equal(both, bounded & closed)


def test_texts_end_soon_after_their_bound() -> None:
    tokens, _ = vocabulary("bytes")
    rules = grammar("bytes", max_text_tokens=4)
    choose = random.Random(0)
    for _ in range(40):
        text = tokens.decode(walks.walk(rules, at_value(rules), choose).ids)
        value = json.loads(text[text.index('"') :])
        assert len(json.dumps(value)) <= 2 + 4 + 6


def test_a_model_with_too_few_ids_is_refused() -> None:
    with pytest.raises(CwmTraceError, match="the model has 260 ids and the tokenizer needs 266"):
        Vocabulary(TraceTokens.of_bytes(), 260)
