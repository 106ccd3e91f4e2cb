"""Generated programs compile, end within their bound, repeat themselves, and use their split's constants."""

from __future__ import annotations

import ast
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cwm_trace.api import trace_execution
from cwm_trace.datasets.families import FAMILIES, PRESETS, make_item, make_items
from cwm_trace.datasets.family import Axis
from cwm_trace.datasets.item import SPLITS, Item, Knob
from cwm_trace.datasets.pools import CLASSES, class_of
from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Event
from tests.datasets.programs import GOLDENS, digest, report, run
from tests.effort import rest_in_ci

ROOT = Path(__file__).parents[2]
NAMES = (*FAMILIES, *PRESETS)
PYTHONS = [python for python in os.environ.get("CWM_TRACE_PYTHONS", "").split(os.pathsep) if python]


def draw_knob(axis: Axis, source: random.Random) -> Knob:
    if axis.choices:
        return source.choice(axis.choices)
    if isinstance(axis.default, float):
        return source.uniform(axis.low, axis.high)
    return source.randint(int(axis.low), int(min(axis.high, axis.low + 12)))


def draw_items(name: str, count: int) -> Iterator[Item]:
    """Items of every split, half of them with settings that are not the default."""
    for index in range(count):
        source = random.Random(index)
        knobs = None
        if name in FAMILIES and index % 2:
            axes = FAMILIES[name].knobs.items()
            knobs = {knob: draw_knob(axis, source) for knob, axis in axes if source.random() < 0.5}
        yield make_item(name, index, split=SPLITS[index % 3], knobs=knobs)


def constants(item: Item) -> Iterator[int | float | str]:
    """What comes from a pool: not the text of f-strings, not the statement of a knob."""
    left: list[ast.AST] = [ast.parse(f"{item.source}\n{item.call}")]
    while left:
        node = left.pop()
        if isinstance(node, ast.JoinedStr):
            left += [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
            continue
        left += ast.iter_child_nodes(node)
        value = getattr(node, "value", None) if isinstance(node, ast.Constant) else None
        if isinstance(value, float | str) or (isinstance(value, int) and value not in item.knobs.values()):
            yield value


def check(name: str, count: int) -> None:
    """Run items; `run` stops one that goes over its bound."""
    for item in draw_items(name, count):
        done = run(item)
        assert done.outcome in FAMILIES[item.family].outcomes, f"{item.id}: {done.result}"
        if item.knobs.get("escapes"):
            assert done.outcome == "raised", item.id
        elif "escapes" in item.knobs:
            assert done.outcome == "returned", item.id
        for constant in constants(item):
            assert class_of(constant) in (None, *CLASSES[item.split]), f"{item.id}: {constant!r}"


@pytest.mark.parametrize("count", rest_in_ci([30, 200]))
@pytest.mark.parametrize("name", NAMES)
def test_items_end_as_they_should_with_constants_of_their_split(name: str, count: int) -> None:
    check(name, count)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_ten_thousand_items(name: str) -> None:
    check(name, 10_000)


@pytest.mark.parametrize("name", NAMES)
def test_items_depend_on_nothing_else(name: str) -> None:
    items = list(make_items(name, 40, seed=5, split="dev"))
    assert items == [make_item(name, index, seed=5, split="dev") for index in reversed(range(40))][::-1]
    assert len({item.source + item.call for item in items}) > 30
    assert all(compile(item.call, item.id, "eval") for item in items if item.call)
    assert items != list(make_items(name, 40, seed=6, split="dev"))


@pytest.mark.parametrize("name", NAMES)
def test_sources_never_change(name: str) -> None:
    """A change here makes another data set; see `tests.datasets.programs`."""
    assert digest(name) == json.loads(GOLDENS.read_text(encoding="utf-8")).get(name)


def test_no_constant_is_in_two_splits() -> None:
    found: dict[str, set[Any]] = {}
    for split in SPLITS:
        items = [item for name in NAMES for item in make_items(name, 60, split=split)]
        found[split] = {constant for item in items for constant in constants(item)}
    for one, other in (("train", "dev"), ("train", "test"), ("dev", "test")):
        shared = found[one] & found[other]
        assert {constant for constant in shared if class_of(constant) is not None} == set()
    assert min(len(constants) for constants in found.values()) > 200


@pytest.fixture(scope="module")
def reported() -> list[str]:
    return [line for name in NAMES for line in report(name, 50, "train")]


@pytest.mark.parametrize("seed", rest_in_ci(["1", "2"]))
def test_results_do_not_depend_on_the_hash_seed(seed: str, reported: list[str]) -> None:
    assert report_elsewhere(sys.executable, seed) == reported


@pytest.mark.skipif(not PYTHONS, reason="CWM_TRACE_PYTHONS names no other interpreters")
@pytest.mark.parametrize("python", PYTHONS)
def test_every_python_makes_the_same_programs_and_twins(python: str, reported: list[str]) -> None:
    assert report_elsewhere(python, "0") == reported


def report_elsewhere(python: str, seed: str) -> list[str]:
    command = (
        "from tests.datasets.programs import report\n"
        f"for name in {NAMES!r}: print(*report(name, 50, 'train'), sep='\\n')"
    )
    done = subprocess.run(
        [python, "-c", command],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", NAMES)
def test_items_trace(name: str) -> None:
    for item in draw_items(name, 12):
        trace = trace_execution(item.source, call=item.call or None, capture_output=True)
        assert trace.outcome.value in FAMILIES[item.family].outcomes
        lines = sum(frame.event is Event.LINE for frame in trace.frames)
        assert 0 < lines <= (item.max_lines or 0)


def test_general_v1_is_of_the_size_that_it_promises() -> None:
    items = make_items("general-v1", 400)
    frames = sorted(len(trace_execution(item.source, call=item.call).frames) for item in items)
    assert frames[len(frames) // 2] >= 25
    assert frames[int(len(frames) * 0.95)] < 200


def test_a_loop_that_empties_a_list_makes_no_other_of_its_name() -> None:
    """This one filled its queue again and never ended."""
    item = make_item("general-v1", 120_015, split="train")
    assert "while queue:" in item.source
    assert item.source.count("queue =") == 1
    assert run(item).lines <= (item.max_lines or 0)


def test_presets_have_settings_that_their_families_take() -> None:
    for preset in PRESETS.values():
        for part in preset.parts:
            for knob, values in part.knobs.items():
                for value in values:
                    FAMILIES[part.family].settle({knob: value})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "nope"}, "there is no family or preset 'nope': choose one of general, counters"),
        ({"split": "validation"}, "there is no split 'validation': choose one of train, dev, test"),
        ({"index": -1}, "index is -1: items are counted from 0"),
        ({"knobs": {"colour": 1}}, "family counters has no knob 'colour': it has counters, modulus"),
        ({"knobs": {"steps": 0}}, "knob steps is 0: it goes from 1 to 200"),
        ({"knobs": {"steps": 2.5}}, "knob steps is 2.5: it takes a whole number"),
        ({"knobs": {"steps": True}}, "knob steps is True: it takes a whole number"),
        ({"knobs": {"coupling": float("nan")}}, "knob coupling is nan: it goes from 0.0 to 1.0"),
        ({"name": "grid", "knobs": {"edge": "fall"}}, "knob edge is 'fall': choose one of stop, wrap, open"),
        ({"name": "general-v1", "knobs": {"steps": 3}}, "preset general-v1 takes no knobs"),
    ],
)
def test_a_wrong_argument_is_one_sentence(arguments: dict[str, Any], message: str) -> None:
    filled = {"name": "counters", "index": 0, **arguments}
    with pytest.raises(CwmTraceError, match="^" + message.replace("(", r"\(")):
        make_item(**filled)


def test_make_items_refuses_at_once() -> None:
    with pytest.raises(CwmTraceError, match="no family"):
        make_items("nope", 3)


def test_another_setting_leaves_the_rest_of_an_item_alone() -> None:
    looped, unrolled = (make_item("permutations", 4, knobs={"form": form}) for form in ("looped", "unrolled"))
    swaps = [[place.value for place in ast.walk(node) if isinstance(place, ast.Constant)][:2]
             for node in ast.parse(unrolled.source).body[0].body[:-1]]  # type: ignore[attr-defined]  # fmt: skip
    assert str([tuple(swap) for swap in swaps]) in looped.call
    assert run(looped).result == run(unrolled).result


def test_halting_pairs_differ_in_one_constant() -> None:
    for index in range(50):
        goal, fuel = (make_item("halting", index, knobs={"ends": ends}) for ends in ("goal", "fuel"))
        differing = [(a, b) for a, b in zip(goal.source.split(), fuel.source.split(), strict=True) if a != b]
        assert differing, goal.id
        assert len(set(differing)) <= 2, differing  # the goal, with and without punctuation
        assert run(goal).lines < run(fuel).lines
