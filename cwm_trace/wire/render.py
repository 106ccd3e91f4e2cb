"""Records to the wire form."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import overload

from cwm_trace.records import UNCHANGED, Event, Frame, Outcome, Slot, Trace
from cwm_trace.states import Activations
from cwm_trace.wire.context import MAIN, is_indented, render_context, shown_source
from cwm_trace.wire.profile import CWM, FormatProfile
from cwm_trace.wire.tokens import EVENT_TOKENS, Piece, Special, TraceTokens

STATEFUL = (Event.CALL, Event.LINE)
ENDED = (Outcome.RETURNED, Outcome.RAISED, Outcome.EXITED)
"""Outcomes after which a trace has its end token."""


@overload
def render_trace(trace: Trace, *, profile: FormatProfile = ..., tokens: None = None) -> str: ...
@overload
def render_trace(trace: Trace, *, profile: FormatProfile = ..., tokens: TraceTokens) -> list[int]: ...
def render_trace(
    trace: Trace, *, profile: FormatProfile = CWM, tokens: TraceTokens | None = None
) -> str | list[int]:
    """The whole trace: prompt, frames, and the end token if the execution ended.

    Only the first thread is shown: the format has one stack.

    Args:
        trace: a real or predicted trace.
        profile: which reading of the format to write.
        tokens: a tokenizer's mapping; with it the result is a list of ids, from which the trace can be
            read back exactly. Without it the result is text for reading, which is ambiguous where the
            program or a value contains a special token's name (`text_is_ambiguous`).
    """
    pieces = _prompt(trace, profile)
    renderer = FrameRenderer(trace, profile)
    for frame in main_thread(trace):
        pieces += renderer.render(frame)
    if trace.outcome in ENDED:
        pieces.append(Special.END)
    return _join(pieces, tokens)


@overload
def render_prompt(
    trace: Trace, *, given: int = ..., profile: FormatProfile = ..., tokens: None = None
) -> str: ...
@overload
def render_prompt(
    trace: Trace, *, given: int = ..., profile: FormatProfile = ..., tokens: TraceTokens
) -> list[int]: ...
def render_prompt(
    trace: Trace, *, given: int = 1, profile: FormatProfile = CWM, tokens: TraceTokens | None = None
) -> str | list[int]:
    """What a model is given: the context and the first `given` frames.

    With `given=1` that is the program and the CALL of its entry, without which a model invents arguments.
    """
    pieces = _prompt(trace, profile)
    renderer = FrameRenderer(trace, profile)
    for frame in main_thread(trace)[:given]:
        pieces += renderer.render(frame)
    return _join(pieces, tokens)


def text_is_ambiguous(trace: Trace, *, profile: FormatProfile = CWM) -> bool:
    """Whether the text form contains the name of a special token as ordinary text."""
    renderer = FrameRenderer(trace, profile)
    pieces = _prompt(trace, profile)
    for frame in main_thread(trace):
        pieces += renderer.render(frame)
    names = [token.value for token in Special]
    return any(name in piece for piece in pieces if not isinstance(piece, Special) for name in names)


def main_thread(trace: Trace) -> Sequence[Frame]:
    """The frames that the wire can show: those of the first thread, up to the return of the entry.

    What a program does after that (exit handlers, further calls in a recorded block) has no place in a
    format with one entry.
    """
    indices = shown_indices(trace)
    return trace.frames if len(indices) == len(trace.frames) else [trace.frames[at] for at in indices]


def shown_indices(trace: Trace) -> Sequence[int]:
    """Which frames `main_thread` keeps."""
    frames, last = trace.frames, trace.entry_return
    end = len(frames) if last is None else last + 1
    while end < len(frames) and frames[end].event is Event.END:
        end += 1
    shown = range(end)
    if any(frame.thread for frame in frames):
        return [at for at in shown if frames[at].thread == 0]
    return shown


class FrameRenderer:
    """Renders the frames of one trace, one after the other.

    `..` stands for a text that the same activation showed in its last frame, as long as no frame of another
    activation came between (`diff_reset="activation"`); a CALL, a generator's resume included, is always
    written in full.
    """

    def __init__(self, trace: Trace, profile: FormatProfile) -> None:
        self._profile = profile
        self._drops = profile.unwinding_return == "dropped"
        self._indented = is_indented(trace, profile)
        self._activations = Activations()
        self._shown: dict[int, dict[str, str]] = {}
        self._last: int | None = None

    def fork(self) -> FrameRenderer:
        """A copy that goes on by itself."""
        other = copy.copy(self)
        other._activations = self._activations.fork()
        other._shown = dict(self._shown)  # its values are replaced, never changed
        return other

    def render(self, frame: Frame) -> list[Piece]:
        """The pieces of the next frame; none for an unwinding RETURN that the profile drops."""
        if frame.event is Event.END:
            return [Special.END]
        if frame.event is Event.RETURN and frame.value is None and frame.raw is None and self._drops:
            return []
        first, second = self.texts(frame)
        if frame.raw is not None:
            first, second = frame.raw
        token = EVENT_TOKENS[frame.event]
        if frame.event in STATEFUL:
            return [token, first, Special.ACTION, second, Special.FRAME]
        return [token, Special.ACTION, first, Special.ARG, second, Special.FRAME]

    def unchanged_texts(self, activation: int) -> dict[str, str]:
        """What a LINE shows of each variable of an activation that has not changed, between its quotes."""
        state = self._activations.state(activation)
        texts = {name: self._profile.text_of(slot) for name, slot in state.items()}
        in_run = self._last == activation or self._profile.diff_reset == "never"
        before = self._shown.get(activation, {}) if in_run else {}
        return {
            name: UNCHANGED if before.get(name) == text else json.dumps(text)[1:-1]
            for name, text in texts.items()
        }

    def known_names(self, activation: int) -> list[str]:
        """The variables that an activation has shown, bound or not, in the order of their frames."""
        return self._activations.names(activation)

    def texts(self, frame: Frame) -> tuple[str, str]:
        """Locals and source of a CALL or LINE, source and value of a RETURN or EXCEPTION."""
        source = self._source(frame)
        pair = (self._locals(frame), source) if frame.event in STATEFUL else (source, self._value(frame))
        self._last = frame.activation
        return pair

    def _locals(self, frame: Frame) -> str:
        state = self._activations.advance(frame)
        shown, changed = self._shown.get(frame.activation, {}), frame.changed
        texts = {
            name: shown[name] if name in shown and name not in changed else self._profile.text_of(slot)
            for name, slot in state.items()
        }
        in_run = self._last == frame.activation or self._profile.diff_reset == "never"
        before = shown if in_run and frame.event is Event.LINE else {}
        self._shown[frame.activation] = texts
        return json.dumps(
            {name: UNCHANGED if before.get(name) == text else text for name, text in texts.items()}
        )

    def _source(self, frame: Frame) -> str:
        if self._indented and frame.event is Event.CALL and frame.activation == 0:
            return MAIN + "\n"
        return shown_source(frame.source, indented=self._indented and frame.file == 0) + "\n"

    def _value(self, frame: Frame) -> str:
        slot = frame.value or Slot("None", "NoneType")
        if frame.event is Event.EXCEPTION:
            return json.dumps(self._profile.text_of_exception(slot, frame.message))
        return json.dumps(self._profile.text_of(slot))


def _prompt(trace: Trace, profile: FormatProfile) -> list[Piece]:
    return [Special.BEGIN, Special.CONTEXT, render_context(trace, profile), Special.FRAME]


def _join(pieces: Sequence[Piece], tokens: TraceTokens | None) -> str | list[int]:
    if tokens is not None:
        return tokens.encode_pieces(pieces)
    return "".join(piece.value if isinstance(piece, Special) else piece for piece in pieces)
