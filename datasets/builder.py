"""Builds a dataset in three steps, each of which may be killed at any moment and goes on where it was.

1. Units of items are made and recorded, in parallel; each is a few files when it is finished (`.work/`).
2. When all are there, rows are chosen (`cwm_trace.datasets.choice`): a function of the units alone.
3. Shards are written from the units, in parallel, and last of all `manifest.json`, with which the dataset is
   finished.

Nothing depends on the order in which units were finished, on the number of workers, or on the clock: the
same recipe gives the same bytes.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cwm_trace.datasets.card import make_card
from cwm_trace.datasets.choice import Choice, choose_rows
from cwm_trace.datasets.dataset_recipe import Recipe, Source
from cwm_trace.datasets.engines import local_workers, make_on_ray
from cwm_trace.datasets.item import SPLITS
from cwm_trace.datasets.keys import KEYS, Keys
from cwm_trace.datasets.loaders import load_items
from cwm_trace.datasets.loaders.pytest_run import record_pytest
from cwm_trace.datasets.shards import Shard, write_shard
from cwm_trace.datasets.units import MadeUnit, Unit
from cwm_trace.errors import CwmTraceError
from cwm_trace.files import make_folder, remove_parts, write_whole
from cwm_trace.progress import OnProgress, Progress, say_nothing
from cwm_trace.records import Limits

FORMAT = 1
"""Raised whenever the same recipe would give other bytes."""


@dataclass(frozen=True)
class Manifest:
    """What a finished dataset is.

    Args:
        recipe: as it was built.
        files: name, rows and SHA-256 of each shard.
        rows: by split.
        tried: items.
        frames: of all rows that were recorded, dropped ones included.
        failures: items without a trace, by reason.
        dropped: traces that were left out, by reason.
        format: of the dataset.
    """

    recipe: dict[str, Any]
    files: list[dict[str, Any]] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    tried: int = 0
    frames: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    format: int = FORMAT


def build_dataset(
    recipe: Recipe,
    folder: str | Path,
    *,
    workers: int = 1,
    engine: Literal["local", "ray"] = "local",
    report: OnProgress = say_nothing,
) -> Manifest:
    """Build a dataset, or go on with one.

    Args:
        recipe: what it is made of.
        folder: where it goes; of a run that was killed: the same again.
        workers: processes of the local engine.
        engine: `local`, or `ray`: a cluster, through Ray Data.
        report: is told how far it is.

    Raises:
        CwmTraceError: the folder holds another dataset or cannot be written, or a source cannot be read.
    """
    folder = Path(folder)
    finished = folder / "manifest.json"
    _claim(folder, recipe)
    if finished.exists():
        _remove_work(folder)  # a process may have been killed just before it did
        return read_manifest(folder)
    remove_parts(folder)
    units = list(plan_units(recipe))
    store = _Store(folder / ".work")
    missing = [unit for unit in units if not store.has(unit.number)]
    total = sum(map(_size, units))
    done = before = total - sum(map(_size, missing))
    report(Progress("recording", done, total, before))
    against = [item.source for spec in recipe.decontaminate.against for item in load_items(spec)]
    threshold = recipe.decontaminate.threshold
    with local_workers(max(1, workers), against, threshold) as local:
        made = make_on_ray(missing, against, threshold) if engine == "ray" else local.make(missing)
        for unit in made:
            store.put(unit)
            done += unit.tried
            report(Progress("recording", done, total, before))
        report(Progress("choosing rows"))
        numbers = [unit.number for unit in units]
        choice = choose_rows(
            lambda: map(store.keys, numbers),
            recipe.shares(),
            recipe.duplicates.near,
            programs_apart=recipe.duplicates.apart == "program",
        )
        report(Progress("writing shards"))
        shards = list(_plan_shards(folder, recipe, store, choice, numbers))
        written = {file["name"]: file for files in local.run(write_shard, shards) for file in files}
    manifest = _describe(recipe, store, choice, numbers)
    manifest.files.extend(written[name] for shard in shards for name in shard.files)
    write_whole(folder / "README.md", make_card(asdict(manifest)))
    write_whole(finished, json.dumps(asdict(manifest), indent=1, sort_keys=True) + "\n")
    _remove_work(folder)
    return manifest


def _remove_work(folder: Path) -> None:
    shutil.rmtree(folder / ".work", ignore_errors=True)


def read_manifest(folder: str | Path) -> Manifest:
    """What a finished dataset is.

    Raises:
        CwmTraceError: it is not finished, or not a dataset.
    """
    path = Path(folder) / "manifest.json"
    try:
        return Manifest(**json.loads(path.read_bytes()))
    except OSError as error:
        raise CwmTraceError(f"{folder} is not a finished dataset: {path.name}: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise CwmTraceError(f"{path} is damaged: {error}") from error


def plan_units(recipe: Recipe) -> Iterator[Unit]:
    """The units of a recipe, numbered in the order of the dataset.

    Raises:
        CwmTraceError: a source cannot be read.
    """
    number = 0
    limits = Limits(recipe.limits.max_frames, recipe.limits.max_bytes, timeout=recipe.limits.seconds)
    for source in recipe.sources:
        for unit in _units_of(source, recipe, limits):
            yield replace(unit, number=number)
            number += 1


def _units_of(source: Source, recipe: Recipe, limits: Limits) -> Iterator[Unit]:
    if source.generator is not None:
        knobs = tuple(sorted(source.knobs.items()))
        for split, count in sorted(recipe.counts(source).items()):
            for start in range(0, count, recipe.unit):
                stop = min(start + recipe.unit, count)
                yield Unit(
                    0, source.generator, split, start, stop, recipe.seed, knobs, source.twins, limits=limits
                )
    elif source.items is not None:
        for items in _chunks(load_items(source.items), recipe.unit):
            yield Unit(
                0,
                split=source.split,
                twins=source.twins,
                items=items,
                sandbox=source.sandbox,
                limits=limits,
            )
    elif source.pytest is not None:
        for rows in _chunks(record_pytest(source.pytest), recipe.unit):
            yield Unit(0, split=source.split, rows=rows, limits=limits)


def _size(unit: Unit) -> int:
    return unit.stop - unit.start + len(unit.items) + len(unit.rows)


def _chunks(things: Iterable[Any], size: int) -> Iterator[tuple[Any, ...]]:
    chunk = []
    for thing in things:
        chunk.append(thing)
        if len(chunk) == size:
            yield tuple(chunk)
            chunk = []
    if chunk:
        yield tuple(chunk)


class _Store:
    """The units that are finished."""

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self._folder = folder

    def has(self, number: int) -> bool:
        return self._path(number, "json").exists() and self._path(number, "keys").exists()

    def put(self, unit: MadeUnit) -> None:
        """What it counts comes last: with that the unit is there."""
        about = {"failures": unit.failures, "tried": unit.tried, "frames": unit.frames}
        write_whole(self.lines(unit.number), unit.data)
        write_whole(self._path(unit.number, "keys"), unit.keys)
        write_whole(self._path(unit.number, "json"), json.dumps(about).encode())

    def about(self, number: int) -> dict[str, Any]:
        about: dict[str, Any] = json.loads(self._path(number, "json").read_bytes())
        return about

    def keys(self, number: int) -> Keys:
        return np.frombuffer(self._path(number, "keys").read_bytes(), KEYS)

    def lines(self, number: int) -> Path:
        """Where the lines of a unit are."""
        return self._path(number, "jsonl.zst")

    def _path(self, number: int, suffix: str) -> Path:
        return self._folder / f"{number:06d}.{suffix}"


def _claim(folder: Path, recipe: Recipe) -> None:
    """The folder is this recipe's from now on."""
    path = folder / "recipe.json"
    text = json.dumps({"format": FORMAT, "recipe": json.loads(recipe.canonical())}, indent=1, sort_keys=True)
    try:
        if path.exists():
            if path.read_text("utf-8") != text + "\n":
                raise CwmTraceError(
                    f"{folder} holds a dataset of another recipe (or of another version): name another folder"
                )
            return
        if folder.exists() and any(folder.iterdir()):
            raise CwmTraceError(f"{folder} is not empty, and not a dataset: name another folder")
    except OSError as error:
        raise CwmTraceError(f"cannot use {folder}: {error.strerror or error}") from error
    make_folder(folder)
    write_whole(path, text + "\n")


def _plan_shards(
    folder: Path, recipe: Recipe, store: _Store, choice: Choice, numbers: list[int]
) -> Iterator[Shard]:
    starts = np.cumsum([0, *(len(store.keys(number)) for number in numbers)])
    for split in SPLITS:
        rows = choice.rows[split]
        count = -(-len(rows) // recipe.shard_rows)
        for number in range(count):
            chosen = rows[number * recipe.shard_rows : (number + 1) * recipe.shard_rows]
            units = np.searchsorted(starts, chosen, "right") - 1
            yield Shard(
                f"{split}-{number:05d}-of-{count:05d}",
                folder,
                tuple(
                    (store.lines(numbers[unit]), chosen[units == unit] - starts[unit])
                    for unit in np.unique(units)
                ),
                recipe.parquet,
            )


def _describe(recipe: Recipe, store: _Store, choice: Choice, numbers: list[int]) -> Manifest:
    failures: Counter[str] = Counter()
    tried = frames = 0
    for about in map(store.about, numbers):
        failures.update(about["failures"])
        tried += about["tried"]
        frames += about["frames"]
    return Manifest(
        recipe=json.loads(recipe.canonical()),
        rows={split: len(choice.rows[split]) for split in SPLITS},
        tried=tried,
        frames=frames,
        failures=dict(sorted(failures.items())),
        dropped=dict(sorted(choice.dropped.items())),
    )
