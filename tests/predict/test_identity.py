"""Who predicts and how: every setting counts, in the digest, the cache, the log and the headings."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.benchmark.log import Header, LogWriter, find_log
from cwm_trace.eval.benchmark.responses import response_key
from cwm_trace.predict.baselines import CopyPredictor
from cwm_trace.predict.labels import shortest_labels
from cwm_trace.predict.protocol import Request
from cwm_trace.records import Decoding, Event, Frame, Program, SourceFile, Trace

START = Trace(
    Program((SourceFile("p.py", "def f():\n    return 1\n"),), "f", 1), (Frame(Event.CALL, 1, "def f():"),)
)
HEADER: dict[str, Any] = {
    "task": "smoke",
    "items": 3,
    "item_hash": "abc",
    "mode": "free",
    "profile": "cwm",
    "profile_hash": "def",
    "prompt_hash": "012",
    "python": "3.11.7",
    "cwm_trace": "0.1",
    "batch_size": 8,
    "max_frames": 100,
}
FIELDS = [field.name for field in dataclasses.fields(Decoding)]

texts = st.text("abc/-1", max_size=4)
numbers = st.none() | st.integers(1, 9)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(
        ("predictor", "model", "fingerprint", "dtype", "as_type", "profile", "profile_hash"), texts
    ),
    "engine": st.sampled_from(["", "torch", "numpy"]),
    "grammar": st.sampled_from(["", "none", "frame"]),
    "temperature": st.sampled_from([0.0, 0.5, 1.0]),
    "top_p": st.sampled_from([0.5, 1.0]),
    "seed": st.integers(0, 3),
    "sample": st.integers(0, 3),
    **dict.fromkeys(("max_length", "max_new_tokens", "max_frame_tokens", "max_text_tokens"), numbers),
    **dict.fromkeys(("logprobs", "drafts"), st.booleans()),
    "extra": st.dictionaries(st.sampled_from("ab"), st.integers(0, 2), max_size=2),
}
decodings = st.builds(Decoding, **VALUES)


class Named(CopyPredictor):
    """A predictor with any decoding."""

    def __init__(self, decoding: Decoding) -> None:
        super().__init__()
        self.decoding = decoding


def test_every_field_has_values_to_try() -> None:
    assert sorted(VALUES) == sorted(FIELDS)


@given(decodings, st.sampled_from(FIELDS), st.data())
def test_changing_any_setting_changes_who_it_is(one: Decoding, name: str, data: st.DataObject) -> None:
    other = replace(one, **{name: data.draw(VALUES[name], name)})
    differs = getattr(one, name) != getattr(other, name)
    assert (one.digest != other.digest) == differs
    keys = [response_key(Named(decoding), Request(START)) for decoding in (one, other)]
    assert (keys[0] != keys[1]) == differs
    labels = shortest_labels([one, other])
    assert (labels[0] != labels[1]) == differs


@pytest.mark.parametrize("name", FIELDS)
def test_a_log_does_not_go_on_with_another_setting(tmp_path: Path, name: str) -> None:
    changed: dict[str, Any] = {
        **dict.fromkeys(FIELDS, "other"),
        "temperature": 0.5,
        "top_p": 0.5,
        **dict.fromkeys([field for field in FIELDS if field.startswith("max_")], 7),
        "seed": 1,
        "sample": 1,
        "logprobs": True,
        "drafts": False,
        "extra": {"a": 1},
    }
    path = tmp_path / "log.jsonl"
    header = Header(model="m", decoding=Decoding("local", "m"), **HEADER)
    LogWriter(path, header).close()
    other = Header(model="m", decoding=replace(header.decoding, **{name: changed[name]}), **HEADER)
    assert find_log(tmp_path, header) == path
    assert find_log(tmp_path, other) is None
    with pytest.raises(CwmTraceError, match="is the log of another run: its decoding is"):
        LogWriter(path, other, resume=True)
    LogWriter(path, header, resume=True).close()


def test_labels_are_as_short_as_they_tell_apart() -> None:
    mini = Decoding("local", "cwm-mini", grammar="frame")
    assert shortest_labels([Decoding("copy"), mini]) == ["copy", "cwm-mini+grammar"]
    a, b, c = (Decoding("local", f"runs/{name}/model") for name in ("a", "b", "c"))
    assert shortest_labels([a, replace(a)]) == ["model", "model"]  # nothing tells them apart
    assert shortest_labels([a, b, c]) == ["a/model", "b/model", "c/model"]
    retrained = replace(a, fingerprint="1")
    assert shortest_labels([a, retrained]) == ["runs/a/model fingerprint=", "runs/a/model fingerprint=1"]
