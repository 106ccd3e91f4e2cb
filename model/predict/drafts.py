"""Cheap guesses of how a frame goes on, for the model to confirm many tokens at a time.

What is guessed: the line that followed last time (else the next line of the text), a source line copied from
the program, what the line that ran makes of variables whose values are literals (`value_guesses`), and that
the others do not change. Under `flow` a draft ends before the value of a name that the line bound, if nothing
is known of it. Where the model has decided otherwise inside a value, the guess is that it goes on as another
text does, a variable's or that of the line that ran; else that it ends here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from cwm_trace.model.predict.guide import Names
from cwm_trace.model.predict.rollout import Rollout
from cwm_trace.model.predict.value_guesses import find_changes, find_returned
from cwm_trace.predict.known_frames import History
from cwm_trace.records import UNCHANGED, Event, Frame, Slot, Trace
from cwm_trace.wire.context import is_indented, shown_source, source_lines
from cwm_trace.wire.lines import LineResolver
from cwm_trace.wire.profile import FormatProfile
from cwm_trace.wire.render import STATEFUL
from cwm_trace.wire.tokens import EVENT_TOKENS, Special, TraceTokens

Place = tuple[int, int, Event]
"""File, line and event of a frame."""
Guess = tuple[Event, int, int]
"""Event, file and line of the frame that may come next."""

_RETURN = re.compile(r"\s*return\b")
_RETURNED_NAME = re.compile(r"\s*return (\w+)\s*$")


_LOOKED_UP = 3
"""Characters at the end of a value that must stand elsewhere for it to go on as it did there."""
_MORE = 24
"""Characters that it may go on for."""


class FrameDrafter:
    """Drafts for the rollouts of one program.

    Args:
        program: whose frames are guessed.
        profile: how they are written.
        tokens: the tokenizer's mapping.
    """

    def __init__(self, program: Trace, profile: FormatProfile, tokens: TraceTokens) -> None:
        self._tokens = tokens
        self._profile = profile
        self._lines = [source_lines(file.text) for file in program.files]
        self._resolvers = [LineResolver(lines) for lines in self._lines]
        self._indented = is_indented(program, profile)
        self._program = program
        self._encode = lru_cache(maxsize=4096)(lambda text: tuple(tokens.encode(text)))
        self._text = lru_cache(maxsize=None)(lambda number: tokens.decode([number]))

    def remember(self, frames: Sequence[Frame] = ()) -> Memory:
        """What is known after these frames; a rollout that comes without a memory gets its own."""
        memory = Memory(self._program)
        for frame in frames:
            memory.push(frame)
        return memory

    def __call__(self, rollout: Rollout) -> list[int]:
        """What may follow the pending tokens of a rollout, to the end of its open frame."""
        if rollout.memory is None:
            rollout.memory = self.remember(rollout.history)
        memory: Memory = rollout.memory
        memory.catch_up(rollout.frames)
        stack = memory.history.stack
        if not stack:
            return []
        written = rollout.frame.ids
        event, source = self._guess(memory, stack[-1])
        names = rollout.opening.names.get(Event.LINE)
        if not written:
            return self._whole(memory, stack[-1], event, source, names)
        if rollout.frame.event is None:
            return []
        if rollout.frame.event is not event:
            event, source = rollout.frame.event, self._source(stack[-1].file, stack[-1].line)
        whole = self._whole(memory, stack[-1], event, source, names)
        if whole[: len(written)] == written:
            return whole[len(written) :]
        if rollout.frame.field == "locals":
            return self._rest_of_locals(memory, stack[-1], written, source, names)
        return []

    def _guess(self, memory: Memory, last: Frame) -> tuple[Event, str]:
        known = memory.followers.get((last.file, last.line, last.event))
        if known is not None:
            return known[0], self._source(known[1], known[2])
        if last.event is Event.LINE and _RETURN.match(last.source):
            return Event.RETURN, self._source(last.file, last.line)
        lines = self._lines[last.file] if last.file < len(self._lines) else []
        end = self._resolvers[last.file].span(last.line)[1] if lines else 0
        for number in range(last.line + 1, min(end, len(lines)) + 1):
            if (text := lines[number - 1].strip()) and not text.startswith("#"):
                return Event.LINE, self._source(last.file, number)
        return Event.RETURN, self._source(last.file, last.line)

    def _source(self, file: int, line: int) -> str:
        lines = self._lines[file] if file < len(self._lines) else []
        text = lines[line - 1] if 0 < line <= len(lines) else ""
        return shown_source(text, indented=self._indented and file == 0) + "\n"

    def _whole(
        self, memory: Memory, last: Frame, event: Event, source: str, names: Names | None
    ) -> list[int]:
        ids = self._tokens.ids
        if event is Event.END:
            return []
        if event not in STATEFUL:
            value = self._value(memory, last, source) if event is Event.RETURN else None
            written = [ids[EVENT_TOKENS[event]], ids[Special.ACTION], *self._encode(source), ids[Special.ARG]]
            return written if value is None else [*written, *self._encode(value), ids[Special.FRAME]]
        if event is Event.CALL:
            return [ids[EVENT_TOKENS[event]], *self._encode('{"')]
        body, is_whole = _items(self._texts(memory, last, names))
        written = [ids[EVENT_TOKENS[event]], *self._encode_parts("{" + body + "}" * is_whole)]
        return [*written, *self._ending(source)] if is_whole else written

    def _ending(self, source: str) -> list[int]:
        ids = self._tokens.ids
        return [ids[Special.ACTION], *self._encode(source), ids[Special.FRAME]]

    def _texts(self, memory: Memory, last: Frame, names: Names | None) -> dict[str, str | None]:
        """The locals as they may be written, each text as it stands between its quotes; None: not known.

        Args:
            memory: of the frames so far.
            last: the running activation's last one.
            names: what flow says of the locals, if it says anything.
        """
        state = memory.history.states.state(last.activation)
        in_run = memory.history.frames[-1].activation == last.activation
        shown: dict[str, str | None]
        if in_run or self._profile.diff_reset == "never":
            shown = dict.fromkeys(state, UNCHANGED)
        else:
            shown = {name: self._spelt(slot) for name, slot in state.items()}
        changes = self._changes(memory, last)
        if changes is not None:
            return shown | {name: json.dumps(text)[1:-1] for name, text in changes.items()}
        if names is None or names.fresh is None:
            return shown
        for name in shown:
            if name not in names.needed and name not in names.texts:  # spelt as names are, but for a few
                shown[name] = None
        return shown | dict.fromkeys(sorted(names.fresh, key=last.source.find), None)

    def _changes(self, memory: Memory, last: Frame) -> Mapping[str, str] | None:
        """What the line that ran changes, as far as its text tells."""
        now = len(memory.history.frames)
        if memory.changes_at != now:
            memory.changes_at, memory.changes = now, None
            if last.event is Event.LINE:
                state = memory.history.states.state(last.activation)
                texts = {name: self._profile.text_of(slot) for name, slot in state.items()}
                memory.changes = find_changes(last.source, texts)
        return memory.changes

    def _spelt(self, slot: Slot) -> str:
        return json.dumps(self._profile.text_of(slot))[1:-1]

    def _encode_parts(self, text: str) -> list[int]:
        return [token for part in _CUT.findall(text) for token in self._encode(part)]

    def _rest_of_locals(
        self, memory: Memory, last: Frame, written: Sequence[int], source: str, names: Names | None
    ) -> list[int]:
        """Inside of a value that is not the guessed one: let it end, and the rest be as guessed."""
        text = "".join(map(self._text, written[1:]))  # ASCII, so that each token is text by itself
        head, inside, value = text.rpartition('": "')
        if not inside or '"' in value:
            return []
        name = head.rpartition('"')[2]
        texts = self._texts(memory, last, names)
        guess, missing = texts.get(name), ""
        if guess is not None and guess.startswith(value):
            missing = guess[len(value) :]
        elif more := self._rest_of_value(memory, last, name, value):
            return self._encode_parts(more)
        elif not value:
            return []
        order = list(texts)
        following = order[order.index(name) + 1 :] if name in texts else []
        rest, is_whole = _items({other: texts[other] for other in following})
        ending = missing + ('", ' if rest else '"') + rest + "}" * is_whole
        return self._encode_parts(ending) + (self._ending(source) if is_whole else [])

    def _rest_of_value(self, memory: Memory, last: Frame, name: str, value: str) -> str:
        """How a value may go on: as its variable's last text did, another's, or the line that ran."""
        state = memory.history.states.state(last.activation)
        own_first = sorted(state, key=lambda other: other != name)
        shown = (*(self._profile.text_of(state[other]) for other in own_first), last.source)
        texts = [json.dumps(text)[1:-1] for text in shown]
        if len(value) < _LOOKED_UP and name in state:
            return texts[0][len(value) : -1] if texts[0].startswith(value) and texts[0][0] in "[{(" else ""
        ending = value[-_LOOKED_UP:]
        for text in texts if len(value) >= _LOOKED_UP else ():
            _, found, rest = text.partition(ending)
            if found and rest:
                return rest[:_MORE]
        return ""

    def _value(self, memory: Memory, last: Frame, source: str) -> str | None:
        if not _RETURN.match(source):
            return json.dumps("None")
        state = memory.history.states.state(last.activation)
        named = _RETURNED_NAME.match(source)
        if named:
            slot = state.get(named.group(1))
            return None if slot is None else json.dumps(self._profile.text_of(slot))
        found = find_returned(source, {name: self._profile.text_of(slot) for name, slot in state.items()})
        return None if found is None else json.dumps(found)


def _items(texts: Mapping[str, str | None]) -> tuple[str, bool]:
    """Variables between the braces, up to the first whose text is not known; and whether all are."""
    parts: list[str] = []
    for name, text in texts.items():
        if text is None:
            return ", ".join([*parts, f'{json.dumps(name)}: "']), False
        parts.append(f'{json.dumps(name)}: "{text}"')
    return ", ".join(parts), True


class Memory:
    """What the frames of a rollout, and those before it, say about what comes next."""

    def __init__(self, program: Trace) -> None:
        self.history = History(program)
        self.followers: dict[Place, Guess] = {}
        """The frame that came after a place, the last time."""
        self.changes: Mapping[str, str] | None = None
        """What the last line changes, if that is known."""
        self.changes_at = -1  # the number of frames when it was worked out
        self._taken = 0

    def catch_up(self, frames: Sequence[Frame]) -> None:
        """Take those of a rollout's frames that are new."""
        for frame in frames[self._taken :]:
            self.push(frame)
        self._taken = len(frames)

    def push(self, frame: Frame) -> None:
        """Take a frame."""
        if self.history.frames:
            before = self.history.frames[-1]
            self.followers[before.file, before.line, before.event] = (frame.event, frame.file, frame.line)
        self.history.push(frame)

    def fork(self) -> Memory:
        """A copy that goes on by itself, with a rollout that has no frames yet."""
        other = Memory(self.history.program)
        other.history = self.history.fork()
        other.followers = dict(self.followers)
        return other


_CUT = re.compile(r'": "\.\.(?:", "|"\})|\{?": "|", "|"\}|\{"|\.\.|[^".{}]+|.', re.DOTALL)
"""Parts that recur, cut where tokenizers of traces cut: each is encoded once."""
