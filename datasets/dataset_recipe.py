"""What a dataset is made of: a TOML file, checked before anything is built.

name = "mine"
seed = 0

[[sources]]
family = "counters"              # or preset = "general-v1", or items = "humaneval", or pytest = "FOLDER"
count = 10000
knobs = { steps = 8 }
twins = ["rename", "comment"]    # rewrites of each program, which stay in its split

[splits]                         # of what is generated; code from outside is split by its hash
train = 0.96
dev = 0.02
test = 0.02

[duplicates]
near = 0.9                       # similarity from which a program counts as a duplicate; 1: only exact ones

[decontaminate]
against = ["cruxeval:PATH"]
threshold = 0.8
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import pydantic

from cwm_trace.datasets.families import FAMILIES, PRESETS, make_item
from cwm_trace.datasets.item import SPLITS
from cwm_trace.datasets.loaders import LOADERS
from cwm_trace.datasets.twins import TWINS
from cwm_trace.errors import CwmTraceError

Form = TypeVar("Form", bound=pydantic.BaseModel)


class _Part(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Source(_Part):
    """Where items come from: exactly one of `preset`, `family`, `items` and `pytest`.

    Attributes:
        preset: name of a preset of generated programs.
        family: name of a family of generated programs.
        items: a loader and its argument, such as `cruxeval:PATH`.
        pytest: a folder whose tests are run and recorded, function by function.
        count: of generated items, all splits together.
        knobs: of the family.
        twins: kinds of rewrites that are made of each item besides, where it has anything to rewrite.
        split: put everything here; None: by `splits`, or where a loader says it belongs.
        sandbox: run code from outside in a child of its own; False: where it is trusted, in the workers.
    """

    preset: str | None = None
    family: str | None = None
    items: str | None = None
    pytest: str | None = None
    count: int = pydantic.Field(default=0, ge=0)
    knobs: dict[str, int | float | str | bool] = {}
    twins: tuple[str, ...] = ()
    split: Literal["train", "dev", "test"] | None = None
    sandbox: bool = True

    @property
    def generator(self) -> str | None:
        """The family or preset."""
        return self.family or self.preset


class Duplicates(_Part):
    """What counts as a duplicate: besides the same program and call up to names, which always do.

    Attributes:
        near: similarity from which a program is one; 1: only equal ones.
        apart: what no two splits share: `program` (an algorithm that a family never varies is then only in
            the split that is tested on) or `call` (a program and what it is called with).
    """

    near: float = pydantic.Field(default=0.9, ge=0.5, le=1.0)
    apart: Literal["program", "call"] = "program"


class Decontaminate(_Part):
    """Benchmarks that must not be in the dataset: loaders with their arguments."""

    against: list[str] = []
    threshold: float = pydantic.Field(default=0.8, ge=0.5, le=1.0)


class TraceLimits(_Part):
    """Traces beyond these are left out whole, as in CWM's own data."""

    max_frames: int = pydantic.Field(default=10_000, ge=1)
    max_bytes: int = pydantic.Field(default=1_000_000, ge=1)
    seconds: float = pydantic.Field(default=10.0, gt=0)


class Recipe(_Part):
    """A dataset to build.

    Attributes:
        name: for the card.
        seed: of everything that is generated.
        sources: where items come from.
        splits: shares of what is generated.
        duplicates: what counts as one.
        decontaminate: benchmarks to stay clear of.
        limits: of one trace.
        unit: items that are made at a time; a kill loses no more than one unit for each worker.
        shard_rows: rows of one file.
        parquet: write Parquet besides JSON Lines.
    """

    name: str = "dataset"
    seed: int = pydantic.Field(default=0, ge=0)
    sources: list[Source] = pydantic.Field(min_length=1)
    splits: dict[Literal["train", "dev", "test"], float] = {"train": 0.96, "dev": 0.02, "test": 0.02}
    duplicates: Duplicates = Duplicates()
    decontaminate: Decontaminate = Decontaminate()
    limits: TraceLimits = TraceLimits()
    unit: int = pydantic.Field(default=500, ge=1)
    shard_rows: int = pydantic.Field(default=10_000, ge=1)
    parquet: bool = True

    def canonical(self) -> str:
        """The recipe as JSON that is equal for equal recipes."""
        return json.dumps(self.model_dump(), sort_keys=True)

    def shares(self) -> dict[str, float]:
        """`splits` with plain names."""
        return {str(split): share for split, share in self.splits.items()}

    def counts(self, source: Source) -> dict[str, int]:
        """How many items of a generated source each split gets; they add up to its `count`."""
        if source.split is not None:
            return {source.split: source.count}
        shares = self.shares()
        total = sum(shares.values())
        counts = {split: int(source.count * shares.get(split, 0) / total) for split in ("dev", "test")}
        return {"train": source.count - sum(counts.values()), **counts}


def read_recipe(path: str) -> Recipe:
    """The recipe in a TOML file; paths in it are as they are from where the command is run.

    Raises:
        CwmTraceError: the file cannot be read, or is no recipe; one sentence says where.
    """
    return make_recipe(read_table(path), path)


def read_table(path: str) -> dict[str, Any]:
    """What a TOML file says.

    Raises:
        CwmTraceError: the file cannot be read, or is not TOML.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise CwmTraceError(f"cannot read {path}: {error.strerror}") from error
    try:
        table: dict[str, Any] = _toml().loads(data.decode())
    except ValueError as error:
        raise CwmTraceError(f"{path} is not TOML: {error}") from error
    return table


def make_recipe(table: Mapping[str, Any], where: str = "the recipe") -> Recipe:
    """A recipe out of plain data.

    Raises:
        CwmTraceError: it is none; one sentence says where.
    """
    recipe = validate_table(Recipe, table, f"{where} is no recipe")
    for number, source in enumerate(recipe.sources):
        _check(source, f"{where}, source {number + 1}", recipe.seed)
    if any(share < 0 for share in recipe.splits.values()) or sum(recipe.splits.values()) <= 0:
        raise CwmTraceError(f"{where}: shares of splits are not negative, and not all 0")
    for spec in recipe.decontaminate.against:
        _check_loader(spec, where)
    return recipe


def validate_table(kind: type[Form], table: Mapping[str, Any], complaint: str) -> Form:
    """Plain data as a pydantic model.

    Raises:
        CwmTraceError: it does not have that form; the complaint, and what is wrong first.
    """
    try:
        return kind.model_validate(table)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "its form"
        what = first["msg"]
        if first["type"] == "extra_forbidden":
            what = f"there is no such name, only {', '.join(_names_at(kind, first['loc'][:-1]))}"
        raise CwmTraceError(f"{complaint}: {place}: {what}") from error


def _names_at(kind: Any, place: Sequence[Any]) -> list[str]:
    """The names that the part of a form has at a place."""
    for step in place:
        if isinstance(step, str) and isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
            kind = kind.model_fields[step].annotation
        inner = [
            part for part in get_args(kind) if isinstance(part, type) and issubclass(part, pydantic.BaseModel)
        ]
        kind = inner[0] if inner else kind
    return [*kind.model_fields] if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel) else []


def _check(source: Source, where: str, seed: int) -> None:
    kinds = [kind for kind in ("preset", "family", "items", "pytest") if getattr(source, kind) is not None]
    if len(kinds) != 1:
        given = " and ".join(kinds) or "none"
        raise CwmTraceError(f"{where} needs one of preset, family, items and pytest: it has {given}")
    if source.items is not None:
        _check_loader(source.items, where)
    if source.pytest is not None and not Path(source.pytest).is_dir():
        raise CwmTraceError(f"{where}: {source.pytest!r} is not a folder in which pytest could run")
    for kind in source.twins:
        if kind not in TWINS:
            raise CwmTraceError(f"{where}: there is no twin {kind!r}: choose one of {', '.join(TWINS)}")
    name = source.generator
    if name is None:
        if source.count or source.knobs:
            raise CwmTraceError(f"{where}: count and knobs are for preset and family")
        return
    known = PRESETS if kinds == ["preset"] else FAMILIES
    if name not in known:
        raise CwmTraceError(f"{where}: there is no {kinds[0]} {name!r}: choose one of {', '.join(known)}")
    if source.count < 1:
        raise CwmTraceError(f"{where}: count is {source.count}: give how many items to make")
    make_item(name, 0, seed=seed, split=SPLITS[0], knobs=source.knobs)  # unknown knobs, or out of range


def _check_loader(spec: str, where: str) -> None:
    name = spec.partition(":")[0]
    if name not in LOADERS:
        raise CwmTraceError(f"{where}: there is no loader {name!r}: choose one of {', '.join(LOADERS)}")


def _toml() -> Any:
    if sys.version_info >= (3, 11):
        import tomllib

        return tomllib
    try:
        import tomli
    except ImportError:
        raise CwmTraceError(
            "a recipe needs the tomli package on Python 3.10: pip install 'cwm-trace[data]'"
        ) from None
    return tomli
