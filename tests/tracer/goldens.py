"""The sample programs and their goldens; run as a script it compares all of them, without pytest.

PYTHONPATH=. python3.13 tests/tracer/goldens.py
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
GOLDENS = SAMPLES / "goldens"
SIBLING = "sibling_"
MINORS = (10, 11, 12, 13)
SINCE = {"except_star": 11}
REWRITE = "CWM_TRACE_REWRITE_GOLDENS"


def sample_names() -> list[str]:
    """Every sample that this interpreter can run."""
    names = sorted(path.stem for path in SAMPLES.glob("*.py") if not path.name.startswith(SIBLING))
    return [name for name in names if SINCE.get(name, 0) <= sys.version_info.minor]


def golden_path(name: str, minor: int) -> Path:
    """Where the golden of that minor version is stored, if it is not that of the version below."""
    return GOLDENS / f"{name}.3.{minor}.txt"


def read_golden(name: str, minor: int) -> str:
    """The golden of that minor version: its own file or that of the nearest lower one; empty if none."""
    for lower in range(minor, MINORS[0] - 1, -1):
        path = golden_path(name, lower)
        if path.exists():
            return path.read_text(encoding="utf-8")
    return ""


def write_golden(name: str, minor: int, text: str) -> None:
    """Make `text` the golden of one minor version and leave those of the others as they are.

    A version whose golden equals that of the version below has no file, whatever the order of writing.
    """
    texts = {each: read_golden(name, each) for each in MINORS}
    texts[minor] = text
    before = ""
    for each in MINORS:
        path = golden_path(name, each)
        if texts[each] in ("", before):
            path.unlink(missing_ok=True)
        elif not path.exists() or path.read_text(encoding="utf-8") != texts[each]:
            path.write_text(texts[each], encoding="utf-8")
        before = texts[each] or before


def record_sample(name: str, recorder: str = "python") -> str:
    """A sample's trace in compact notation; what an earlier one left behind is cleared away first."""
    from cwm_trace import trace_execution
    from tests.tracer.both import use
    from tests.tracer.notation import show_trace

    here = os.getcwd()
    os.chdir(SAMPLES)
    try:
        with alone(), use(recorder):
            trace = trace_execution(f"{name}.py", capture_output=True)
    finally:
        os.chdir(here)
    return show_trace(trace).replace(str(SAMPLES) + os.sep, "")


@contextmanager
def alone() -> Iterator[None]:
    """Let a program import its sibling modules anew, and let nothing die in it that others left behind.

    A generator of an earlier program would be closed in this one, and its last line with it. To freeze
    the heap costs nothing; to collect it costs a second once torch is loaded.
    """
    for module in [module for module in sys.modules if module.startswith(SIBLING)]:
        del sys.modules[module]
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def main() -> int:
    """Compare or rewrite every golden of this interpreter; the exit code says whether all agree."""
    minor = sys.version_info.minor
    names = sample_names()
    differ = []
    for name in names:
        text = record_sample(name)
        if os.environ.get(REWRITE):
            write_golden(name, minor, text)
        elif text != read_golden(name, minor):
            differ.append(name)
    print(f"Python 3.{minor}: {len(names)} samples, {len(differ)} differ {' '.join(differ)}")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
