"""Generations parsed and rendered again: the same bytes, or where they part."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from cwm_trace import render_prompt, render_trace, trace_execution
from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.format.roundtrip import check_file, check_text
from cwm_trace.strategies import programs
from cwm_trace.wire.profile import CWM, KTH, FormatProfile
from tests.cli.conftest import Cli, cli  # noqa: F401 (a fixture)

CODE = (
    "def g(n):\n    if n > 2:\n        raise ValueError('big')\n    return n\n\n"
    "def f(n):\n    try:\n        return g(n)\n    except ValueError:\n        m = g(1)\n    return m - n"
)


def rows(profile: FormatProfile = CWM) -> list[dict[str, Any]]:
    """In both forms, as the published files have them."""
    trace = trace_execution(CODE + "\n", call="f(3)")
    prompt = render_prompt(trace, profile=profile)
    text = render_trace(trace, profile=profile).removeprefix(prompt)
    return [
        {"id": "call", "code": CODE, "input": "3", "expected": "-2", "generation": text},
        {"id": "no end", "code": CODE, "input": "3", "generation": text.removesuffix("<|end_of_text|>")},
        {"prompt": prompt, "completion": text},
    ]


def save(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_generations_come_back_byte_for_byte(tmp_path: Path) -> None:
    found = check_file(save(tmp_path / "rows.jsonl", rows()), profile=CWM)
    assert [(trip.id, trip.is_same, trip.problem) for trip in found] == [
        ("call", True, ""),
        ("no end", True, ""),
        ("2", True, ""),
    ]
    assert len(check_file(str(tmp_path / "rows.jsonl"), limit=2)) == 2


def test_another_reading_parts_where_it_differs(tmp_path: Path) -> None:
    path = save(tmp_path / "rows.jsonl", rows(KTH))
    assert all(trip.is_same for trip in check_file(path, profile=KTH))
    found = check_file(path, profile=CWM)
    assert not any(trip.is_same for trip in found)
    for (
        trip
    ) in found:  # g raises, and f goes on: what it knew stands in full again, but for the model it does not
        assert '"n": ".."' in trip.wrote
        assert trip.wrote != trip.rendered


def test_a_faulty_generation_is_named(tmp_path: Path) -> None:
    row = rows()[0]
    row["generation"] = row["generation"].replace('"n": "3"', '"n": 3', 1)
    (trip,) = check_file(save(tmp_path / "rows.jsonl", [row]))
    assert trip.problem


@given(program=programs())
def test_what_is_rendered_is_read_and_rendered_again(program: Any) -> None:
    trace = trace_execution(program.source, call=program.call)
    prompt, text = render_prompt(trace), render_trace(trace)
    assert check_text("x", prompt, text.removeprefix(prompt), CWM).is_same


def test_no_generations_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CwmTraceError, match="cannot read"):
        check_file(str(tmp_path / "none.jsonl"))


def test_the_command_says_how_many_come_back(tmp_path: Path, cli: Cli) -> None:  # noqa: F811
    good = save(tmp_path / "good.jsonl", rows())
    result = cli("format", "roundtrip", good)
    assert (result.returncode, result.stdout) == (0, "3 of 3 generations come back byte for byte\n")
    other = save(tmp_path / "other.jsonl", [*rows(), *rows(KTH)])
    result = cli("format", "roundtrip", other, "--show", "1")
    assert result.returncode == 1
    assert result.stdout.startswith("3 of 6 generations come back byte for byte\ncall#2: parts at character ")
    assert result.stdout.count("rendered") == 1
    numbers = json.loads(cli("format", "roundtrip", other, "--json").stdout)
    assert (numbers["generations"], numbers["same"], len(numbers["others"])) == (6, 3, 3)
    result = cli("format", "roundtrip", other, "--profile", "nope")
    assert result.returncode == 2
    assert result.stderr.startswith("cwm-trace: there is no format profile 'nope'")
