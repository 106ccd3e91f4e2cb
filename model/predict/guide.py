"""What `cwm_trace.flow` allows of a frame, as texts: the lines it may show, its names, its unchanged values.

LOCALS is followed character by character, so that it holds whatever tokens a model spells it in. A guide only
takes choices away from the grammar: where flow knows nothing, everything that is well formed stays legal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
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
        mode: `open`, `first`, `after`, `name`, `fixed`, `text` or `end`.
        name: inside of a name what is written of it.
        rest: inside of a fixed text what is missing of it; `then` is the mode behind it.
        escaped: inside of a value, the character before was a backslash.
        at: known names up to there have had their turn.
        new: names that are written and were not known.
    """

    mode: str = "open"
    name: str = ""
    rest: str = ""
    then: str = ""
    escaped: bool = False
    at: int = 0
    new: frozenset[str] = frozenset()


START = Place()
_ENDS_OR_ESCAPES = re.compile(r'["\\]')


class Names:
    """The locals that a frame may show, everything as it is spelt between quotes.

    Known names come in their order, new ones behind them in any, none of them twice.

    Args:
        order: known names; those that are unbound keep their place.
        allowed: names that may stand there; None: any.
        needed: known names that must.
        texts: values that are known.
    """

    def __init__(
        self,
        order: Sequence[str] = (),
        allowed: frozenset[str] | None = None,
        needed: frozenset[str] = frozenset(),
        texts: Mapping[str, str] | None = None,
    ) -> None:
        self.order = tuple(name for name in order if allowed is None or name in allowed)
        self.needed = needed
        self.texts = texts or {}
        self.fresh = None if allowed is None else allowed.difference(self.order)
        """Names that may be new; None: any."""
        self._index = {name: place for place, name in enumerate(self.order)}
        self._last = max((self._index[name] for name in needed), default=-1)
        self._known: dict[int, tuple[str, ...]] = {}
        self.key = (self.order, self.fresh, needed, tuple(self.texts.items()))
        """Equal where everything is."""

    def after(self, place: Place, text: str) -> Place | None:
        """The place after `text`; None: it cannot stand there."""
        here: Place | None = place
        at = 0
        while at < len(text) and here is not None:
            match here.mode:
                case "text":
                    here, at = _pass_value(here, text, at)
                case "fixed":
                    here, at = _pass_fixed(here, text, at)
                case "name" if text[at] != '"':
                    here, at = self._pass_name(here, text, at)
                case _:
                    here, at = self._step(here, text[at]), at + 1
        return here

    def forced(self, place: Place) -> str:
        """The text that must come next, whatever follows it."""
        parts = []
        while part := self._only(place):
            following = self.after(place, part)
            if following is None:
                break
            parts.append(part)
            place = following
        return "".join(parts)

    def may_close(self, place: Place) -> bool:
        """Whether no name is missing."""
        return place.at > self._last

    def following(self, place: Place) -> Iterable[str] | None:
        """Characters among which the next one is; None: any."""
        match place.mode:
            case "open":
                return "{"
            case "fixed":
                return place.rest[0]
            case "first":
                return '"}'
            case "after":
                return ",}"
            case "name" if not self._accepts_any(place):
                at = len(place.name)
                return {name[at : at + 1] or '"' for name in self._candidates(place)}
            case "end":
                return ""
        return None

    def known(self, place: Place) -> tuple[str, ...]:
        """Known names that may come next."""
        found = self._known.get(place.at)
        if found is None:
            end = next((at for at in range(place.at, self._last + 1) if self.order[at] in self.needed), None)
            found = self.order[place.at :] if end is None else self.order[place.at : end + 1]
            self._known[place.at] = found
        return found

    def _step(self, place: Place, character: str) -> Place | None:
        match place.mode:
            case "open":
                return place._replace(mode="first") if character == "{" else None
            case "first" | "after" if character == "}":
                return place._replace(mode="end") if self.may_close(place) else None
            case "first" if character == '"' and self._may_begin(place):
                return place._replace(mode="name")
            case "after" if character == "," and self._may_begin(place):
                return place._replace(mode="fixed", rest=' "', then="name")
            case "name" if character == '"':
                return self._close_name(place)
        return None

    def _pass_name(self, place: Place, text: str, at: int) -> tuple[Place | None, int]:
        """Go on in a name, up to the quote that ends it."""
        end = text.find('"', at)
        end = len(text) if end < 0 else end
        longer = place._replace(name=place.name + text[at:end])
        return longer if self._accepts_any(place) or self._candidates(longer) else None, end

    def _close_name(self, place: Place) -> Place | None:
        name, at, new = place.name, place.at, place.new
        if name in self._index and self._index[name] >= at and name in self.known(place):
            at = self._index[name] + 1
        elif (
            self.may_close(place)
            and name not in self._index
            and name not in new
            and (self.fresh is None or name in self.fresh)
        ):
            at, new = len(self.order), new | {name}
        else:
            return None
        text = self.texts.get(name)
        rest, then = (': "', "text") if text is None else (f': "{text}"', "after")
        return Place("fixed", rest=rest, then=then, at=at, new=new)

    def _may_begin(self, place: Place) -> bool:
        if not self.may_close(place):
            return True
        return self.fresh is None or place.at < len(self.order) or not self.fresh <= place.new

    def _accepts_any(self, place: Place) -> bool:
        """Whether any name that is not written may come next."""
        return self.fresh is None and self.may_close(place)

    def _candidates(self, place: Place) -> list[str]:
        """Names that may be meant by what is written of one."""
        fresh = self.fresh - place.new if self.fresh and self.may_close(place) else ()
        return [name for name in (*self.known(place), *fresh) if name.startswith(place.name)]

    def _only(self, place: Place) -> str:
        """What must come next; empty where there is a choice."""
        match place.mode:
            case "open":
                return "{"
            case "fixed":
                return place.rest
            case "first" | "after":
                closes, begins = self.may_close(place), self._may_begin(place)
                more = '"' if place.mode == "first" else ","
                return "" if closes and begins else "}" if closes else more
            case "name" if not self._accepts_any(place):
                names = self._candidates(place)
                if names == [place.name]:
                    return '"'
                return _common(names)[len(place.name) :]
        return ""


def _pass_fixed(place: Place, text: str, at: int) -> tuple[Place | None, int]:
    """Go on in a fixed text."""
    part = text[at : at + len(place.rest)]
    if not place.rest.startswith(part):
        return None, at
    rest = place.rest[len(part) :]
    after = place._replace(rest=rest) if rest else place._replace(mode=place.then, rest="")
    return after, at + len(part)


def _pass_value(place: Place, text: str, at: int) -> tuple[Place, int]:
    """Go on in a value, up to a quote or a backslash and behind it."""
    if place.escaped:
        return place._replace(escaped=False), at + 1
    stop = _ENDS_OR_ESCAPES.search(text, at)
    if stop is None:
        return place, len(text)
    after = place._replace(mode="after") if stop.group() == '"' else place._replace(escaped=True)
    return after, stop.end()


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
            names[Event.CALL] = Names(allowed=frozenset(map(_spelt, legal.called)))
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
        if new is None:  # it may be another activation's
            return Names((), allowed, needed, known)
        return Names([*map(_spelt, self._reader.known_names())], allowed, needed, known)


def read_program(program: Trace, flow: Flow | None, profile: FormatProfile) -> Reading:
    """A reading that has taken the frames of a program; so has `flow`."""
    return Reading(FrameReader(program, profile), flow, profile)


def _common(names: Sequence[str]) -> str:
    """What all begin with."""
    first, last = min(names), max(names)
    end = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), None)
    return first[:end]


def _spelt(name: str) -> str:
    return json.dumps(name)[1:-1]
