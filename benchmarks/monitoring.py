"""What an event costs by `PyEval_SetTrace` and by `sys.monitoring` (PEP 669), by callbacks in C.

    python3.13 benchmarks/monitoring.py    # CPython 3.12 or later, and a C compiler

A recorder needs the frame of an event: a trace function is given it, a monitoring callback has to ask for it.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

SOURCE = r"""
#define PY_SSIZE_T_CLEAN
#include <Python.h>
static long count;
static int on_event(PyObject *o, PyFrameObject *f, int what, PyObject *a) { count++; return 0; }
static PyObject *start(PyObject *m, PyObject *n) { PyEval_SetTrace(on_event, NULL); Py_RETURN_NONE; }
static PyObject *stop(PyObject *m, PyObject *n) { PyEval_SetTrace(NULL, NULL); Py_RETURN_NONE; }
static PyObject *seen(PyObject *m, PyObject *const *a, Py_ssize_t n)
{
    count += 1 + (PyEval_GetFrame() == NULL);
    Py_RETURN_NONE;
}
static PyObject *take(PyObject *m, PyObject *n) { long c = count; count = 0; return PyLong_FromLong(c); }
static PyMethodDef methods[] = {
    {"start", start, METH_NOARGS, 0}, {"stop", stop, METH_NOARGS, 0}, {"take", take, METH_NOARGS, 0},
    {"seen", (PyCFunction)(void *)seen, METH_FASTCALL, 0}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "counting", 0, -1, methods};
PyMODINIT_FUNC PyInit_counting(void) { return PyModule_Create(&module); }
"""
ROUNDS = 9


def loop() -> int:
    total = 0
    index = 0
    while index < 20_000:
        total += index * 3 % 7
        index += 1
    return total


def fibonacci(n: int = 18) -> int:
    if n < 2:
        return n
    return fibonacci(n - 1) + fibonacci(n - 2)


def build(folder: Path) -> Any:
    """Compile the callbacks, and import them."""
    source, built = folder / "counting.c", folder / f"counting{sysconfig.get_config_var('EXT_SUFFIX')}"
    source.write_text(SOURCE)
    include = sysconfig.get_path("include")
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", f"-I{include}", source, "-o", built], check=True)
    spec = importlib.util.spec_from_file_location("counting", built)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    if sys.version_info < (3, 12):
        sys.exit("sys.monitoring came with Python 3.12")
    with tempfile.TemporaryDirectory() as folder:
        counting = build(Path(folder))
    monitoring: Any = vars(sys)["monitoring"]
    events = (monitoring.events.LINE, monitoring.events.PY_START, monitoring.events.PY_RETURN)

    def trace(run: Callable[[], object]) -> None:
        counting.start()
        run()
        counting.stop()

    def monitor(run: Callable[[], object]) -> None:
        monitoring.use_tool_id(3, "counting")
        for event in events:
            monitoring.register_callback(3, event, counting.seen)
        monitoring.set_events(3, sum(events))
        run()
        monitoring.set_events(3, 0)
        monitoring.free_tool_id(3)

    for run in (loop, fibonacci):
        costs: dict[str, list[float]] = {"PyEval_SetTrace": [], "sys.monitoring": []}
        for _ in range(ROUNDS):
            for name, under in (("PyEval_SetTrace", trace), ("sys.monitoring", monitor)):
                start = time.process_time()
                under(run)
                costs[name].append((time.process_time() - start) / counting.take())
        shown = ", ".join(f"{name} {median(cost) * 1e9:.0f} ns an event" for name, cost in costs.items())
        print(f"Python {sys.version.split()[0]}, {run.__name__}: {shown}")


if __name__ == "__main__":
    main()
