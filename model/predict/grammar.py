"""The grammar of one frame over token ids: what may come next, so that every whole frame is valid.

    frame     = CALL locals ACTION source FRAME  |  LINE locals ACTION source FRAME
              | RETURN ACTION source ARG value FRAME  |  EXCEPTION ACTION source ARG value FRAME  |  END

The event must be legal for the stack, LOCALS is a JSON object of strings under different names, SOURCE one of
the program's own lines, in the tokens that the tokenizer makes of it, and VALUE a JSON string: the four
validity grades by construction. Where a single token is legal nothing needs to be asked of a model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from cwm_trace.model.predict.guide import START, Names, Opening
from cwm_trace.model.predict.spelling import Spelling
from cwm_trace.model.predict.vocabulary import INDEX, NO_MORE, SHORTEST, STATES, Legal, Vocabulary
from cwm_trace.records import Event, Trace
from cwm_trace.wire.context import MODULE, context_lines
from cwm_trace.wire.fields import FIELDS
from cwm_trace.wire.profile import FormatProfile
from cwm_trace.wire.render import STATEFUL
from cwm_trace.wire.tokens import EVENT_TOKENS, Special, TraceTokens

_MORE_NAMES = 16
"""Names that a frame may have beyond the words of the program: those that Python or `exec` gives."""

_WORD = re.compile(r"\w+")
_LOCALS = INDEX["locals"]
_ENDS = frozenset([INDEX["locals-end"], INDEX["value-end"]])
_KINDS = [
    state.partition("-")[0]
    if state.startswith(("name", "text", "string")) and not state.endswith("quote")
    else ""
    for state in STATES
]
"""The kind of text that a state is inside of; empty outside of texts."""
_NAMED = frozenset(index for index, kind in enumerate(_KINDS) if kind == "name")  # a token may close the name


class _Node:
    """A place in the tree of the program's lines."""

    __slots__ = ("children", "legal")

    def __init__(self) -> None:
        self.children: dict[int, _Node] = {}
        self.legal = Legal(())


class FrameGrammar:
    """The grammar for the frames of one program.

    Args:
        program: whose lines SOURCE may be.
        profile: how the context shows them.
        tokens: the tokenizer's mapping.
        vocabulary: of the same tokenizer.
        max_text_tokens: tokens of one name or one value's text before it must end; None: no bound. A longer
            true text is out of reach then.

    A frame names at most as many variables as the program's text holds different words, and `_MORE_NAMES`:
    else a model that misses the end of LOCALS would go on inventing names.
    """

    def __init__(
        self,
        program: Trace,
        profile: FormatProfile,
        tokens: TraceTokens,
        vocabulary: Vocabulary,
        max_text_tokens: int | None = None,
    ) -> None:
        self.ids = tokens.ids
        self.events = {tokens.ids[EVENT_TOKENS[event]]: event for event in Event}
        self.vocabulary = vocabulary
        self.max_text_tokens = max_text_tokens
        self.max_names = _MORE_NAMES + len(
            {word for file in program.files for word in _WORD.findall(file.text)}
        )
        self._single = {token: Legal((number,)) for token, number in tokens.ids.items()}
        self._events: dict[frozenset[Event], Legal] = {}
        self._tokens = tokens
        self._encode = lru_cache(maxsize=4096)(
            tokens.encode
        )  # names and unchanged values come again and again
        self._lines = running_lines(program, profile)
        self._root = self._tree(self._lines)
        self._trees: dict[frozenset[str], _Node] = {}
        self._spellings: dict[object, Spelling] = {}

    def start(self, opening: Opening) -> FrameState:
        """The beginning of a frame."""
        legal = opening.events
        if legal not in self._events:
            numbers = sorted(self.ids[EVENT_TOKENS[event]] for event in legal)
            self._events[legal] = Legal(tuple(numbers))
        return FrameState(self, self._events[legal], opening)

    def lines_of(self, opening: Opening, event: Event | None) -> _Node:
        """The tree of the lines that a frame of this event may show."""
        texts = None if event is None else opening.lines.get(event)
        if texts is None:
            return self._root
        if texts not in self._trees:
            possible = [line for line in self._lines if line in texts]
            self._trees[texts] = self._tree(possible) if possible else self._root
        return self._trees[texts]

    def spelling(self, names: Names) -> Spelling:
        """How locals are spelt under a guide."""
        if names.key not in self._spellings:
            self._spellings[names.key] = Spelling(names, self.vocabulary, self._encode)
        return self._spellings[names.key]

    def _tree(self, lines: Iterable[str]) -> _Node:
        root = _Node()
        for line in lines:
            node = root
            for number in self._tokens.encode(line):
                node = node.children.setdefault(number, _Node())
        stack = [root]
        while stack:
            node = stack.pop()
            node.legal = Legal(tuple(sorted(node.children)))
            stack.extend(node.children.values())
        return root


class FrameState:
    """A frame that is being written: what may come next, and what has been written."""

    __slots__ = (
        "_dfa",
        "_forced",
        "_grammar",
        "_guided",
        "_legal",
        "_name",
        "_names",
        "_node",
        "_opening",
        "_phase",
        "_place",
        "_text_tokens",
        "event",
        "field",
        "ids",
    )

    def __init__(self, grammar: FrameGrammar, legal: Legal, opening: Opening) -> None:
        self._grammar = grammar
        self._legal = legal
        self._opening = opening
        self._guided: Spelling | None = None
        self._place = START
        self._forced: Sequence[int] = ()
        self._phase = self.field = "event"
        self._node = grammar._root  # until it is known which lines may come
        self._dfa = _LOCALS
        self._names: set[str] = set()
        self._name = ""
        self._text_tokens = 0
        self.event: Event | None = None
        self.ids: list[int] = []

    def copy(self) -> FrameState:
        """A copy that goes on by itself."""
        other = FrameState(self._grammar, self._legal, self._opening)
        other._guided, other._place, other._forced = self._guided, self._place, self._forced
        other._phase, other._node, other._dfa = self._phase, self._node, self._dfa
        other.field = self.field
        other._names, other._name, other._text_tokens = set(self._names), self._name, self._text_tokens
        other.event, other.ids = self.event, list(self.ids)
        return other

    @property
    def is_done(self) -> bool:
        """Whether the frame, or the trace, has ended."""
        return self._phase == "done"

    @property
    def legal(self) -> Legal:
        """What may come next; of a frame that is done nothing."""
        return self._legal

    def allows(self, number: int) -> bool:
        """Whether the id may come next."""
        legal = self._legal
        if legal.ids is not None:
            return number in legal.ids
        return bool(self._grammar.vocabulary.allowed[legal.row, number]) and number not in legal.but

    def give(self, ids: Sequence[int], event: Event) -> None:
        """Write tokens that are given, legal or not: the event, or all up to the source."""
        self.ids.extend(ids)
        self.event = event
        if len(ids) > 1:
            self._enter("source")
        else:
            self._enter("locals" if event in STATEFUL else "action")

    def take(self, number: int) -> None:
        """Write a legal id."""
        self.ids.append(number)
        match self._phase:
            case "event":
                self._take_event(number)
            case "locals" | "value":
                self._take_json(number)
            case "source":
                self._node = self._node.children[number]
                if self._node.children:
                    self._legal = self._node.legal
                else:
                    self._enter("frame" if self.event in STATEFUL else "arg")
            case "action":
                self._enter("source")
            case "arg":
                self._enter("value")
            case "frame":
                self._enter("done")

    def _take_event(self, number: int) -> None:
        self.event = self._grammar.events[number]
        if self.event is Event.END:
            self._enter("done")
        else:
            self._enter("locals" if self.event in STATEFUL else "action")

    def _enter(self, phase: str) -> None:
        self._phase = phase
        if phase in FIELDS:
            self.field = phase  # in the other ones the separator that ends it is due
        single = self._grammar._single
        match phase:
            case "locals" | "value":
                self._dfa = INDEX[phase]
                self._text_tokens = 0
                if phase == "locals" and self.event is not None:
                    names = self._opening.names.get(self.event)
                    self._guided = None if names is None else self._grammar.spelling(names)
                self._legal = self._json_legal()
            case "source":
                self._node = self._grammar.lines_of(self._opening, self.event)
                self._legal = self._node.legal
            case "done":
                self._legal = Legal(())
            case _:
                self._legal = single[Special[phase.upper()]]

    def _take_json(self, number: int) -> None:
        grammar = self._grammar
        before, text = self._dfa, grammar.vocabulary.texts[number]
        self._dfa = int(grammar.vocabulary.after[before, number])
        if self._guided is not None and self._phase == "locals":
            place = self._guided.names.after(self._place, text)
            self._forced = self._forced[1:]
            if place is None:  # what is given may be anything
                self._guided, self._forced = None, ()
            else:
                self._place = place
        kind, kind_before = _KINDS[self._dfa], _KINDS[before]
        if kind_before == "name":
            added, quote, _ = text.partition('"')
            self._name += added
            if quote:
                self._names.add(self._name)
        if kind == "name" and (kind_before != "name" or '"' in text):
            self._name = text.rpartition('"')[2]
        self._text_tokens = self._text_tokens + 1 if kind and kind == kind_before else 0
        if self._dfa in _ENDS:
            self._enter("action" if self._phase == "locals" else "frame")
        else:
            self._legal = self._json_legal()

    def _json_legal(self) -> Legal:
        grammar = self._grammar
        row = self._dfa
        in_name = row in _NAMED
        if self._phase == "locals" and len(self._names) + in_name >= grammar.max_names:
            row += NO_MORE
        bound = grammar.max_text_tokens
        if self._guided is not None and self._phase == "locals":
            if not self._forced:
                self._forced = self._guided.forced(self._place, self.ids[1:])
            if self._forced and grammar.vocabulary.allowed[row, self._forced[0]]:
                return Legal((self._forced[0],))
            self._forced = ()
            if self._place.mode == "text" and bound is not None and self._text_tokens >= bound:
                row += SHORTEST
            return self._guided.legal(self._place, row)
        if in_name and self._names:
            closing, start = grammar.vocabulary.closing, len(self._name)
            repeated = [name[start:] for name in self._names if name.startswith(self._name)]
            but = tuple(number for rest in repeated for number in closing.get(rest, ()))
            if but:
                return Legal(None, row, but)
        if bound is not None and self._text_tokens >= bound:
            row += SHORTEST
        return grammar.vocabulary.rows[row]


def running_lines(program: Trace, profile: FormatProfile) -> Sequence[str]:
    """The lines that a frame may show: those that can run, with their ending."""
    lines = [line.text for line in context_lines(program, profile)]
    running = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if len(program.files) > 1 or (program.entry == MODULE and profile.module_code == "module"):
        running.append("")  # the CALL of a module has no source; that of the first may have one
    return [f"{line}\n" for line in dict.fromkeys(running or lines)]
