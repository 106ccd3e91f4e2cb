"""The soundness gate: what a real execution does is legal, at every frame.

Run as a script it needs the light core only, so that any supported Python can check its own bytecode:

    PYTHONPATH=. python3.13 tests/flow/gate.py samples traps hazards families=5

The slow one, on CPython's own tests (`unittests=enum,dict`: of these modules) and 23,000 programs:

    PYTHONPATH=. python3.11 tests/flow/gate.py unittests families=1000,2
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from cwm_trace import Limits, Trace, trace_execution
from cwm_trace.errors import CwmTraceError
from cwm_trace.flow import Flow, analyse

TESTS = Path(__file__).resolve().parents[1]
LIMITS = Limits(max_frames=3_000, max_value_chars=10_000)
LONG_LIMITS = Limits(max_frames=20_000, max_value_chars=1_000)
FEWER_FRAMES = {"dictviews": 3_000}  # asks for the text of 5,000 views in each other on each of as many lines
UNITTESTS = """
    asyncgen baseexception bisect bool class compare contains context contextlib copy defaultdict descr
    dict dictviews fractions functools generators genericclass genexps heapq isinstance iter itertools
    keywordonlyarg list listcomps named_expressions operator property raise super unpack with
    augassign call coroutines decorators enum except_star exceptions grammar opcodes scope
"""
"""Modules of CPython's own tests that need nothing. Of the last ten nothing is said: they compile code of
their own, or may switch tracing off."""
NOT_HERE = frozenset(("repr_locks",))  # waits for ever
CUT = ("recording ended there", "events could not be recorded")
"""Warnings of recordings that miss frames: what comes behind the gap says nothing about Python."""


@dataclass
class Report:
    """What was checked.

    Args:
        programs, frames: checked.
        silent: programs of which the analysis says nothing, with its reason.
        gaps: first violations of recordings that say that they miss frames; the rest of them is not checked.
        violations: a line each: program, frame, rule.
    """

    programs: int = 0
    frames: int = 0
    silent: dict[str, str] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def check(self, name: str, trace: Trace) -> None:
        """Check one real trace."""
        self.programs += 1
        analysis = analyse(trace)
        if analysis.reason:
            self.silent[name] = analysis.reason
            return
        flow, has_gaps = Flow(analysis), any(words in text for text in trace.warnings for words in CUT)
        for index, frame in enumerate(trace.frames):
            problem = flow.illegal(frame)
            if problem:
                where = f"frame {index} ({frame.event.value} line {frame.line} {frame.source.strip()!r})"
                (self.gaps if has_gaps else self.violations).append(f"{name}: {where}: {problem}")
                if has_gaps:
                    return
            flow.push(frame)
            self.frames += 1


def samples() -> Iterator[tuple[str, Trace]]:
    """The samples of every language feature."""
    from tests.tracer.goldens import SAMPLES, alone, sample_names

    with _inside(SAMPLES):
        for name in sample_names():
            with alone():
                trace = trace_execution(f"{name}.py", capture_output=True)
            yield f"sample {name}", trace


def scripts(folder: Path) -> Iterator[tuple[str, Trace]]:
    """Every script of a folder."""
    for path in sorted(folder.glob("*.py")):
        if path.stem not in NOT_HERE:
            with _inside(folder), contextlib.redirect_stderr(io.StringIO()):
                try:
                    yield (
                        f"{folder.name}/{path.stem}",
                        trace_execution(path.name, capture_output=True, limits=LIMITS),
                    )
                except CwmTraceError:
                    continue


def families(count: int, seed: int = 0) -> Iterator[tuple[str, Trace]]:
    """Generated programs of every family and preset."""
    from cwm_trace.datasets.families import FAMILIES, PRESETS, make_items

    for name in (*FAMILIES, *PRESETS):
        for item in make_items(name, count, seed=seed):
            call = item.call or None
            yield item.id, trace_execution(item.source, call=call, capture_output=True, limits=LIMITS)


def cruxeval(path: str) -> Iterator[tuple[str, Trace]]:
    """CRUXEval's programs."""
    from cwm_trace.datasets.loaders.cruxeval import load_cruxeval

    for item in load_cruxeval(path):
        yield item.id, trace_execution(item.code, call=item.call, capture_output=True)


def humaneval() -> Iterator[tuple[str, Trace]]:
    """HumanEval's programs, one call of each."""
    from cwm_trace.datasets.loaders.humaneval import load_humaneval

    for item in load_humaneval():
        if item.id.endswith("/0"):
            yield item.id, trace_execution(item.source, call=item.call, capture_output=True, limits=LIMITS)


def unittests(names: str = "") -> Iterator[tuple[str, Trace]]:
    """Modules of CPython's own tests, run as the user's code: these, else all that are known to run so."""
    folder = Path(importlib.import_module("test").__file__ or "").parent
    for name in names.split(",") if names else UNITTESTS.split():
        path = folder / f"test_{name}.py"
        if path.exists():
            text = path.read_text(encoding="utf-8")
            main = "unittest.main(__name__, exit=False, argv=['x'])"
            run = f"{text}\nimport unittest\ndef run_all():\n    {main}\n"
            limits = replace(LONG_LIMITS, max_frames=FEWER_FRAMES.get(name, LONG_LIMITS.max_frames))
            with contextlib.redirect_stderr(io.StringIO()):
                yield (
                    f"test_{name}",
                    trace_execution(run, call="run_all()", capture_output=True, limits=limits),
                )


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    here = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)


def corpus(name: str) -> Iterator[tuple[str, Trace]]:
    """The traces of a corpus by name, such as `samples`, `families=5` or the path of a folder of scripts."""
    kind, _, argument = name.partition("=")
    match kind:
        case "samples":
            return samples()
        case "traps":
            return scripts(TESTS / "flow" / "hazards")
        case "unittests":
            return unittests(argument)
        case "hazards":
            return scripts(TESTS / "tracer" / "hazards")
        case "families":
            count, _, seed = argument.partition(",")
            return families(int(count), int(seed or 0))
        case "cruxeval":
            return cruxeval(argument)
        case "humaneval":
            return humaneval()
    return scripts(Path(name).resolve())


def main() -> int:
    """Check the corpora that are named; the exit code says whether everything was legal."""
    failed = False
    for name in sys.argv[1:]:
        report = Report()
        for title, trace in corpus(name):
            report.check(title, trace)
        print(
            f"Python {sys.version_info.major}.{sys.version_info.minor}, {name}: {report.programs:,} programs,"
            f" {report.frames:,} frames, {len(report.violations)} illegal, {len(report.silent)} not analysed"
        )
        for title, reason in report.silent.items():
            print(f"    {title}: {reason}")
        for gap in report.gaps:
            print(f"    recorded with gaps, checked up to there: {gap}")
        print(*report.violations[:40], sep="\n", end="\n" if report.violations else "", flush=True)
        failed |= bool(report.violations) or not report.programs
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
