"""CRUXEval (Gu et al. 2024, arXiv 2401.03065): 800 short functions `f`, each with an input and its output.

The data is not part of this package: give the path of its JSON Lines file (`id`, `code`, `input`, `output`).
All 800 are a benchmark, so their split is `test`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pydantic

from cwm_trace.datasets.item import Item
from cwm_trace.datasets.loaders.published_rows import read_hub, read_models

_WHAT = "a CRUXEval program"


class CruxEvalItem(pydantic.BaseModel):
    """One program.

    Attributes:
        id: such as `sample_0`.
        code: source text that defines `f`.
        input: the arguments as source text.
        output: `repr` of the result.
    """

    id: str
    code: str
    input: str
    output: str

    @property
    def call(self) -> str:
        """The call whose value is asked for."""
        return f"f({self.input})"


def load_cruxeval(path: str | os.PathLike[str]) -> Iterator[CruxEvalItem]:
    """The programs of a CRUXEval file, in its order.

    Raises:
        CwmTraceError: the file cannot be read, or a line of it is not a program.
    """
    return read_models(os.fspath(path), CruxEvalItem, _WHAT)


def load_cruxeval_items(path: str = "") -> Iterator[Item]:
    """The programs of a CRUXEval file; without a path, of `cruxeval-org/cruxeval` on the hub.

    Raises:
        CwmTraceError: the file or the hub cannot be read, or a row is not a program.
    """
    rows = load_cruxeval(path) if path else read_hub("cruxeval-org/cruxeval", "test", CruxEvalItem, _WHAT)
    for row in rows:
        source = row.code if row.code.endswith("\n") else row.code + "\n"
        yield Item(f"cruxeval/{row.id}", source, row.call, "cruxeval", split="test", expected=row.output)
