"""What two runs of a program do not agree on: it is nobody's to predict.

A program whose sets, addresses or hashes reach its values runs differently under another hash seed
(`PYTHONHASHSEED`). Run it twice and mask the difference; how much was masked stands in every score.
"""

from __future__ import annotations

from cwm_trace.eval.comparison.alignment import Mask, align
from cwm_trace.eval.comparison.equality import Equality, slots_equal
from cwm_trace.records import Trace


def mask_differences(first: Trace, second: Trace, equality: Equality = Equality.NORMAL) -> Mask:
    """What differs between two real runs of one program, by the frames of the first.

    From the first step that is not the same in both (event or line) every frame is masked; before it, values
    that differ. The value that the entry returns is compared whatever came before: it is masked only if it
    differs.

    Raises:
        CwmTraceError: the traces are of different programs.
    """
    names: dict[int, frozenset[str]] = {}
    values: set[int] = set()
    end = None
    for pair in align(first, second, equality).pairs:
        if pair.real is None or pair.predicted is None or not (pair.control and pair.source):
            end = pair.index
            break
        if pair.wrong:
            names[pair.index] = pair.wrong
        if pair.value is False:
            values.add(pair.index)
    if end is not None and not slots_equal(first.value, second.value, equality):
        at = first.entry_return
        if at is not None and at >= end:
            values.add(at)
    return Mask(names, frozenset(values), end)
