"""Forty modules of CPython's own tests, as a suite of `benchmarks/suites.py`.

Each module runs by `python -m unittest -v`, as it is and under `cwm-trace run` with the standard library's
`test` folder included; verdicts are compared test by test. Tests that are known to differ stand in `KNOWN`.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from pathlib import Path

MAX_FRAMES = 1_000_000
FEWER_FRAMES = {
    "test_dictviews": 3_000,  # asks for the text of 5,000 views in each other, here on each of 10,000 lines
    "test_isinstance": 10_000,  # the same of tuples 30,000 deep, from 3.13 on
    "test_heapq": 50_000,  # lists of a thousand numbers that change on each line
}
"""After these, or so many bytes, the tests go on unrecorded."""

MAX_BYTES = 200_000_000
FEWER_BYTES = {"test_list": 5_000_000}  # asks for the text of a list 10,000 deep on each of as many lines
SECONDS = 900.0
"""For one run of a module; a busy machine may need more."""

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

_REPR = "writes down or counts what its `__repr__` does, which the tracer calls"
_TRACING = "is skipped wherever a trace function is set"
_DEPTH = "goes down to the recursion limit, where a trace function in Python takes stack of its own"
_CLOSURES = "a closure variable that another thread sets while an event is recorded is set back (up to 3.12)"
_FINALIZERS = "asks for an object to be gone on the line that drops it (up to 3.12)"
_TIMING = "sends signals as fast as it can against a clock, and fails untraced too on a busy machine"
KNOWN = {
    r"test_class\.ClassTests\.test(BinaryOps|GetSetAndDel|Init|ListAndDictOps|Misc|UnaryOps)": _REPR,
    r"test_dataclasses\.TestDescriptors\.test_getting_field_calls_get": _REPR,
    r"test_descr\.ClassPropertiesAndMethods\.test_module_subclasses": _REPR,
    r"test_functools\.TestPartialC(Subclass)?\.test_keystr_replaces_value": _REPR,
    r"test_exceptions\.ExceptionTests\.test_recursion_in_except_handler": _DEPTH,
    r"test_signal\.StressTest\.test_stress_modifying_handlers": _CLOSURES,
    r"test_signal\.(StressTest\.test_stress_delivery|ItimerTest\.test_itimer_(virtual|prof))": _TIMING,
    r"test_descr\.DictProxyTests\.test_iter_(items|keys|values)": _TRACING,
    r"test_descr\.ClassPropertiesAndMethods\.test_slots": _FINALIZERS,
}
"""Of tests that may differ the reason; docs/tracer-limits.md says more of each."""
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


def compare_modules(python: str, modules: list[str]) -> bool:
    """Print how many verdicts of each module differ, and which; gives whether one has no known reason.

    Args:
        python: an interpreter that has cwm-trace and its own `test` package.
        modules: names of test modules.
    """
    failed = False
    print(f"{'module':28} {'tests':>6} {'differ':>7} {'known':>6} {'plain s':>8} {'traced s':>9}")
    for module in modules:
        with tempfile.TemporaryDirectory() as folder:
            test = ["-m", "unittest", "-v", f"test.{module}"]
            plain, seconds = verdicts([python, *test], folder, SECONDS)
            tracer = ["-m", "cwm_trace", "run", "-q", "-o", str(Path(folder, "t.jsonl"))]
            tracer += ["--include", "*/test/*", "--max-frames", str(FEWER_FRAMES.get(module, MAX_FRAMES))]
            tracer += ["--max-bytes", str(FEWER_BYTES.get(module, MAX_BYTES))]
            traced, traced_seconds = verdicts([python, *tracer, *test], folder, SECONDS)
        differ = sorted(name for name in {*plain, *traced} if plain.get(name) != traced.get(name))
        reasons = {
            name: next((KNOWN[p] for p in KNOWN if re.search(p, name)), "NOT KNOWN") for name in differ
        }
        known = sum(reason != "NOT KNOWN" for reason in reasons.values())
        print(
            f"{module:28} {len(plain):6} {len(differ):7} {known:6} {seconds:8.1f} {traced_seconds:9.1f}",
            flush=True,
        )
        for name, reason in reasons.items():
            print(f"    {name}: {plain.get(name)} is {traced.get(name)}: {reason}", flush=True)
        failed |= known < len(differ) or not plain
    return failed
