"""What a benchmark can run: generated programs, data sets of others, and the user's own code.

A task is named by a short text such as `general-v1:core`, `cruxeval:PATH` or `pytest:tests/`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cwm_trace.datasets.item import Item
from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.benchmark.published import PUBLISHED
from cwm_trace.predict.labels import shortest_names, tails
from cwm_trace.records import Limits, Trace

LIMITS = Limits(max_frames=10_000, max_bytes=50_000_000, timeout=10.0)
"""Bounds of a real execution; what reaches one has no known end, and is excluded."""

HASH_SEEDS = ("0", "1")
"""`PYTHONHASHSEED` of the run that is compared with, and of the one that shows what depends on it."""

SIZES: Mapping[str, int] = {"smoke": 60, "core": 1_000, "full": 8_000}
"""Programs of a generated task; a smaller size is the beginning of a bigger one."""

_OUTSIDE = (
    *("cruxeval", "humaneval", "humanevalplus", "livecodebench", "mbpp", "mbppplus"),
    *("quixbugs", "doctest"),
)
"""Loaders of code from outside that are tasks: what they read is run in the sandbox."""

_DEFAULT_PRESET = "general-v1"
_DEFAULT_SIZE = "core"
_HELD_OUT_SEED = 1_000_003
"""Seed of every generated task: fixed, so that results are comparable; the split is `test`."""


@dataclass(frozen=True, slots=True)
class Case:
    """One program of a task.

    Args:
        item: the program.
        place: where its real execution is recorded: `here`, in this process, for what our own generators
            make; `sandbox` for code from outside; `own` for the user's code, run as the user would run it;
            `pytest` for what a run of pytest recorded.
        path: file of the user's code.
        recorded: its executions, of what pytest recorded.
        refusal: why it has no real execution, where that is known beforehand.
    """

    item: Item
    place: str
    path: str = ""
    recorded: tuple[Trace, ...] = ()
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """Programs whose executions are predicted.

    Args:
        name: what logs and reports call it.
        cases: the programs.
        published: results of others for this task stand beside ours.
        total: programs before a limit was applied.
        spec: the name that it was found by.
    """

    name: str
    cases: tuple[Case, ...]
    published: str = ""
    total: int = 0
    spec: str = ""

    @property
    def item_hash(self) -> str:
        """Twelve hex digits that are equal for equal programs in equal order."""
        digest = hashlib.sha256()
        for case in self.cases:
            line = json.dumps([case.item.id, case.item.source, case.item.call])
            digest.update(line.encode("utf-8", "backslashreplace") + b"\n")
        return digest.hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class TaskKind:
    """An entry of the registry.

    Args:
        name: what stands before the colon.
        argument: what stands after it, in capitals; in brackets if it may be left out.
        about: one line for `cwm-trace bench ls`.
        load: makes the task from what stands after the colon.
    """

    name: str
    argument: str
    about: str
    load: Callable[[str], Task] = field(repr=False)


def list_kinds() -> list[TaskKind]:
    """Everything that can stand before the colon of a task's name."""
    from cwm_trace.datasets.families import FAMILIES, PRESETS
    from cwm_trace.datasets.loaders import LOADERS

    sizes = ", ".join(f"{size} {count:,}" for size, count in SIZES.items())
    one = "generated programs of one family"
    own = {
        "file": ("PATH[::CALL]", "your own script, or a call such as f(3) of a function in it", _file),
        "folder": ("PATH", "every .py file below a folder, each as a script", _folder),
        "pytest": ("PATH", "a run of pytest, each test a program", _pytest),
    }
    return [
        *(
            TaskKind(size, "", f"{count:,} programs of {_DEFAULT_PRESET}", _generated(_DEFAULT_PRESET, size))
            for size, count in SIZES.items()
        ),
        *(TaskKind(n, "[SIZE]", f"{p.about}: {sizes}", _generated(n)) for n, p in PRESETS.items()),
        *(TaskKind(name, "[SIZE]", f"{one}: {sizes}", _generated(name)) for name in FAMILIES),
        *(TaskKind(name, "[PATH]", LOADERS[name][1], _outside(name)) for name in _OUTSIDE),
        *(TaskKind(name, *entry) for name, entry in own.items()),
    ]


def find_tasks(
    names: Sequence[str],
    *,
    limit: int | None = None,
    ids: Sequence[str] = (),
    shuffle_seed: int | None = None,
) -> list[Task]:
    """The tasks of these names.

    Args:
        names: such as `general-v1:smoke`.
        limit: programs of each at the most: the first ones.
        ids: take these programs only; what stands behind the last slash of an id is enough.
        shuffle_seed: shuffle the programs, before the limit is applied.

    Raises:
        CwmTraceError: there is no such task, its file cannot be read, it has no programs, or none of an id.
    """
    missing = set(ids)
    tasks = []
    for name in dict.fromkeys(names):
        kind, _, argument = name.partition(":")
        known = {entry.name: entry for entry in list_kinds()}
        if kind not in known:
            raise CwmTraceError(f"there is no task {name!r}: choose one of {', '.join(known)}")
        if not argument and known[kind].argument[:1].isupper():
            raise CwmTraceError(f"task {kind} needs a path: {kind}:{known[kind].argument}")
        task = known[kind].load(argument)
        if not task.cases:
            raise CwmTraceError(f"task {name} has no programs")
        cases = list(task.cases)
        if ids:
            cases = [case for case in cases if _names(case).intersection(ids)]
            missing -= {name for case in cases for name in _names(case)}
        if shuffle_seed is not None:
            random.Random(shuffle_seed).shuffle(cases)
        if cases:
            chosen = tuple(cases[:limit])
            tasks.append(dataclasses.replace(task, cases=chosen, total=len(task.cases), spec=name))
    if missing:
        some = ", ".join(case.item.id for case in tasks[0].cases[:3]) if tasks else ""
        like = f"; there are {some}, …" if some else ", in any of the tasks"
        raise CwmTraceError(f"there is no program {', '.join(map(repr, sorted(missing)))}{like}")
    if not tasks:
        raise CwmTraceError("there is no task to run: name one, such as --tasks smoke")
    specs = [task.spec for task in tasks]
    labels = shortest_names([_labels(task) for task in tasks], specs)
    labels = shortest_names(list(zip(labels, specs, strict=True)), specs)
    return [dataclasses.replace(task, name=label) for task, label in zip(tasks, labels, strict=True)]


def _labels(task: Task) -> list[str]:
    """What a task may be called: its own name, then what stands behind the colon, longer and longer."""
    kind, _, argument = task.spec.partition(":")
    return [task.name, *(f"{kind}-{tail}" for tail in tails(argument) if tail)]


def _names(case: Case) -> set[str]:
    return {case.item.id, case.item.id.rpartition("/")[2]}


def _generated(name: str, size: str = "") -> Callable[[str], Task]:
    def load(argument: str) -> Task:
        from cwm_trace.datasets.families import make_items

        chosen = size or argument or _DEFAULT_SIZE
        if chosen not in SIZES or (size and argument):
            wrong = argument or chosen
            raise CwmTraceError(f"task {name} has no size {wrong!r}: choose one of {', '.join(SIZES)}")
        items = make_items(name, SIZES[chosen], seed=_HELD_OUT_SEED, split="test")
        return Task(f"{name}-{chosen}", tuple(Case(item, "here") for item in items))

    return load


def _outside(name: str) -> Callable[[str], Task]:
    def load(argument: str) -> Task:
        from cwm_trace.datasets.loaders import load_items

        cases = tuple(Case(item, "sandbox") for item in load_items(f"{name}:{argument}"))
        return Task(name, cases, published=name if name in PUBLISHED else "")

    return load


def _file(argument: str) -> Task:
    path, _, call = argument.partition("::")
    return Task(f"file-{Path(path).stem}", (_own_case(path, call),))


def _folder(path: str) -> Task:
    folder = Path(path)
    if not folder.is_dir():
        raise CwmTraceError(f"{path} is not a folder: name one with Python files")
    hidden = ("__pycache__", "site-packages")
    files = sorted(
        file
        for file in folder.rglob("*.py")
        if not any(part in hidden or part.startswith(".") for part in file.relative_to(folder).parts)
    )
    cases = [_own_case(str(file), "", otherwise="\0") for file in files if file.read_bytes().strip()]
    return Task(f"folder-{folder.resolve().name}", tuple(cases))


def _pytest(path: str) -> Task:
    from cwm_trace.own_process import record_tests

    first, second = (dict(record_tests([path], limits=LIMITS, hash_seed=seed)) for seed in HASH_SEEDS)
    cases = []
    for name, trace in first.items():
        traces = (trace, second[name]) if name in second else (trace,)
        cases.append(Case(Item(name, trace.files[0].text, "", "own", split="test"), "pytest", path, traces))
    return Task(f"pytest-{Path(path).stem or 'all'}", tuple(cases))


def _own_case(path: str, call: str, otherwise: str | None = None) -> Case:
    """A program of the user; `otherwise` stands for a file that is not Python source, which is excluded."""
    from cwm_trace.tracer.program import read_source

    try:
        text = read_source(path)
    except CwmTraceError:
        if otherwise is None:
            raise
        text = otherwise
    return Case(Item(f"{path}::{call}" if call else path, text, call, "own", split="test"), "own", path)
