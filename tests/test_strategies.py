"""Drawn programs compile, end, repeat themselves and reach every kind of statement."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import subprocess
import sys
from collections import Counter
from types import FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis.vendor.pretty import pretty

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.families import FAMILIES
from cwm_trace.datasets.generators.wide import WIDE
from cwm_trace.errors import CwmTraceError
from cwm_trace.strategies import MAX_LINE_EVENTS, DrawnProgram, family_programs, programs
from tests.effort import examples

# Runs in a child process too, on its own: reads [[source, call], ...], writes [outcome, ...].
RUN = """
def run(source, call):
    import contextlib, io
    names, output = {"__name__": "program"}, io.StringIO()
    with contextlib.redirect_stdout(output):
        try:
            exec(compile(source, "<program>", "exec"), names)
            ending = repr(eval(call, names))
        except Exception as error:
            ending = "raised " + repr(error)
    return [ending, output.getvalue()]
"""
BATCH = RUN + "import json, sys; print(json.dumps([run(*program) for program in json.load(sys.stdin)]))"
_names: dict[str, Any] = {}
exec(RUN, _names)


def run(program: DrawnProgram) -> list[str]:
    """How the run ended, and its output."""
    outcome: list[str] = _names["run"](program.source, program.call)
    return outcome


def count_line_events(program: DrawnProgram) -> int:
    count = 0

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal count
        if frame.f_code.co_filename != "<program>" or count > MAX_LINE_EVENTS:
            return None
        count += event == "line"
        return trace

    code = compile(f"{program.source}\n{program.call}", "<program>", "exec")
    previous = sys.gettrace()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(Exception):
        sys.settrace(trace)
        try:
            exec(code, {"__name__": "program"})
        finally:
            sys.settrace(previous)
    return count


def draw(count: int, *, max_statements: int = 12, raises: bool = True) -> list[DrawnProgram]:
    drawn: list[DrawnProgram] = []

    @settings(max_examples=count, phases=[Phase.generate], derandomize=True, database=None)
    @given(programs(max_statements=max_statements, raises=raises))
    def collect(program: DrawnProgram) -> None:
        drawn.append(program)

    collect()
    return drawn


@pytest.fixture(scope="module")
def drawn() -> list[DrawnProgram]:
    return draw(600)


@examples(1.5)
@given(programs())
def test_program_ends_within_its_line_events(program: DrawnProgram) -> None:
    assert program.source.endswith("\n")
    assert count_line_events(program) <= MAX_LINE_EVENTS


@examples(0.25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(programs(max_statements=60))
def test_long_program_ends_within_its_line_events(program: DrawnProgram) -> None:
    assert count_line_events(program) <= MAX_LINE_EVENTS


@settings(suppress_health_check=())
@given(programs())
def test_default_settings_pass_the_health_checks(program: DrawnProgram) -> None:
    compile(program.source, "<program>", "exec")


@examples(1.5)
@given(programs())
def test_program_repeats_itself(program: DrawnProgram) -> None:
    assert run(program) == run(program)


@examples(1.5)
@given(programs(raises=False))
def test_program_that_may_not_raise_does_not(program: DrawnProgram) -> None:
    ending, _ = run(program)
    assert not ending.startswith("raised"), ending


def test_outcome_does_not_depend_on_the_hash_seed(drawn: list[DrawnProgram]) -> None:
    sent = json.dumps([[program.source, program.call] for program in drawn])
    outcomes = [
        subprocess.run(
            [sys.executable, "-c", BATCH],
            input=sent,
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outcomes[0] == outcomes[1]
    assert json.loads(outcomes[0]) == [run(program) for program in drawn]


def test_outcomes_are_small(drawn: list[DrawnProgram]) -> None:
    assert max(len(text) for program in drawn for text in run(program)) < 4_000


def test_some_programs_raise_and_some_return(drawn: list[DrawnProgram]) -> None:
    raised = sum(run(program)[0].startswith("raised") for program in drawn)
    assert 0.05 < raised / len(drawn) < 0.5


NODES = """
Assign AugAssign NamedExpr If IfExp For While Break Continue Nonlocal Global Lambda ListComp DictComp SetComp
GeneratorExp Yield YieldFrom Try With ClassDef Delete Match MatchSequence MatchStar MatchMapping MatchClass
MatchOr MatchAs JoinedStr Slice Assert Raise Return Starred Set Tuple List Dict Subscript Compare BoolOp
"""
CALLED = """
print append insert extend sort reverse clear setdefault update pop get add discard sorted map next list
enumerate zip range reversed items iter upper strip split join replace format
"""
IDIOMS = {
    "aliasing": lambda node: isinstance(node, ast.Assign) and isinstance(node.value, ast.Name),
    "closure": lambda node: (
        isinstance(node, ast.FunctionDef) and any(isinstance(part, ast.Nonlocal) for part in node.body)
    ),
    "elif": lambda node: (
        isinstance(node, ast.If) and len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If)
    ),
    "finally": lambda node: isinstance(node, ast.Try) and node.finalbody,
    "for else": lambda node: isinstance(node, ast.For) and node.orelse,
    "global counter": lambda node: isinstance(node, ast.FunctionDef) and "    global " in ast.unparse(node),
    "default": lambda node: isinstance(node, ast.FunctionDef) and node.args.defaults,
    "key=lambda": lambda node: isinstance(node, ast.keyword) and node.arg == "key",
    "method": lambda node: called(node) == "shift",
    "multi-line expression": lambda node: isinstance(node, ast.Tuple) and node.end_lineno != node.lineno,
    "recursion": lambda node: (
        isinstance(node, ast.FunctionDef) and any(called(part) == node.name for part in ast.walk(node))
    ),
    "generator function": lambda node: (
        isinstance(node, ast.FunctionDef) and any(isinstance(part, ast.YieldFrom) for part in ast.walk(node))
    ),
    "try else": lambda node: isinstance(node, ast.Try) and node.orelse,
    "unpacking": lambda node: isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple),
    "while else": lambda node: isinstance(node, ast.While) and node.orelse,
    "without __repr__": lambda node: isinstance(node, ast.ClassDef) and node.name == "Box",
}


def called(node: ast.AST) -> str:
    """The name of the function or method that a call calls."""
    if not isinstance(node, ast.Call):
        return ""
    return str(getattr(node.func, "attr", getattr(node.func, "id", "")))


def draw_by_seed(seed: int) -> DrawnProgram:
    draft = WIDE.draw(Draw(f"test|{seed}", "train"), WIDE.defaults)
    program = DrawnProgram(draft.source, draft.call)
    assert count_line_events(program) <= draft.max_lines <= MAX_LINE_EVENTS
    return program


def found_in(drawn: list[DrawnProgram]) -> Counter[str]:
    """In how many programs each kind of node, each idiom and each call is."""
    found: Counter[str] = Counter()
    for program in drawn:
        nodes = list(ast.walk(ast.parse(program.source)))
        found.update({type(node).__name__ for node in nodes} | {f"{called(node)}()" for node in nodes})
        found.update({idiom for idiom, is_one in IDIOMS.items() if any(map(is_one, nodes))})
    return found


def test_every_kind_of_statement_is_drawn(drawn: list[DrawnProgram]) -> None:
    found = found_in(drawn)
    assert {*NODES.split(), *IDIOMS} - set(found) == set(), found.most_common()


def test_every_method_is_called() -> None:
    """Hypothesis draws much alike; what is rare is looked for where seeds draw."""
    found = found_in([draw_by_seed(seed) for seed in range(500)])
    rare = {
        name
        for name in (*NODES.split(), *IDIOMS, *(f"{name}()" for name in CALLED.split()))
        if found[name] < 5
    }
    assert rare == set()


def test_shrinks_to_a_small_program() -> None:
    def has_loop(program: DrawnProgram) -> bool:
        return any(isinstance(node, ast.For) for node in ast.walk(ast.parse(program.source).body[-1]))

    whole = programs(max_statements=3)
    small = find(whole, has_loop, settings=settings(max_examples=200, derandomize=True, database=None))
    function = ast.parse(small.source).body[-1]
    assert len(ast.unparse(function).splitlines()) < 8, small


def test_a_seed_draws_programs_of_the_same_language() -> None:
    drawn = [draw_by_seed(seed) for seed in range(120)]
    assert drawn == [draw_by_seed(seed) for seed in range(120)]
    assert len({program.source for program in drawn}) > 100
    words = "\n".join(program.source for program in drawn)
    expected = (
        "    with ",
        "yield from",
        "nonlocal",
        "global",
        "match ",
        "lambda",
        "finally",
        "raise",
        "del ",
    )
    assert [word for word in expected if word not in words] == []


@pytest.mark.parametrize("name", FAMILIES)
def test_hypothesis_draws_programs_of_every_family(name: str) -> None:
    endings = []

    @settings(max_examples=4, phases=[Phase.generate], derandomize=True, database=None)
    @given(family_programs(name))
    def collect(program: DrawnProgram) -> None:
        assert count_line_events(program) <= MAX_LINE_EVENTS
        endings.append(run(program)[0] if program.call else "script")

    collect()
    assert not [ending for ending in endings if ending.startswith("raised") and name != "exceptions"]


@pytest.mark.ci
def test_a_program_of_a_family_shrinks() -> None:
    def has_loop(program: DrawnProgram) -> bool:
        return any(isinstance(node, ast.While) for node in ast.walk(ast.parse(program.source)))

    whole = family_programs("general", knobs={"statements": 3})
    small = find(whole, has_loop, settings=settings(max_examples=300, derandomize=True, database=None))
    assert len(small.source.splitlines()) < 16, small


def test_families_are_checked_at_once() -> None:
    with pytest.raises(CwmTraceError, match="there is no family 'none'"):
        family_programs("none")
    with pytest.raises(CwmTraceError, match="knob lines is 3"):
        family_programs("general", knobs={"lines": 3})


def test_program_shows_its_source() -> None:
    program = DrawnProgram("def f():\n    return 0\n", "f()")
    assert str(program) == "def f():\n    return 0\n\n\nf()\n"
    assert repr(program) == "DrawnProgram(call='f()', source=\ndef f():\n    return 0\n)"
    assert pretty(program) == repr(program)


def test_no_statements_is_an_error() -> None:
    with pytest.raises(ValueError, match="max_statements is 0"):
        programs(max_statements=0)


def test_missing_hypothesis_is_one_sentence() -> None:
    code = "import sys; sys.modules['hypothesis'] = None\nimport cwm_trace.strategies"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stderr.strip().splitlines()[-1] == (
        "cwm_trace.errors.CwmTraceError: cwm_trace.strategies needs Hypothesis, which is not installed: "
        "pip install 'cwm-trace[strategies]'"
    )
