"""What `cwm_trace.flow` allows of a frame, as texts: the lines it may show, its names, its unchanged values.

LOCALS is followed character by character, so that it holds whatever tokens a model spells it in. A guide only
takes choices away from the grammar: where flow knows nothing, everything that is well formed stays legal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from cwm_trace.flow import Flow
from cwm_trace.records import Event, Frame, Trace
from cwm_trace.wire.context import is_indented, shown_source, source_lines
from cwm_trace.wire.profile import FormatProfile
from cwm_trace.wire.reader import FrameReader
from cwm_trace.wire.tokens import Piece


class Place(NamedTuple):
    """Where a text of locals is.

    Args:
        mode: `open`, `first`, `next`, `name`, `colon`, `text`, `after` or `end`.
        name: inside of a name what is written of it; inside of a value the whole name.
        rest: of a value that is known: what is missing of it, up to its quote; None: it is free.
        escaped: the character before was a backslash.
        written: the names so far.
    """

    mode: str = "open"
    name: str = ""
    rest: str | None = None
    escaped: bool = False
    written: frozenset[str] = frozenset()


START = Place()


@dataclass(frozen=True, slots=True)
class Names:
    """The locals that a frame may show, everything as it is spelt between quotes.

    Args:
        allowed: names that may stand there; None: any.
        needed: names that must.
        texts: values that are known.
    """

    allowed: frozenset[str] | None = None
    needed: frozenset[str] = frozenset()
    texts: Mapping[str, str] = field(default_factory=dict)

    def after(self, place: Place, text: str) -> Place | None:
        """The place after `text`; None: it cannot stand there."""
        for character in text:
            following = self._step(place, character)
            if following is None:
                return None
            place = following
        return place

    def _step(self, place: Place, character: str) -> Place | None:
        mode, name, rest, escaped, written = place
        match mode:
            case "open":
                return Place("first") if character == "{" else None
            case "first" | "after" if character == "}":
                return Place("end", written=written) if self.needed <= written else None
            case "first":
                return (
                    Place("name", written=written) if character == '"' and self._may_begin(written) else None
                )
            case "after":
                more = character == "," and self._may_begin(written)
                return Place("next", written=written) if more else None
            case "next":
                if character == " ":
                    return place
                return Place("name", written=written) if character == '"' else None
            case "name":
                if character != '"':
                    longer = name + character
                    return place._replace(name=longer) if self._may_be(longer, written, whole=False) else None
                if not self._may_be(name, written, whole=True):
                    return None
                return Place("colon", name, written=written | {name})
            case "colon":
                if character in ": ":
                    return place
                return Place("text", name, self.texts.get(name), False, written) if character == '"' else None
            case "text" if rest is not None:
                if not rest:
                    return Place("after", written=written) if character == '"' else None
                return place._replace(rest=rest[1:]) if character == rest[0] else None
            case "text":
                if escaped:
                    return place._replace(escaped=False)
                if character == '"':
                    return Place("after", written=written)
                return place._replace(escaped=character == "\\")
        return None

    def _may_begin(self, written: frozenset[str]) -> bool:
        return self.allowed is None or not self.allowed <= written

    def _may_be(self, text: str, written: frozenset[str], *, whole: bool) -> bool:
        if self.allowed is None:
            return True
        if whole:
            return text in self.allowed and text not in written
        return any(name.startswith(text) for name in self.allowed - written)


@dataclass(frozen=True, slots=True)
class Opening:
    """What a frame may be that begins here.

    Args:
        events: its event.
        lines: for an event the lines that it may show, each with its ending; what is left out may show any.
        names: for a CALL or LINE what its locals may be; what is left out: anything.
    """

    events: frozenset[Event]
    lines: Mapping[Event, frozenset[str]] = field(default_factory=dict)
    names: Mapping[Event, Names] = field(default_factory=dict)


class Reading:
    """A reader of frames that also follows what Python allows.

    Args:
        reader: reads, and has taken the known frames.
        flow: has taken them too; None: nothing is known of the program.
        profile: how frames are written.
    """

    def __init__(self, reader: FrameReader, flow: Flow | None, profile: FormatProfile) -> None:
        self._reader, self._flow, self._profile = reader, flow, profile
        self._indented = is_indented(reader.program, profile)

    def fork(self) -> Reading:
        """A copy that goes on by itself."""
        flow = None if self._flow is None else self._flow.fork()
        return Reading(self._reader.fork(), flow, self._profile)

    @property
    def reader(self) -> FrameReader:
        """The reader."""
        return self._reader

    def push(self, frame: Frame) -> list[Piece]:
        """Take a known frame; returns its pieces on the wire."""
        if self._flow is not None:
            self._flow.push(frame)
        return self._reader.push(frame)

    def follow(self, frame: Frame) -> None:
        """Take a frame that the reader has read."""
        if self._flow is not None:
            self._flow.push(frame)

    @property
    def opening(self) -> Opening:
        """What may come next."""
        events = self._reader.legal_events
        if self._flow is None:
            return Opening(events)
        legal = self._flow.legal(0)
        both = (events & legal.events) or events
        lines = {
            event: texts
            for event in both
            if (places := legal.lines.get(event)) is not None
            and (texts := frozenset(self._text(*place) for place in places))
        }
        names = {}
        if Event.LINE in both:
            names[Event.LINE] = self._locals(legal.new, legal.gone, legal.unchanged)
        if Event.CALL in both and legal.called is not None:
            names[Event.CALL] = Names(frozenset(map(_spelt, legal.called)))
        return Opening(both, lines, names)

    def _text(self, file: int, line: int) -> str:
        files = self._reader.program.files
        lines = source_lines(files[file].text) if file < len(files) else []
        text = lines[line - 1] if 0 < line <= len(lines) else ""
        return shown_source(text, indented=self._indented and file == 0) + "\n"

    def _locals(
        self, new: frozenset[str] | None, gone: frozenset[str] | None, unchanged: frozenset[str]
    ) -> Names:
        shown = self._reader.unchanged_texts()
        bound = frozenset(shown)
        known = {_spelt(name): shown[name] for name in unchanged & bound}
        allowed = None if new is None else frozenset(map(_spelt, bound | new))
        needed = frozenset() if gone is None else frozenset(map(_spelt, bound - gone))
        return Names(allowed, needed, known)


def read_program(program: Trace, flow: Flow | None, profile: FormatProfile) -> Reading:
    """A reading that has taken the frames of a program; so has `flow`."""
    return Reading(FrameReader(program, profile), flow, profile)


def _spelt(name: str) -> str:
    return json.dumps(name)[1:-1]
