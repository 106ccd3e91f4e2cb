"""Hypothesis strategies for traces: well-formed by construction, strange in everything else."""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields, replace
from typing import Any, get_args, get_type_hints

from hypothesis import strategies as st

from cwm_trace.records import UNCHANGED, Event, Frame, Outcome, Program, Slot, SourceFile, Trace
from cwm_trace.states import Activations, resolve_states
from cwm_trace.wire import CWM, KTH, FormatProfile, Special, TraceTokens
from cwm_trace.wire.context import MAIN, is_indented, shown_source

TOKENS = TraceTokens.of_bytes()
NAMES = ["a", "b", "x", ".0", "é", "_", "<|frame_sep|>", 'q"\\', ""]
TEXTS = [
    "1",
    "None",
    "'..'",
    "[1, 2]",
    "",
    "'<|frame_sep|>'",
    "<|action_sep|>",
    "'é😀'",
    "'\\n'",
    "<object object at 0x7f00>",
    "' at 0x7f00'",
    "<str_ascii_iterator object at 0x1>",
    '"it\'s"',
    "nan",
    "\\",
    "..."
]  # fmt: skip
STATEMENTS = [
    "a = 1",
    "pass",
    "return a",
    "raise ValueError(a)",
    "for a in b: pass",
    "f0(a)",
    "(lambda: a)()",
]
COMMENTS = ["", "", "", "   ", "  # é", "  # <|frame_sep|>", "  # a\x0cb", "  # yield", "\t# \\"]


def _alternatives() -> list[FormatProfile]:
    """Both named profiles, and `cwm` with every alternative of every field."""
    hints = get_type_hints(FormatProfile)
    found = [CWM, KTH]
    for field in fields(FormatProfile):
        for value in get_args(hints[field.name]):
            changes: dict[str, Any] = {field.name: value}
            found.append(replace(CWM, **changes))
    return list(dict.fromkeys(found))


PROFILES = _alternatives()


def profiles() -> st.SearchStrategy[FormatProfile]:
    """Any reading of the format."""
    hints = get_type_hints(FormatProfile)
    choices = {f.name: get_args(hints[f.name]) for f in fields(FormatProfile)}
    return st.builds(FormatProfile, **{n: st.sampled_from(c) for n, c in choices.items() if c})


def plain_text() -> st.SearchStrategy[str]:
    """Text that UTF-8 can hold."""
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def slots() -> st.SearchStrategy[Slot]:
    """Values as recorded: never `..`."""
    return _SLOTS


_WILD = (plain_text() | plain_text().map(repr)).filter(lambda text: text != UNCHANGED)
_SLOTS = st.sampled_from([Slot(text, kind) for text in TEXTS for kind in ("", "str", "m.C")]) | st.builds(
    Slot, _WILD
)


def states() -> st.SearchStrategy[dict[str, Slot]]:
    """Whole states."""
    return _STATES


_STATES = st.dictionaries(st.sampled_from(NAMES), _SLOTS, max_size=3)
_ACTIONS = st.sampled_from(["go", "call", "resume", "raise", "return"])
_COMMENTS = st.sampled_from(COMMENTS)
_FLAG = st.booleans()


@functools.cache
def _below(count: int) -> st.SearchStrategy[int]:
    return st.integers(0, count - 1)


@dataclass(frozen=True)
class _Function:
    file: int
    line: int
    body: tuple[int, ...]
    yields: tuple[int, ...]


class _Run:
    """An execution, made up as it goes."""

    def __init__(self, draw: st.DrawFn, files: list[SourceFile], functions: list[_Function]) -> None:
        self._draw = draw
        self._lines = [file.text.split("\n") for file in files]
        self._functions = functions
        self._suspended: list[tuple[_Function, int, int]] = []
        self._states = Activations()
        self._count = 0
        self._budget = draw(st.integers(1, 9))
        self.frames: list[Frame] = []

    def call(self, function: _Function, depth: int = 0) -> Outcome:
        number = self._count
        self._count += 1
        self._emit(Event.CALL, function, function.line, number, depth, self._changes(number))
        return self._body(function, number, depth)

    def _resume(self, depth: int) -> Outcome:
        function, number, line = self._suspended.pop(self._pick(len(self._suspended)))
        self._emit(Event.CALL, function, line, number, depth, self._changes(number))
        return self._body(function, number, depth)

    def _body(self, function: _Function, number: int, depth: int) -> Outcome:
        while True:
            self._budget -= 1
            line = function.body[self._pick(len(function.body))]
            self._emit(Event.LINE, function, line, number, depth, self._changes(number))
            raised = False
            match self._draw(_ACTIONS):
                case "return":
                    break
                case "call" if self._budget > 0:
                    callee = self._functions[self._pick(len(self._functions))]
                    raised = self.call(callee, depth + 1) is Outcome.RAISED
                case "resume" if self._suspended:
                    raised = self._resume(depth + 1) is Outcome.RAISED
                case "raise":
                    raised = True
            if raised:
                self._emit(Event.EXCEPTION, function, line, number, depth, {}, self._draw(_SLOTS), "m")
                if self._budget <= 0 or self._draw(_FLAG):
                    self._emit(Event.RETURN, function, line, number, depth, {})
                    return Outcome.RAISED
            elif self._budget <= 0:
                break
        self._emit(Event.RETURN, function, line, number, depth, {}, self._draw(_SLOTS))
        if line in function.yields:
            self._suspended.append((function, number, line))
        return Outcome.RETURNED

    def _pick(self, count: int) -> int:
        return 0 if count == 1 else self._draw(_below(count))

    def _changes(self, number: int) -> dict[str, Slot | None]:
        before = self._states.state(number)
        after = {name: slot for name, slot in before.items() if self._pick(5)}
        return self._states.change(number, after | self._draw(_STATES))

    def _emit(
        self,
        event: Event,
        function: _Function,
        line: int,
        number: int,
        depth: int,
        changed: dict[str, Slot | None],
        value: Slot | None = None,
        message: str | None = None,
    ) -> None:
        source = self._lines[function.file][line - 1] if line else ""
        self.frames.append(
            Frame(event, line, source, number, depth, 0, function.file, changed, value, message)
        )


@st.composite
def traces(draw: st.DrawFn, *, whole: bool = False) -> Trace:
    """Executions of made-up programs: nested and recursive calls, generators, exceptions, several files."""
    functions: list[_Function] = []
    files = []
    for index in range(draw(st.integers(1, 2))):
        lines: list[str] = []
        for _ in range(draw(st.integers(1, 2))):
            functions.append(_define(draw, index, lines, f"f{len(functions)}"))
        files.append((f"p{index}.py", lines))
    module = None
    if draw(st.booleans()):
        lines = files[0][1]
        start = len(lines)
        lines += [draw(st.sampled_from(STATEMENTS[:2])) + draw(_COMMENTS) for _ in range(2)]
        module = _Function(0, 0, (start + 1, start + 2), ())
    end = draw(st.sampled_from(["\n", ""]))
    sources = [SourceFile(name, "\n".join(lines) + end) for name, lines in files]
    run = _Run(draw, sources, functions)
    entry = module or next(f for f in functions if f.file == 0)
    outcome = run.call(entry)
    frames = run.frames
    if not whole and draw(st.integers(0, 3)) == 0:
        frames = frames[: draw(st.integers(1, len(frames)))]
        outcome = Outcome.FRAME_LIMIT
    name = "<module>" if module else "f0"
    return Trace(Program(tuple(sources), name, entry.line), tuple(frames), outcome)


def _define(draw: st.DrawFn, file: int, lines: list[str], name: str) -> _Function:
    lines.append(f"def {name}():" + draw(_COMMENTS))
    first = len(lines) + 1
    statements = draw(st.lists(st.sampled_from([*STATEMENTS, "yield a"]), min_size=1, max_size=3))
    if first == 2 and file == 0:  # f0 may be the entry, which is no generator
        statements = [statement.replace("yield", "return") for statement in statements]
    lines += ["    " + statement + draw(_COMMENTS) for statement in statements]
    numbers = range(first, first + len(statements))
    yields = [number for number, statement in zip(numbers, statements, strict=True) if "yield" in statement]
    return _Function(file, first - 1, tuple(numbers), tuple(yields))


def visible(trace: Trace, profile: FormatProfile) -> list[tuple[Any, ...]]:
    """What the wire shows of every frame: event, source, whole locals in order or value."""
    shown: list[tuple[Any, ...]] = []
    indented = is_indented(trace, profile)
    for frame, state in zip(trace.frames, resolve_states(trace.frames), strict=True):
        source = shown_source(frame.source, indented=indented and frame.file == 0)
        if indented and frame.event is Event.CALL and frame.activation == 0:
            source = MAIN
        if state is not None:
            texts = [(name, profile.text_of(slot)) for name, slot in state.items()]
            shown.append((frame.event, source, texts))
        elif frame.value is not None or profile.unwinding_return == "written":
            value = frame.value or Slot("None")
            text = profile.text_of(value)
            if frame.event is Event.EXCEPTION:
                text = profile.text_of_exception(value, frame.message)
            shown.append((frame.event, source, text))
    return shown


def read_back(trace: Trace) -> list[tuple[Any, ...]]:
    """The same of a parsed trace, whose texts are the wire's own."""
    shown: list[tuple[Any, ...]] = []
    for frame, state in zip(trace.frames, resolve_states(trace.frames), strict=True):
        if state is not None:
            shown.append((frame.event, frame.source, [(name, slot.text) for name, slot in state.items()]))
        else:
            shown.append((frame.event, frame.source, (frame.value or Slot("None")).text))
    return shown


@st.composite
def mutated(draw: st.DrawFn, ids: list[int]) -> list[int]:
    """Ids with tokens dropped, doubled, swapped, cut off or put in between."""
    ids = list(ids)
    for _ in range(draw(st.integers(1, 3))):
        if not ids:
            break
        at = draw(st.integers(0, len(ids) - 1))
        specials = [i for i, number in enumerate(ids) if number > 255]
        if draw(_FLAG) and specials:
            at = draw(st.sampled_from(specials))
        match draw(st.sampled_from(["drop", "double", "swap", "cut", "insert"])):
            case "drop":
                del ids[at]
            case "double":
                ids.insert(at, ids[at])
            case "swap":
                other = draw(st.integers(0, len(ids) - 1))
                ids[at], ids[other] = ids[other], ids[at]
            case "cut":
                del ids[at:]
            case "insert":
                ids[at:at] = draw(st.lists(st.integers(0, 255 + len(Special)), max_size=4))
    return ids
