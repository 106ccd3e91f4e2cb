"""Whether CPython's own test modules give the same verdicts while they are recorded as user code.

    python benchmarks/cpython_suite.py                    # all forty, with this interpreter
    python benchmarks/cpython_suite.py test_generators    # one of them
    python benchmarks/cpython_suite.py --python PATH      # with another that has cwm-trace and `test`

Each module runs by `python -m unittest -v`, as it is and under `cwm-trace run` with the standard library's
`test` folder included; verdicts are compared test by test. Differences that are known are printed with their
reasons; any other makes the exit code 1. `--max-frames` bounds a recording (tests then go on unrecorded).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODULES = [
    "test_augassign",
    "test_baseexception",
    "test_bisect",
    "test_bool",
    "test_call",
    "test_class",
    "test_compare",
    "test_contains",
    "test_context",
    "test_contextlib",
    "test_copy",
    "test_coroutines",
    "test_dataclasses",
    "test_decorators",
    "test_defaultdict",
    "test_descr",
    "test_dict",
    "test_dictviews",
    "test_enum",
    "test_except_star",
    "test_exceptions",
    "test_fractions",
    "test_functools",
    "test_generators",
    "test_genericclass",
    "test_grammar",
    "test_heapq",
    "test_isinstance",
    "test_iter",
    "test_itertools",
    "test_keywordonlyarg",
    "test_list",
    "test_named_expressions",
    "test_opcodes",
    "test_operator",
    "test_property",
    "test_raise",
    "test_scope",
    "test_signal",
    "test_with",
]

KNOWN = {
    r"test_exceptions.*([rR]ecursion|MemoryError|memory)": "the depth that a Python trace function leaves",
    r"test_functools.*[rR]ecurs": "the depth that a Python trace function leaves",
    r"(refcount|refleak|weakref|gc_|_gc|cycle)": "reference counts and finalizers up to 3.12",
    r"(trace|settrace|profile)": "tests about tracing itself",
}
_VERDICT = re.compile(
    r"^(\w+ \(.*?\)).*?\.\.\. .*?(ok|FAIL|ERROR|skipped|expected failure|unexpected success)",
    re.MULTILINE | re.DOTALL,
)


def verdicts(command: list[str], folder: str, seconds: float) -> tuple[dict[str, str], float]:
    """The verdict of each test that a run of unittest speaks of, and how long it took."""
    start = time.perf_counter()
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
        said = done.stderr
    except subprocess.TimeoutExpired as late:
        said = (late.stderr or b"").decode(errors="replace")
    return dict(_VERDICT.findall(said)), time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("modules", nargs="*", metavar="MODULE")
    parser.add_argument("--python", default=sys.executable, metavar="PATH")
    parser.add_argument("--max-frames", type=int, default=1_000_000)
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds for a run of a module")
    options = parser.parse_args()
    failed = False
    print(f"{'module':28} {'tests':>6} {'differ':>7} {'known':>6} {'plain s':>8} {'traced s':>9}")
    for module in options.modules or MODULES:
        with tempfile.TemporaryDirectory() as folder:
            test = ["-m", "unittest", "-v", f"test.{module}"]
            plain, seconds = verdicts([options.python, *test], folder, options.timeout)
            tracer = ["-m", "cwm_trace", "run", "-q", "-o", str(Path(folder, "t.jsonl"))]
            tracer += ["--include", "*/test/*", "--max-frames", str(options.max_frames)]
            traced, traced_seconds = verdicts([options.python, *tracer, *test], folder, options.timeout)
        differ = sorted(name for name in {*plain, *traced} if plain.get(name) != traced.get(name))
        known = [name for name in differ if any(re.search(pattern, name) for pattern in KNOWN)]
        print(
            f"{module:28} {len(plain):6} {len(differ):7} {len(known):6} {seconds:8.1f} {traced_seconds:9.1f}",
            flush=True,
        )
        for name in differ:
            reason = next((why for pattern, why in KNOWN.items() if re.search(pattern, name)), "NOT KNOWN")
            print(f"    {name}: {plain.get(name)} is {traced.get(name)}: {reason}", flush=True)
            failed |= reason == "NOT KNOWN"
        failed |= not plain
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
