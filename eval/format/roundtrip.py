"""Finished generations parsed and rendered again, byte for byte: does a profile describe what a model writes?

A generation that the profile reads rightly comes back as it was. One that does not shows either a fault of
its own (a cut, a broken frame), which the parser names, or that the profile is not the model's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import takewhile

from cwm_trace.eval.benchmark.rescore import read_texts
from cwm_trace.records import UNCHANGED, Frame
from cwm_trace.wire.parse import parse_trace
from cwm_trace.wire.profile import CWM, FormatProfile
from cwm_trace.wire.render import render_trace
from cwm_trace.wire.tokens import Special

_NO_VALUE = "<copied from nothing>"
_AROUND = 30
"""Characters to show on either side of a difference."""


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """What became of one generation.

    Args:
        id: of its row.
        at: character where the texts part; None if they are equal.
        wrote: what stands there in the generation.
        rendered: what stands there in the text rendered again.
        problem: what the parser said first of all; empty if nothing.
    """

    id: str
    at: int | None = None
    wrote: str = ""
    rendered: str = ""
    problem: str = ""

    @property
    def is_same(self) -> bool:
        """Whether every byte came back."""
        return self.at is None


def check_file(
    path: str,
    *,
    profile: FormatProfile = CWM,
    limit: int | None = None,
    report: Callable[[RoundTrip], None] = lambda _: None,
) -> list[RoundTrip]:
    """Parse and render again every generation of a JSON Lines file, in the forms that `rescore` takes.

    Args:
        path: of the file.
        profile: the reading to assume.
        limit: rows at the most.
        report: is told of each.

    Raises:
        CwmTraceError: the file cannot be read, or a row has neither form.
    """
    found = []
    for name, prompt, text in read_texts(path, limit):
        found.append(check_text(name, prompt, text, profile))
        report(found[-1])
    return found


def check_text(name: str, prompt: str, text: str, profile: FormatProfile) -> RoundTrip:
    """Parse and render again one generation, with the prompt it follows.

    Many servers leave the end token out; where it alone is missing, it is not missed.
    """
    whole = prompt + text
    trace = parse_trace(whole, profile=profile)
    trace = replace(trace, frames=tuple(_forget_texts(frame) for frame in trace.frames))
    again = render_trace(trace, profile=profile)
    end = Special.END.value
    if not whole.endswith(end):
        again = again.removesuffix(end)
    problem = trace.guess.problems[0].message if trace.guess.problems else ""
    if again == whole:
        return RoundTrip(name, problem=problem)
    at = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(whole, again, strict=False)))
    span = slice(max(0, at - _AROUND), at + _AROUND)
    return RoundTrip(name, at, whole[span], again[span], problem)


def _forget_texts(frame: Frame) -> Frame:
    """Take from a frame what the parser keeps of its very texts, which would prove nothing when rendered.

    That is what the profile would write otherwise, and a `..` with nothing before it, which has no value.
    """
    changed = {
        name: replace(slot, text=_NO_VALUE) if slot is not None and slot.text == UNCHANGED else slot
        for name, slot in frame.changed.items()
    }
    return replace(frame, raw=None, changed=changed)
