"""Two processes that train together: `python -m tests.model.training.ranks FOLDER`.

Three runs, since a process takes long to begin: one that nobody interrupts, one that is killed and goes on,
and one that a signal to the second process alone stops.
"""

from __future__ import annotations

import hashlib
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import accelerate  # noqa: F401 (before the fork)
import torch

from cwm_trace.datasets.filling import Arrays
from cwm_trace.model.training import batches, loop
from cwm_trace.model.training.document_rows import Packer
from cwm_trace.model.training.processes import Processes, join_processes
from cwm_trace.model.training.recipe import Recipe
from tests.model.forked import run_two
from tests.model.training.runs import tiny_recipe


def shared_recipe() -> Recipe:
    """Two rows, of which each of two processes takes one; what they weigh differs."""
    return tiny_recipe(8, loss={"locals": 0.25, "source": 0.5}, optimizer={"kind": "muon"})


class KilledError(Exception):
    """Instead of SIGKILL: it ends a run after a step, between two saved states."""


class Meddling(Packer):
    """A packer that does something before a batch."""

    meddle: Callable[[int], None]
    made = 0

    def batch(self, rows: int, length: int) -> Arrays:
        """The next rows."""
        Meddling.meddle(self.made)
        self.made += 1
        return super().batch(rows, length)


def train_all(folder: Path, processes: Processes) -> dict[str, Any]:
    """The three runs; what the parent cannot see in the folders."""
    patched: Any = batches
    begin: Any = vars(loop)["begin"]
    models: list[Any] = []

    def begin_and_keep(*arguments: Any) -> Any:
        start = begin(*arguments)
        models.append(start.model)
        return start

    def kill(made: int) -> None:
        if made == 5:
            raise KilledError

    def stop(made: int) -> None:
        if made == 1 and processes.rank == 1:
            signal.raise_signal(signal.SIGTERM)

    setattr(loop, "begin", begin_and_keep)  # noqa: B010 (mypy)
    recipe = shared_recipe()
    loop.train(recipe, folder / "whole", workers=0, processes=processes)
    for name in ("killed", "stopped"):
        (folder / name).mkdir(exist_ok=True)
        if not (folder / name / "tokenizer").exists() and processes.is_first:
            (folder / name / "tokenizer").symlink_to(folder / "whole" / "tokenizer")
    patched.Packer = Meddling
    Meddling.meddle = staticmethod(kill)
    try:
        loop.train(recipe, folder / "killed", workers=0, processes=processes)
    except KilledError:
        patched.Packer = Packer
        loop.train(recipe, folder / "killed", workers=0, processes=processes)
    patched.Packer = Meddling
    Meddling.meddle = staticmethod(stop)
    ended = loop.train(recipe, folder / "stopped", workers=0, processes=processes)
    return {
        "rank": processes.rank,
        "stopped": [ended.steps, ended.finished],
        "weights": [digest(models[0]), digest(models[2])],
    }


def digest(model: Any) -> str:
    """Of all weights."""
    parts = [parameter.detach().numpy().tobytes() for parameter in model.parameters()]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def main() -> None:
    """Train in two processes, and leave what came of it in the folder."""
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])

    def work(rank: int) -> None:
        with join_processes() as processes:
            found = train_all(folder, processes)
            (folder / f"rank-{rank}.json").write_text(json.dumps(found))

    run_two(work)


if __name__ == "__main__":
    main()
