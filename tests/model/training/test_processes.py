"""Two processes train as one does on the same rows; killed, they go on; stopped, they stop together."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cwm_trace.datasets.filling import Arrays
from cwm_trace.errors import CwmTraceError
from cwm_trace.model.training import batches
from cwm_trace.model.training.document_rows import Batch, Packer
from cwm_trace.model.training.loop import train
from cwm_trace.model.training.loss import field_weights
from cwm_trace.model.training.processes import Processes, join_processes
from cwm_trace.model.training.state import load_state, save_state
from cwm_trace.model.training.stream import Mix, Stream
from tests.effort import HANGS
from tests.model.training.ranks import shared_recipe
from tests.model.training.runs import log_of, tiny_recipe

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of two processes on this machine, over gloo."""
    pytest.importorskip("accelerate")
    folder = tmp_path_factory.mktemp("together")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "tests.model.training.ranks", str(folder)]
    variables = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
    }
    subprocess.run(command, cwd=ROOT, env={**os.environ, **variables}, check=True, timeout=HANGS)
    return folder


class _RowsOfBoth:
    """Gives one process the rows that two would take, side by side."""

    def __init__(self, recipe: Any, words: Path, pad: int) -> None:
        mix = Mix(recipe.data.mix, recipe.seed, "train")
        streams = [Stream(mix, words, chunk=rank, stride=2, workers=0) for rank in range(2)]
        self._packers = [Packer(stream, pad) for stream in streams]

    def batch(self, rows: int, length: int) -> Arrays:
        parts = [packer.batch(rows // 2, length) for packer in self._packers]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def state(self) -> dict[str, Any]:
        return {"chunk": 0, "waiting": []}

    def close(self) -> None: ...


def test_losses_are_those_of_one_process_on_the_same_rows(
    together: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    recipe, words = shared_recipe(), together / "whole" / "tokenizer" / "tokenizer.json"
    (tmp_path / "tokenizer").symlink_to(words.parent)
    monkeypatch.setattr(batches, "Packer", lambda _, pad, *__, **___: _RowsOfBoth(recipe, words, pad))
    train(recipe, tmp_path, workers=0)
    ours, theirs = log_of(together / "whole"), log_of(tmp_path)
    assert [sorted(line) for line in ours] == [sorted(line) for line in theirs]
    for one, other in zip(ours, theirs, strict=True):
        for name in set(one) - {"held_out"}:
            assert one[name] == pytest.approx(other[name], rel=2e-5), (one["step"], name)
    weights = field_weights(recipe.loss)
    batch = Batch.of(_RowsOfBoth(recipe, words, 0).batch(2, 256))
    sums = weights[batch.fields[:, 1:].long()].sum(1).tolist()
    assert abs(sums[0] - sums[1]) > 0.02 * sums[0], "rows that weigh the same would prove little"


def test_a_killed_run_of_two_goes_on_bit_by_bit(together: Path) -> None:
    assert log_of(together / "killed") == log_of(together / "whole")


def test_all_have_the_same_weights_and_stop_at_the_same_step(together: Path) -> None:
    first, second = (json.loads((together / f"rank-{rank}.json").read_text()) for rank in range(2))
    assert first["weights"] == second["weights"]
    assert len(set(first["weights"])) == 1, "killed or not"
    assert first["stopped"] == second["stopped"] == [2, False]


def test_the_number_of_processes_may_change(together: Path, tmp_path: Path) -> None:
    recipe = shared_recipe()
    longer = recipe.model_copy(update={"phases": [recipe.phases[0].model_copy(update={"steps": 10})]})
    folder = tmp_path / "run"
    shutil.copytree(together / "whole", folder)
    two = load_state(folder, 2)
    assert two is not None
    first, second = two["packer"]
    one = load_state(folder)
    assert one is not None
    assert one["packer"] == [
        {"chunk": max(first["chunk"], second["chunk"]), "waiting": [*first["waiting"], *second["waiting"]]}
    ]
    assert train(longer, folder, workers=0).steps == 10
    assert [line["step"] for line in log_of(folder) if "loss" in line] == list(range(1, 11))
    alone = load_state(folder)
    assert alone is not None
    three = load_state(folder, 3)
    assert three is not None
    chunk = alone["packer"][0]["chunk"]
    assert [packer["chunk"] for packer in three["packer"]] == [chunk, chunk + 1, chunk + 2]
    documents = [document for packer in three["packer"] for document in packer["waiting"]]
    assert sorted(documents) == sorted(alone["packer"][0]["waiting"])
    assert three["random"][1:] == [None, None]


def test_packed_sequences_stay_with_as_many_processes(tmp_path: Path) -> None:
    save_state(tmp_path, {"packer": [{"epoch": 0}, {"epoch": 0}], "random": [None, None]})
    with pytest.raises(CwmTraceError, match="between 2 processes, and now there are 3: go on with as many"):
        load_state(tmp_path, 3)


def test_states_that_do_not_know_of_processes_are_those_of_one(tmp_path: Path) -> None:
    old = {"packer": {"chunk": 3, "waiting": []}, "random": torch.get_rng_state(), "step": 7}
    save_state(tmp_path, old)
    state = load_state(tmp_path)
    assert state is not None
    assert (state["packer"], state["step"]) == ([old["packer"]], 7)
    assert torch.equal(state["random"][0], torch.get_rng_state())


def test_rows_that_cannot_be_shared(tmp_path: Path) -> None:
    three = Processes()
    three.count = 3
    with pytest.raises(CwmTraceError, match="2 rows cannot be shared evenly by 3 processes"):
        train(tiny_recipe(), tmp_path / "run", workers=0, processes=three)
    assert not (tmp_path / "run").exists()


def test_several_processes_need_accelerate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(CwmTraceError, match=r"needs accelerate, .* pip install 'cwm-trace\[finetune\]'"):
        join_processes().__enter__()


def test_one_process_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with join_processes() as processes:
        assert (processes.rank, processes.count, processes.is_first) == (0, 1, True)
        assert processes.gather("state") == ["state"]
        assert (processes.total(3), processes.any(False), processes.any(True)) == (3, False, True)
