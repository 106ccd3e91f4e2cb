"""The goldens of the other CPython versions, in whatever interpreters there are.

`pytest -rs tests/tracer/test_versions.py` says which versions were run and why the others were not. The
variable CWM_TRACE_PYTHONS names interpreters that are not on PATH as python3.10 … python3.13.
"""

import functools
import os
import shutil
import subprocess
import sys

import pytest

from tests.effort import HANGS
from tests.tracer.goldens import MINORS, SAMPLES

ROOT = SAMPLES.parents[1]
VARIABLE = "CWM_TRACE_PYTHONS"
PROBE = "import sys, click, jsonlines, pydantic, rich; print(sys.version_info.minor)"


def ask(python: str) -> tuple[int | None, str]:
    """The minor version of an interpreter that has what the light core needs; else None and why not."""
    try:
        done = subprocess.run(
            [python, "-c", PROBE], capture_output=True, text=True, timeout=HANGS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"{python} cannot be run: {type(error).__name__}"
    if done.returncode:
        return None, f"{python} says: {(done.stderr.strip().splitlines() or ['nothing'])[-1]}"
    return int(done.stdout), ""


@functools.cache
def interpreters() -> tuple[dict[int, str], list[str]]:
    """An interpreter for each minor version there is, and why the others cannot be used."""
    found: dict[int, str] = {}
    problems = []
    given = [path for path in os.environ.get(VARIABLE, "").split(os.pathsep) if path]
    for python in [*given, *filter(None, (shutil.which(f"python3.{minor}") for minor in MINORS))]:
        minor, problem = ask(python)
        if minor is None:
            problems.append(problem)
        else:
            found.setdefault(minor, python)
    return found, problems


@pytest.mark.parametrize("minor", [minor for minor in MINORS if minor != sys.version_info.minor])
def test_samples_are_recorded_as_the_goldens_of_that_version_say(minor: int) -> None:
    found, problems = interpreters()
    if minor not in found:
        about = [problem for problem in problems if f"3.{minor}" in problem]
        pytest.skip(f"no Python 3.{minor}: {'; '.join(about) or f'not on PATH, not in {VARIABLE}'}")
    done = subprocess.run(
        [found[minor], str(SAMPLES.parent / "tracer" / "goldens.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=HANGS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)


def test_an_interpreter_that_was_named_can_be_used() -> None:
    for python in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        minor, problem = ask(python)
        assert minor is not None, problem
