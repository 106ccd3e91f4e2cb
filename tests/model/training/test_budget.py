"""A run with a time budget goes through its whole schedule on any machine, and keeps what it has spent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from cwm_trace.model.training.budget import Schedule
from cwm_trace.model.training.loop import train
from cwm_trace.model.training.recipe import Recipe, make_recipe
from tests.model.training.runs import log_of, tiny_recipe

PHASES = [
    {"steps": 10, "rate": [0.0, 1.0], "length": 64},
    {"steps": 60, "rate": [1.0, 1.0], "length": 64},
    {"steps": 30, "rate": [1.0, 0.0], "length": 128},
]


class Clock:
    """Time that goes on when it is told to."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def run(
    seconds: Iterator[float], recipe: Recipe, minutes: float, spent: float = 0.0
) -> list[tuple[float, int, float]]:
    """The rate, the length and the end (seconds from the begin) of each step; `seconds` is what they take."""
    clock = Clock()
    began = clock.now - spent
    schedule = Schedule(recipe, minutes, spent, clock=clock)
    steps: list[tuple[float, int, float]] = []
    while (turn := schedule.next(len(steps))) is not None:
        clock.now += next(seconds)
        schedule.stepped()
        steps.append((turn[1], turn[0].length, clock.now - began))
    return steps


def every(seconds: float) -> Iterator[float]:
    while True:
        yield seconds


@pytest.mark.parametrize("seconds", [0.01, 0.5, 3.0, 20.0])
def test_the_decay_ends_in_time_on_any_machine(seconds: float) -> None:
    steps = run(every(seconds), make_recipe({"phases": PHASES}), 5)
    assert steps[-1][2] <= 300
    assert steps[-1][2] > 300 - seconds - 1e-6
    rates = [rate for rate, _, _ in steps]
    assert rates[-1] <= 2 * seconds / 90 + 1e-9  # of the last step; the decay takes 90 seconds
    assert max(rates) == pytest.approx(1.0)
    long = [end for _, length, end in steps if length == 128]
    assert long[0] == pytest.approx(210, abs=2 * seconds)  # phases keep their shares


def test_a_machine_that_becomes_slow_still_ends_in_time() -> None:
    seconds = iter([1.0] * 100 + [7.0] * 1000)
    steps = run(seconds, make_recipe({"phases": PHASES}), 5)
    assert 300 - 7 < steps[-1][2] <= 300
    assert steps[-1][0] < 0.1


def test_what_was_spent_before_counts() -> None:
    whole = run(every(2.0), make_recipe({"phases": PHASES}), 5)
    rest = run(every(2.0), make_recipe({"phases": PHASES}), 5, spent=200.0)
    assert len(rest) == pytest.approx(len(whole) / 3, abs=1)
    assert rest[-1][2] <= 300
    assert [rate for rate, _, _ in rest[1:]] == pytest.approx([rate for rate, _, _ in whole[101:]])


def test_a_budget_that_is_used_up_begins_no_step() -> None:
    assert run(every(1.0), make_recipe({"phases": PHASES}), 5, spent=301.0) == []


def test_without_a_budget_steps_are_counted() -> None:
    schedule = Schedule(make_recipe({"phases": PHASES}))
    turns = [schedule.next(step) for step in (0, 9, 69, 99, 100)]
    assert [turn and round(turn[1], 6) for turn in turns] == [0.1, 1.0, 1.0, 0.0, None]
    assert [turn and turn[2] for turn in turns] == [0.01, 0.1, 0.7, 1.0, None]


class _KillError(Exception):
    pass


def test_a_killed_run_with_a_budget_goes_on_bit_by_bit(tmp_path: Path) -> None:
    """Every step takes ten seconds here: two minutes are a dozen steps, however many the recipe has."""
    torch.set_num_threads(1)
    recipe = tiny_recipe(
        average={"last": 0.5},
        evaluation={"every": 5, "mix": {"composition": 1.0}, "programs": 2},
        phases=[{"steps": 700, "rate": [0.01, 0.0], "length": 256, "rows": 2}],
    )

    def stretch(folder: Path, kill: int | None = None) -> Any:
        clock = Clock()

        def report(line: Any) -> None:
            if "loss" in line:
                clock.now += 10
                if line["step"] == kill:
                    raise _KillError

        return train(recipe, folder, workers=0, report=report, minutes=2, clock=clock)

    ended = stretch(tmp_path / "whole")
    assert (ended.steps, ended.finished) == (12, True)
    assert ended.seconds == 120
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / "tokenizer").symlink_to(tmp_path / "whole" / "tokenizer")
    for kill in (4, 8):
        with pytest.raises(_KillError):
            stretch(tmp_path / "killed", kill)
    assert stretch(tmp_path / "killed").steps == 12
    assert log_of(tmp_path / "killed") == log_of(tmp_path / "whole")
    names = ("model.safetensors", "config.json")
    for name in names:
        assert (tmp_path / "killed/model" / name).read_bytes() == (
            tmp_path / "whole/model" / name
        ).read_bytes()
    lines = log_of(tmp_path / "whole")
    rates = [line["rate"] for line in lines if "rate" in line]
    assert rates == pytest.approx([0.01] + [0.01 * (1 - place / 12) for place in range(2, 13)])
    assert [line["step"] for line in lines if "held_out" in line] == [5, 10, 12]
    assert [line["step"] for line in lines if "held_out_average" in line] == [12]
    assert stretch(tmp_path / "whole").steps == 12  # nothing is left to do, and nothing more is logged
    assert log_of(tmp_path / "whole") == lines
