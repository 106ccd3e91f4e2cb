"""Single statements run from a given state, many of them in one sandboxed child."""

from __future__ import annotations

import ast
import builtins
import io
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from cwm_trace.records import Slot
from cwm_trace.tracer.aliases import Watched
from cwm_trace.tracer.values import Describer, TimeLimitReached, safe_str


@dataclass(frozen=True, slots=True)
class Step:
    """A statement and the state that it starts from.

    Args:
        code: one or more statements, or with `is_expression` an expression.
        state: variables as literals: `ast.literal_eval` reads them, nothing of them is run.
        is_expression: give back the value of `code`.
        builtins: all that `code` may name besides: neither the definitions nor other builtins. None: both.
        seconds: after which the process is ended, wherever it is; None: at the bounds of all steps together.
        from_text: only an outcome that follows from the texts of the state counts: none from a set, whose
            order can show, and none in which an object changes that may have another name.
    """

    code: str
    state: Mapping[str, str] = field(default_factory=dict)
    is_expression: bool = False
    builtins: tuple[str, ...] | None = None
    seconds: float | None = None
    from_text: bool = False


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a statement did.

    Args:
        ended: `returned`; `raised`; `not-literal`: a text of the state is none; `refused`: it cannot be
            compiled; `frame-limit`: it ran too many lines; `hidden`: what comes of it does not follow from
            the texts (see `Step.from_text`); `killed` and `timed-out`: it ended its process, or had to be
            ended.
        state: the variables of `Step.state` that are still bound, and those that the code binds.
        value: of an expression.
        truth: `bool` of that value; None if even that raises.
        error: the exception that it raised.
        message: its `str`, or why it was refused.
    """

    ended: str
    state: Mapping[str, Slot] = field(default_factory=dict)
    value: Slot | None = None
    truth: bool | None = None
    error: Slot | None = None
    message: str = ""


def answer_steps(job: Mapping[str, Any], say: Callable[..., None]) -> None:
    """In the child: take every step by itself, on the definitions of `job["source"]` made anew.

    Says `["begin", number]` before a step and `["step", number, fields]` after it, so that a step that ends
    the process is known.
    """
    describer = Describer(max_chars=job["limits"]["max_value_chars"], keep_addresses=job["keep_addresses"])
    definitions = compile(job["source"], "<source>", "exec", dont_inherit=True)
    for number, step in job["steps"]:
        say("begin", number)
        with redirect_stdout(io.StringIO()):
            answer = _answer(definitions, Step(**step), describer, job["limits"]["max_frames"])
        say("step", number, answer)


def _answer(definitions: Any, step: Step, describer: Describer, max_lines: int | None) -> dict[str, Any]:
    try:
        state = {name: ast.literal_eval(text) for name, text in step.state.items()}
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return {"ended": "not-literal"}
    watched = Watched(state.values()) if step.from_text else None
    if watched is not None and watched.holds_set:
        return {"ended": "hidden"}
    try:
        mode = "eval" if step.is_expression else "exec"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as those about `is` with a literal
            code = compile(step.code, "<step>", mode, dont_inherit=True)
            tree = ast.parse(step.code, mode=mode)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        return {"ended": "refused", "message": safe_str(error)}
    module: dict[str, Any] = {"__name__": "source", "__builtins__": builtins}
    if step.builtins is not None:
        module = {"__builtins__": {name: getattr(builtins, name) for name in step.builtins}}
    answer: dict[str, Any] = {"ended": "returned"}
    namespace = {**module, **state}
    try:
        with _Budget(max_lines), _alarm(step.seconds):
            if step.builtins is None:
                exec(definitions, module)
                namespace = {**module, **state}
            value = eval(code, namespace)
        if step.is_expression:
            answer["value"] = describer.describe(value)
            answer["truth"] = _truth(value)
    except TimeLimitReached:
        return {"ended": "frame-limit"}
    except BaseException as error:
        if watched is not None and not isinstance(error, Exception):
            return {"ended": "hidden"}
        answer = {"ended": "raised", "error": describer.describe(error), "message": safe_str(error)}
        if watched is None:
            return answer
    if watched is not None and watched.may_be_shared():
        return {"ended": "hidden"}
    bound = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} | set(_other_bindings(tree))
    names = [*state, *(name for name in namespace if name in bound and name not in state)]
    answer["state"] = {
        name: describer.describe(namespace[name])
        for name in names
        if name in namespace and (name in state or namespace[name] is not module.get(name, _MISSING))
    }
    return answer


@contextmanager
def _alarm(seconds: float | None) -> Iterator[None]:
    """End this process after so many seconds, even inside of C code, which sees no limit of lines."""
    if seconds is None:
        yield
        return
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


_MISSING = object()
_INSTRUCTIONS_OF_A_LINE = 50


def _other_bindings(tree: ast.AST) -> list[str]:
    """Names that statements bind without an `ast.Name`: definitions, imports, patterns."""
    names = []
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.append(name)
            case ast.alias(name=name, asname=asname):
                names.append(asname or name.partition(".")[0])
            case (
                ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name))
            ):
                names.append(name)
    return names


def _truth(value: Any) -> bool | None:
    try:
        return bool(value)
    except BaseException:
        return None


class _Budget:
    """Bounds the lines that run, in whatever Python code they stand.

    Instructions are counted too: `while True: pass` on one line is a single line event to CPython.
    """

    def __init__(self, lines: int | None) -> None:
        self._lines = sys.maxsize if lines is None else lines
        self._instructions = self._lines * _INSTRUCTIONS_OF_A_LINE

    def __enter__(self) -> None:
        sys.settrace(self._on_event)

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _on_event(self, frame: FrameType, event: str, _arg: Any) -> Any:
        frame.f_trace_opcodes = True
        if event == "line":
            self._lines -= 1
        elif event == "opcode":
            self._instructions -= 1
        if self._lines < 0 or self._instructions < 0:
            raise TimeLimitReached("too many lines")
        return self._on_event
