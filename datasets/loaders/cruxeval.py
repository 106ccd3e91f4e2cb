"""CRUXEval as items; all 800 are a benchmark, so their split is `test`."""

from __future__ import annotations

from collections.abc import Iterator

from cwm_trace.datasets.cruxeval import CruxEvalItem, load_cruxeval
from cwm_trace.datasets.item import Item
from cwm_trace.datasets.loaders.tables import read_hub


def load_cruxeval_items(path: str = "") -> Iterator[Item]:
    """The programs of a CRUXEval file; without a path, of `cruxeval-org/cruxeval` on the hub.

    Raises:
        CwmTraceError: the file or the hub cannot be read, or a row is not a program.
    """
    rows = (
        load_cruxeval(path)
        if path
        else read_hub("cruxeval-org/cruxeval", "test", CruxEvalItem, "a CRUXEval program")
    )
    for row in rows:
        source = row.code if row.code.endswith("\n") else row.code + "\n"
        yield Item(f"cruxeval/{row.id}", source, row.call, "cruxeval", split="test", expected=row.output)
