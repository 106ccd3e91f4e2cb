"""Losses fall; a run that was killed goes on bit by bit; the model loads elsewhere."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.loading import load_model
from cwm_trace.model.training.loop import train
from tests.effort import rest_in_ci
from tests.model.training.runs import log_of, tiny_recipe


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody interrupted."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("run") / "whole"
    assert train(tiny_recipe(30), folder, workers=0).finished
    return folder


def test_the_loss_falls(whole: Path) -> None:
    losses = [line["loss"] for line in log_of(whole) if "loss" in line]
    assert len(losses) == 30
    assert sum(losses[-5:]) / 5 < sum(losses[:5]) / 5 - 1.5
    held = [line["held_out"] for line in log_of(whole) if "held_out" in line]
    assert [sorted(figures) for figures in held] == [sorted(held[0])] * 5
    assert held[-1]["loss_event"] < held[0]["loss_event"]
    assert b"Held out" in (whole / "curve.svg").read_bytes()


class _KillError(Exception):
    pass


@pytest.mark.parametrize("kills", rest_in_ci([[4], [1, 7, 8, 17, 29]]))
def test_a_killed_run_goes_on_bit_by_bit(whole: Path, tmp_path: Path, kills: list[int]) -> None:
    """An exception after a step leaves what a kill there leaves: the last saved state, and a longer log."""
    (tmp_path / "tokenizer").symlink_to(whole / "tokenizer")  # building it again takes a second
    for kill in kills:

        def die(line: Any, kill: int = kill) -> None:
            if line["step"] == kill:
                raise _KillError

        with pytest.raises(_KillError):
            train(tiny_recipe(30), tmp_path, workers=0, report=die)
    train(tiny_recipe(30), tmp_path, workers=0)
    assert log_of(tmp_path) == log_of(whole)
    ours, theirs = load_model(tmp_path / "model"), load_model(whole / "model")
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_signal_stops_after_a_step(tmp_path: Path) -> None:
    def stop(line: Any) -> None:
        if line["step"] == 2:
            signal.raise_signal(signal.SIGTERM)

    ended = train(tiny_recipe(), tmp_path, workers=0, report=stop)
    assert (ended.steps, ended.finished) == (2, False)
    assert train(tiny_recipe(4), tmp_path, workers=0).finished


def test_what_is_fixed_may_not_change_on_the_way(whole: Path) -> None:
    with pytest.raises(CwmTraceError, match="holds a run whose loss differ"):
        train(tiny_recipe(30, loss={"source": 0.5}), whole, workers=0)
    with pytest.raises(CwmTraceError, match="holds a run whose data differ"):
        train(tiny_recipe(30, data={"tokenizer_programs": 11}), whole, workers=0)


def test_the_mix_may_change_on_the_way(tmp_path: Path) -> None:
    train(tiny_recipe(2), tmp_path, workers=0)
    data = {"mix": {"composition": 1.0, "methods": 3.0}, "tokenizer_programs": 10}
    assert train(tiny_recipe(4, data=data), tmp_path, workers=0).finished
    assert [line["step"] for line in log_of(tmp_path) if "loss" in line] == [1, 2, 3, 4]


def test_a_run_begins_with_the_weights_of_another(whole: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe(1, phases=[{"steps": 1, "rate": [0.0, 0.0], "length": 256, "rows": 2}])
    train(recipe, tmp_path / "more", start_from=whole / "model", workers=0)
    (first,) = [line["loss"] for line in log_of(tmp_path / "more") if "loss" in line]
    assert first < log_of(whole)[0]["loss"] - 1.5
    wider = tiny_recipe(1, model={**tiny_recipe().model.model_dump(), "wide": 80})
    with pytest.raises(CwmTraceError, match="has intermediate_size 64, and the recipe says 80"):
        train(wider, tmp_path / "wider", start_from=whole / "model", workers=0)


def test_the_model_loads_in_transformers(whole: Path) -> None:
    ours = load_model(whole / "model", dtype=torch.float32)
    theirs: Any = AutoModelForCausalLM.from_pretrained(str(whole / "model"), dtype=torch.float32)
    theirs.eval()
    tokenizer = AutoTokenizer.from_pretrained(str(whole / "model"))
    ids = torch.tensor([tokenizer.encode("def f(x):\n    return x\n")])
    with torch.no_grad():
        assert float((ours(ids).logits - theirs(ids).logits).abs().max()) < 1e-4
    assert theirs.generation_config.eos_token_id == ours.config.eos_token_id
    assert tokenizer.chat_template


def test_a_damaged_state_is_said_in_a_sentence(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer").symlink_to(whole / "tokenizer")
    (tmp_path / "state.pt").write_bytes(b"not a state")
    with pytest.raises(CwmTraceError, match="cannot go on from"):
        train(tiny_recipe(), tmp_path, workers=0)


@pytest.mark.slow
def test_killed_by_the_system_at_any_moment(whole: Path, tmp_path: Path) -> None:
    """SIGKILL at five moments that nobody chose; `make test-slow` runs it."""
    (tmp_path / "tokenizer").symlink_to(whole / "tokenizer")
    code = (
        "import sys, torch; from pathlib import Path; from cwm_trace.model.training.loop import train;"
        "from tests.model.training.runs import tiny_recipe; torch.set_num_threads(1);"
        "train(tiny_recipe(30), Path(sys.argv[1]), workers=0)"
    )
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", code, str(tmp_path)]
    for lines in (2, 5, 11, 19, 27):
        run = subprocess.Popen(command, cwd=root, stderr=subprocess.DEVNULL)
        log = tmp_path / "log.jsonl"
        while run.poll() is None and (not log.exists() or log.read_bytes().count(b"\n") < lines):
            pass
        run.kill()
        run.wait()
    assert subprocess.run(command, cwd=root, check=False).returncode == 0
    assert log_of(tmp_path) == log_of(whole)
