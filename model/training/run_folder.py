"""The folder of a run: which recipe and tokenizer it began with, and its log.

It holds `recipe.json`, `tokenizer/`, `start.json` (if it began with another model), `log.jsonl` (a line for
each step and each evaluation), `state.pt` (all that is needed to go on) and, at the end, `model/`, which
transformers and `load_model` take, and `curve.svg`, where matplotlib is installed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cwm_trace.errors import CwmTraceError
from cwm_trace.files import LineFile, parse_object, whole_lines, write_whole
from cwm_trace.model.tokenizer import TOKENIZER_FOLDER, save_tokenizer
from cwm_trace.model.training.recipe import Recipe
from cwm_trace.model.training.starting import START, Start


def check_same_run(recipe: Recipe, folder: Path) -> None:
    """Refuse to go on with another recipe; phases, evaluation and saving may change on the way.

    Raises:
        CwmTraceError: the folder holds a run of another recipe.
    """
    path = folder / "recipe.json"
    if not path.exists():
        return
    before = Recipe.model_validate_json(path.read_text("utf-8")).fixed()
    changed = [name for name, value in recipe.fixed().items() if before[name] != value]
    if changed:
        raise CwmTraceError(f"{folder} holds a run whose {' and '.join(changed)} differ: give another folder")


def begin_folder(recipe: Recipe, start: Start, folder: Path) -> None:
    """Write what says which run this is, once nothing speaks against it any more."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_new(folder / "recipe.json", recipe.model_dump(mode="json"))
    if start.begun_with is not None:
        _write_new(folder / START, {"from": start.begun_with})
    if not (folder / TOKENIZER_FOLDER / "tokenizer.json").exists():
        save_tokenizer(start.tokenizer, folder / TOKENIZER_FOLDER)


def _write_new(path: Path, content: Any) -> None:
    text = json.dumps(content, indent=2) + "\n"
    if not path.exists() or path.read_text("utf-8") != text:  # else other processes may be reading it
        write_whole(path, text)


def open_log(path: Path, step: int) -> LineFile:
    """The log, without the lines that a killed run wrote after its last saved state.

    Raises:
        CwmTraceError: it is damaged, or another process trains in this folder.
    """
    log = LineFile(path)
    length = 0
    with open(path, "rb") as lines:
        for number, line in enumerate(whole_lines(lines), start=1):
            if parse_object(path, number, line)["step"] > step:
                break
            length += len(line)
    log.truncate(length)
    return log
