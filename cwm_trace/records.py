"""The records everything else speaks in: a `Trace` is a program and the `Frame`s of one execution of it.

Records hold what happened, never how it is written down: the `..` of the wire form and its resets are made
in `cwm_trace.wire`, the JSON of a trace file in `cwm_trace.storage`.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple, cast

from annotated_types import Ge
from typing_extensions import NotRequired, TypedDict

from cwm_trace.display import Shown

UNCHANGED = ".."
"""The wire's "as in the frame before". As the text of a `Slot`: copied, in a prediction, from nothing."""


class Event(str, enum.Enum):
    """What `sys.settrace` reports, and the end of the trace; the wire has one token for each."""

    CALL = "call"
    LINE = "line"
    RETURN = "return"
    EXCEPTION = "exception"
    END = "end"  # only in forced predictions: "nothing comes after the true history"


class Outcome(str, enum.Enum):
    """How an execution, or the recording of it, ended."""

    RETURNED = "returned"
    RAISED = "raised"
    EXITED = "exited"  # SystemExit
    KILLED = "killed"  # by a signal, Ctrl-C included
    TIMED_OUT = "timed-out"
    FRAME_LIMIT = "frame-limit"
    BYTE_LIMIT = "byte-limit"
    TRUNCATED = "truncated"  # a prediction reached its budget of tokens or frames
    INCOMPLETE = "incomplete"  # no end was recorded: a crash, a cut file


@dataclass(frozen=True, slots=True)
class Slot:
    """One value as text.

    Args:
        text: `repr` of the value; `..` in a prediction that copied from nothing.
        type: name of the runtime type, with its module unless that is `builtins`; empty when unknown.
        size: elements of a container, characters of a string, bits of an int; None for the rest.
        clipped: characters that a value limit cut off the end of `text`.
    """

    text: str
    type: str = ""
    size: int | None = None
    clipped: int = 0


State = Mapping[str, Slot]
"""Every local variable that is bound, in the order in which its name was first bound in the activation."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One event of an execution.

    Args:
        event: what happened.
        line: 1-based line in its file; 0 where there is none (a predicted source that the program lacks).
        source: that physical line, without its line ending.
        activation: number of the function activation, in the order of their first calls. A generator keeps
            its number across resumes.
        depth: recorded activations below this one on the stack; the entry has 0.
        thread: number of the thread, in the order of their first events.
        file: index into the files of the program.
        changed: variables that differ from the last frame of the same activation; None: no longer bound.
            Empty for RETURN and EXCEPTION, which show no state.
        value: what is returned or raised. None for a RETURN by which an exception leaves the activation.
        message: `str` of the exception that an EXCEPTION raises.
        raw: the two texts of a predicted frame (locals and source, or source and value) where rendering
            the record again would not reproduce them byte for byte.
        logprobs: of a predicted frame, if they were asked for: natural logarithms of the probabilities of its
            tokens, by field: `event`, `locals`, `source`, `value`. Tokens that were given are left out.
    """

    event: Event
    line: int
    source: str
    activation: int = 0
    depth: int = 0
    thread: int = 0
    file: int = 0
    changed: Mapping[str, Slot | None] = field(default_factory=dict)
    value: Slot | None = None
    message: str | None = None
    raw: tuple[str, str] | None = None
    logprobs: Mapping[str, tuple[float, ...]] | None = None


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A source file of the traced program: its name as the program was given it, and its text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Program:
    """What is executed: by Python, or in a predictor's mind.

    Args:
        files: source files; the first one holds the entry.
        entry: name of the function that the trace starts in, `<module>` for a script.
        entry_line: line of `files[0]` on which the entry is defined; 0 for a script.
        arguments: `sys.argv[1:]` of a script; empty otherwise.
    """

    files: tuple[SourceFile, ...] = ()
    entry: str = ""
    entry_line: int = 0
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a recording; None: unbounded.

    Args:
        max_frames: frames recorded before recording stops; the program goes on.
        max_bytes: bytes of recorded text before recording stops; the program goes on.
        max_value_chars: characters of one value's text.
        max_depth: activations deeper than this are stepped over (the entry has depth 0).
        timeout: seconds after which the program is interrupted.
    """

    max_frames: int | None = None
    max_bytes: int | None = None
    max_value_chars: int | None = None
    max_depth: int | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Capture:
    """How values were turned into text, where that is not `repr`.

    Args:
        expand_objects: how many objects deep the state of an object is shown in the place of its `repr`.
        redacted: what was replaced by `<redacted>`: names, `default`, `<pattern>` for a regular expression.
    """

    expand_objects: int = 0
    redacted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """A place where a predicted text is not a valid trace.

    Args:
        grade: which of the four validity grades it breaks: `tokens`, `locals`, `stack`, `source`; or
            `truncated`, a last frame that was cut, which is not invalid.
        frame: index of the frame it belongs to.
        position: where it starts, in ids or in characters, as the parser was given them.
        message: what is wrong.
    """

    grade: str
    frame: int
    position: int
    message: str


GRAMMARS = ("none", "frame", "flow")
"""Levels of constraint on what a model may say: nothing, every frame is valid, every step is possible."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """Who predicts and how: everything that changes an answer. Predictions are comparable where it is equal.

    It is what a user asks for (then `predictor`, `model`, `fingerprint` and the profile are empty, and the
    predictor fills them in), what stands in traces and logs, and what a cached answer is found by.

    Args:
        predictor: kind of the predictor: a baseline's name, `local`, `transformers`, `server`, `chat`.
        model: checkpoint folder, hub id, or URL and served name; empty for a predictor without a model.
        fingerprint: digest of the model's weights, configuration and tokenizer, or of what its server says of
            it; empty without a model.
        engine: what computes: `torch` or `numpy`, of our own engine; empty: the predictor decides.
        grammar: `none`: anything goes; `frame`: every frame is kept valid; `flow`: and is a step that Python
            can take; empty: what the predictor does of its own accord.
        temperature: 0 is greedy.
        top_p: probability mass to draw from, in (0, 1].
        seed: of the draws.
        sample: number of the draw among those of one request.
        dtype: of the weights, such as `float32`; empty: that of the files.
        as_type: `cwm`: the folder is taken for a CWM, whatever its `config.json` says; empty: it says so.
        max_length: tokens that the model reads; None: what it says of itself.
        max_new_tokens: tokens after which a rollout is cut; None: what the length leaves.
        max_frame_tokens: tokens of one frame after which a rollout is cut; None: never.
        max_text_tokens: tokens after which the grammar ends a name or a value; None: never.
        logprobs: keep log-probabilities of predicted tokens in the frames.
        drafts: let cheap guesses, and the truth where it is at hand, be verified many tokens at a time.
        extra: further fields of every request to a server.
        profile: name of the format profile that frames are written in.
        profile_hash: of its fields.
    """

    predictor: str = ""
    model: str = ""
    fingerprint: str = ""
    engine: str = ""
    grammar: str = ""
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    sample: int = 0
    dtype: str = ""
    as_type: str = ""
    max_length: int | None = None
    max_new_tokens: int | None = None
    max_frame_tokens: int | None = None
    max_text_tokens: int | None = None
    logprobs: bool = False
    drafts: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)
    profile: str = "cwm"
    profile_hash: str = ""

    @property
    def constrained(self) -> bool:
        """Whether a grammar keeps frames valid."""
        return self.grammar not in ("", "none")

    @property
    def digest(self) -> str:
        """Sixteen hex digits that are equal where every field is."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a prediction took.

    Args:
        prompt_tokens: tokens that were given.
        new_tokens: tokens that were predicted, drafts that were rejected not counted.
        free_tokens: those of `new_tokens` that no forward pass was needed for: only one was legal.
        forward_passes: passes through the model, a prompt's included.
        seconds: of wall-clock time.
        attention: whose attention ran: `CUDA kernels`, `PyTorch`, `NumPy`, or what transformers calls it;
            empty: a server's, or nobody's.
    """

    prompt_tokens: int = 0
    new_tokens: int = 0
    free_tokens: int = 0
    forward_passes: int = 0
    seconds: float = 0.0
    attention: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """What only a run knows; of a prediction, nothing.

    Args:
        python: version of the interpreter, such as `3.11.7`.
        limits: the bounds it ran under.
        exit_code: what the program gave its parent; None if it was not a whole program.
        output: standard output, if it was captured.
        skipped: activations stepped over because of `limits.max_depth`.
        not_recorded: what a recording of this kind cannot see.
        recorder: which recorder ran, `c` or `python`; empty where nobody has said it.
    """

    python: str = ""
    limits: Limits = Limits()
    exit_code: int | None = None
    output: str | None = None
    skipped: int = 0
    not_recorded: tuple[str, ...] = ()
    recorder: str = ""


@dataclass(frozen=True, slots=True)
class Guess:
    """What only a guess knows; of a run, nothing.

    Args:
        mode: prediction mode (`free`, `forced`, …).
        given: leading frames that it was handed and that count nowhere.
        decoding: how it was made.
        problems: places where it is not valid.
        cost: what it took, if that was measured.
    """

    mode: str = ""
    given: int = 0
    decoding: Decoding | None = None
    problems: tuple[Problem, ...] = ()
    cost: Cost | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Trace(Shown):
    """A program and the frames of one real or predicted execution.

    Args:
        program: what is executed.
        frames: what happened, in order.
        outcome: how it ended.
        profile: name of the format profile it was recorded or predicted under.
        capture: what was asked of its values.
        warnings: what a reader must know about it, a sentence each.
        run: what only a run knows.
        guess: what only a guess knows.
    """

    program: Program
    frames: tuple[Frame, ...] = ()
    outcome: Outcome = Outcome.INCOMPLETE
    profile: str = "cwm"
    capture: Capture = Capture()
    warnings: tuple[str, ...] = ()
    run: Run = Run()
    guess: Guess = Guess()

    def with_frames_later(self, make: Callable[[], tuple[Frame, ...]]) -> Trace:
        """The same with other frames, which are made when somebody first asks for them: many take a while.

        Args:
            make: makes them; it is called once.
        """
        return dataclasses.replace(self, frames=cast(Any, _Later(make)))

    def __repr__(self) -> str:
        """Short: a program that is recorded may hold traces, which are then shown at every line."""
        return f"<Trace of {self.entry}: {len(self.frames)} frames ({self.outcome.value})>"

    @property
    def files(self) -> tuple[SourceFile, ...]:
        """Source files of the program."""
        return self.program.files

    @property
    def entry(self) -> str:
        """Where the program is entered."""
        return self.program.entry

    @property
    def entry_line(self) -> int:
        """The line of that."""
        return self.program.entry_line

    @property
    def value(self) -> Slot | None:
        """What the entry returned; None if it did not return, or an exception left it."""
        at = self.entry_return
        return None if at is None else self.frames[at].value

    @property
    def beginning(self) -> tuple[Frame, ...]:
        """The frames up to the entry's CALL: what there is before anything is predicted.

        That is the first frame, unless another thread, or the `__init__` of a package, ran before.
        """
        first = next((at for at, frame in enumerate(self.frames) if not frame.thread), 0)
        return self.frames[: first + 1]

    @property
    def entry_return(self) -> int | None:
        """The index of the RETURN that leaves the entry, of a generator the last one; None if there is none.

        What the first thread runs after it (exit handlers) is no part of the entry.
        """
        entry = next((frame.activation for frame in self.frames if not frame.thread), None)
        for at in range(len(self.frames) - 1, -1, -1):
            frame = self.frames[at]
            if frame.activation == entry and frame.event is not Event.END:
                return at if frame.event is Event.RETURN else None
        return None


class _Later(NamedTuple):
    """What a trace holds until its frames are asked for."""

    make: Callable[[], tuple[Frame, ...]]


_frames: Any = vars(Trace)["frames"]
"""Where a trace has them: its slot."""


def _made_frames(trace: Trace) -> tuple[Frame, ...]:
    held = _frames.__get__(trace)
    if type(held) is _Later:
        held = held.make()
        _frames.__set__(trace, held)
    frames: tuple[Frame, ...] = held
    return frames


setattr(Trace, "frames", property(_made_frames, _frames.__set__))  # noqa: B010  # the type stays as it is


_Count = Annotated[int, Ge(0)]


class SlotFields(TypedDict):
    """A `Slot` as plain data; what is left out has its default."""

    text: str
    type: NotRequired[str]
    size: NotRequired[_Count]
    clipped: NotRequired[_Count]


class FrameFields(TypedDict):
    """A `Frame` as plain data, as the tracer emits it and a trace file holds it.

    What is left out has its default; `source` is left out where it is the line of the file.
    """

    event: Literal["call", "line", "return", "exception", "end"]
    line: _Count
    activation: _Count
    depth: _Count
    thread: NotRequired[_Count]
    file: NotRequired[_Count]
    source: NotRequired[str]
    changed: NotRequired[dict[str, SlotFields | None]]
    value: NotRequired[SlotFields]
    message: NotRequired[str]
    raw: NotRequired[tuple[str, str]]
    logprobs: NotRequired[dict[str, tuple[float, ...]]]
