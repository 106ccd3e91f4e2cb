"""The functions a user calls: record, predict, compare."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from cwm_trace.errors import CwmTraceError
from cwm_trace.files import temporary_folder
from cwm_trace.predict.known_frames import History, Known
from cwm_trace.predict.modes import ALL_MODES, parse_mode
from cwm_trace.predict.protocol import ENDED, Predictor, Request, StepPredictor
from cwm_trace.predict.registry import DEFAULT, check_name, find_predictor
from cwm_trace.progress import OnProgress, say_nothing
from cwm_trace.recording import recording_options
from cwm_trace.records import Decoding, Event, Frame, Limits, Slot, Trace
from cwm_trace.states import diff_states
from cwm_trace.wire.profile import CWM, FormatProfile

if TYPE_CHECKING:
    from cwm_trace.eval.benchmark.results import Results
    from cwm_trace.eval.comparison import Comparison

_T = TypeVar("_T")


class _Default:
    """A default value that can be told from the same value given."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __repr__(self) -> str:
        return repr(self.value)


def _default(value: _T) -> _T:
    return cast(_T, _Default(value))


def trace_execution(
    target: Callable[..., Any] | str | os.PathLike[str],
    /,
    *args: Any,
    call: str | None = _default(None),
    entry: str | None = _default(None),
    limits: Limits = _default(Limits()),
    profile: FormatProfile = _default(CWM),
    include: Sequence[str] = _default(()),
    exclude: Sequence[str] = _default(()),
    expand_objects: int = _default(0),
    redact: Sequence[str] = _default(()),
    capture_output: bool = _default(False),
    **kwargs: Any,
) -> Trace:
    r"""Run something and record it.

    An exception that the program raises ends its trace (outcome `raised`) and goes no further; the traced
    code runs in this process.

    Args:
        target: something to call with `args` and `kwargs`: a Python function, a method, a class. What a
            coroutine function gives is awaited, what a generator function gives is exhausted. Or source text
            (it has a newline, or comes with `call`); or the path of a script, which is run as `__main__` with
            the arguments `args`.
        call: an expression such as `"f(3)"`, evaluated after `target` was set up as a module; the trace is
            that of an argument-less `main` that returns it.
        entry: record a script only from the first call of this function to its return.
        limits: bounds of the recording.
        profile: its `addresses` decides whether values keep heap addresses.
        include: globs of files to record besides the user's own.
        exclude: globs of files not to record.
        expand_objects: how many objects deep state is shown, as `Cart(total=3)`, instead of `repr`.
        redact: names and regular expressions of what no value may show, or `default` for the usual ones.
        capture_output: keep standard output in `Run.output` instead of letting it through.

    Raises:
        CwmTraceError: the target cannot be read, compiled or traced; it is asynchronous, and an event loop is
            running in this thread; it has a parameter of the same name as one of these options.

    >>> trace_execution("def f(x):\n    return x + 1\n", call="f(2)").value.text
    '3'
    """
    from cwm_trace.tracer.calls import record_call
    from cwm_trace.tracer.session import Memory, record_program
    from cwm_trace.tracer.target import load_target

    given = _Given(
        call=call,
        entry=entry,
        limits=limits,
        profile=profile,
        include=include,
        exclude=exclude,
        expand_objects=expand_objects,
        redact=redact,
        capture_output=capture_output,
    )
    call, entry = given["call"], given["entry"]
    options = recording_options(
        given["limits"],
        given["profile"],
        given["include"],
        given["exclude"],
        expand_objects=given["expand_objects"],
        redact=given["redact"],
        capture_output=given["capture_output"],
    )
    sink = Memory()
    if callable(target):
        given.refuse_parameters_of(target)
        _raise_interrupt(record_call(target, args, kwargs, sink, options).error)
        return sink.trace
    if kwargs:
        raise TypeError(f"a program takes no keyword arguments: {', '.join(kwargs)}")
    if not isinstance(target, str | os.PathLike):
        raise CwmTraceError(f"{target!r} cannot be traced: give a function, source text or a path")
    program = load_target(target, call, [str(argument) for argument in args])
    _raise_interrupt(record_program(program, sink, options, entry=entry).error)
    return sink.trace


def predict_execution(
    program: str | os.PathLike[str] | Callable[..., Any] | Trace,
    *,
    entry: str | None = None,
    call: str | None = None,
    model: str | Predictor = DEFAULT,
    mode: str = "free",
    history: Trace | None = None,
    max_frames: int = 10_000,
    sample: int = 0,
    on_frame: Callable[[Frame], None] | None = None,
) -> Trace:
    """Say what a program's variables will be, line by line, without running it.

    Args:
        program: source text (it has a newline, or comes with `call`), the path of a Python file, or a
            function of one, which takes no arguments or comes with `call`; or a `Trace` to continue.
        entry: the argument-less function whose execution is predicted; without it and without `call`, the
            whole script.
        call: an expression such as `"f(3)"`: an argument-less `main` that returns it is predicted.
        model: name of a predictor (see `cwm_trace.predict.registry`), or a predictor. Our engine, if
            it is named, predicts no step that Python cannot take (grammar `flow`).
        mode: name of a mode (see `cwm_trace.predict.modes`).
        history: a real trace of the same program. One that was cut before its end is continued, where the
            mode needs no truth; any other is the truth, and only the entry's CALL is given.
        max_frames: frames after which a prediction that has its own history stops, truncated.
        sample: number of the draw, where the predictor samples.
        on_frame: is called with each predicted frame, as soon as it stands.

    Returns:
        The given frames and the predicted ones.

    Raises:
        CwmTraceError: no such program, entry, model or mode; a history of another program; a prompt that
            does not fit the model.
    """
    from cwm_trace.tracer.target import load_target

    predictor = find_predictor(model, grammar="flow") if isinstance(model, str) else model
    needs_truth = parse_mode(mode).needs_truth or predictor.name == "oracle"
    if isinstance(program, Trace):
        start = program
    elif history is not None and history.frames:
        start = replace(history, frames=history.beginning)
        if history.files[0].text != load_target(program, call).source.text:
            raise CwmTraceError("the history is the trace of another program")
    else:
        start = _prompt(program, entry, call)
    is_truth = history is not None and (needs_truth or history.outcome in ENDED)
    truth = history if is_truth else None
    known = start if is_truth else history or start
    return predictor.predict(Request(known, mode, truth, max_frames, sample, on_frame))


def predict_step(
    history: Trace,
    *,
    model: str | Predictor = DEFAULT,
    event: Event | str | None = None,
    state: Mapping[str, str] | None = None,
) -> Frame | None:
    r"""Say what comes next after any history, one frame.

    Ask "what if" by an edited history: `edit_state` gives the last frame of a trace other variables.

    Args:
        history: the program, and the frames before.
        model: name of a predictor that can go step by step, or one.
        event: of the frame, if that is given.
        state: texts of the frame's variables, if they are given along with a CALL or LINE event.

    Returns:
        The frame, its `changed` against the last one of its activation; None if the trace ends.

    Raises:
        CwmTraceError: this predictor goes no single steps, or the history does not fit.

    >>> trace = trace_execution("def f(n):\n    n += 1\n    return n\n", call="f(2)")
    >>> predict_step(replace(trace, frames=trace.frames[:4]), model="copy").source
    '    return n'
    """
    predictor = find_predictor(model, grammar="flow") if isinstance(model, str) else model
    if not isinstance(predictor, StepPredictor):
        raise CwmTraceError(f"{predictor.name} predicts whole executions only, no single steps")
    past = History(history, history.frames)
    slots = None if state is None else {name: Slot(text) for name, text in state.items()}
    prediction = predictor.step(past, Known(None if event is None else Event(event), slots))
    if prediction is None:
        return None
    frame = prediction.frame
    if prediction.state is None:
        return frame
    return replace(frame, changed=diff_states(past.states.state(frame.activation), prediction.state))


def compare_execution(real: Trace, predicted: Trace, *, equality: str = "normal") -> Comparison:
    """Compare a prediction with the real execution, frame by frame in their order.

    Args:
        real: the recorded trace.
        predicted: the prediction.
        equality: `exact`, `normal` or `typed`; see `cwm_trace.eval.comparison.equality`.

    Raises:
        CwmTraceError: different programs, or no such equality.
    """
    from cwm_trace.eval.comparison import compare
    from cwm_trace.eval.comparison.equality import Equality

    try:
        level = Equality(equality)
    except ValueError:
        known = ", ".join(member.value for member in Equality)
        raise CwmTraceError(f"there is no equality {equality!r}: choose one of {known}") from None
    return compare(real, predicted, level)


def evaluate(
    model: str | Predictor | Sequence[str | Predictor],
    tasks: str | Sequence[str],
    *,
    modes: str | Sequence[str] = "free",
    limit: int | None = None,
    ids: Sequence[str] = (),
    shuffle_seed: int | None = None,
    samples: int = 1,
    batch_size: int = 8,
    workers: int = 1,
    seed: int = 0,
    decoding: Decoding | Sequence[Decoding] = Decoding(),
    model_arguments: Mapping[str, str] | None = None,
    max_frames: int = 1_000,
    execute_answers: bool = False,
    output: str | os.PathLike[str] | None = None,
    resume: bool = False,
    cache: str | os.PathLike[str] | None = None,
    baselines: bool = True,
    report: OnProgress = say_nothing,
) -> Results:
    """Predict the programs of tasks, compare with what really happens, and summarise.

    Args:
        model: predictors, or names of them.
        tasks: names such as `smoke` or `cruxeval:PATH`; `cwm-trace bench ls` lists them.
        modes: names of modes, or `all`. Each is a run of its own; they are never averaged.
        limit: programs of each task at the most, the first ones; None: all.
        ids: only the programs with these ids.
        shuffle_seed: shuffle the programs before the limit.
        samples: predictions of each program by each model, for pass@k; it takes a temperature.
        batch_size: programs that a predictor is given at a time.
        workers: real executions at a time, of code that runs in processes of its own.
        seed: of resampling.
        decoding: how models that are named choose their tokens; each of them in each of several ways.
        model_arguments: further settings of models that are named; see `cwm_trace.predict.registry`.
        max_frames: frames after which a prediction that has its own history stops, truncated.
        execute_answers: run answers that are no literals, in the sandbox.
        output: folder of the logs; None: one that is deleted in the end.
        resume: go on with the logs that are there.
        cache: folder of responses to use again; None: none are kept.
        baselines: run the baselines as well, and report skill over copying.
        report: is told of every prediction that is done.

    Raises:
        CwmTraceError: no such model, task or mode; a log of another run; a predictor that cannot go on. What
            was logged until then is kept.
    """
    from cwm_trace.eval.benchmark.results import Results, require_numpy, require_programs
    from cwm_trace.eval.benchmark.runner import Settings, run_bench
    from cwm_trace.eval.benchmark.tasks import find_tasks
    from cwm_trace.predict.baselines import BASELINES

    require_numpy()
    if seed < 0:
        raise CwmTraceError(f"the seed is {seed}: it starts at 0")
    names = [model] if isinstance(model, str) or not isinstance(model, Sequence) else list(model)
    if baselines:
        names += [name for name in BASELINES if name not in names]
    if not names:
        raise CwmTraceError("there is no model to run: name one, such as --model copy")
    chosen = [modes] if isinstance(modes, str) else list(modes)
    if "all" in chosen:
        chosen = list(ALL_MODES)
    for mode in chosen:
        parse_mode(mode)
    for name in names:
        if isinstance(name, str):
            check_name(name)
    if samples < 1 or workers < 1:
        raise CwmTraceError(f"samples is {samples} and workers is {workers}: both start at 1")
    ways = [decoding] if isinstance(decoding, Decoding) else list(decoding)
    if (
        samples > 1
        and not all(way.temperature for way in ways)
        and any(isinstance(n, str) and n not in BASELINES for n in names)
    ):
        raise CwmTraceError("every sample would be the same: give a temperature above 0")
    found = find_tasks(
        [tasks] if isinstance(tasks, str) else tasks, limit=limit, ids=ids, shuffle_seed=shuffle_seed
    )
    predictors: list[Predictor] = []
    for name in names:
        if not isinstance(name, str):
            predictors.append(name)
        elif name in BASELINES:
            predictors.append(find_predictor(name))
        else:
            predictors += [find_predictor(name, way, arguments=model_arguments or {}) for way in ways]
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder()) if output is None else output
        settings = Settings(
            batch_size,
            max_frames,
            seed,
            limit,
            samples,
            tuple(ids),
            shuffle_seed,
            workers,
            execute_answers,
            resume,
            None if cache is None else Path(cache),
        )
        runs = run_bench(found, predictors, chosen, Path(folder), settings, report)
        require_programs(runs)
        return Results(tuple(runs), seed)


class _Given(dict[str, Any]):
    """The options of `trace_execution`, and which of them were given."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            {name: value.value if isinstance(value, _Default) else value for name, value in options.items()}
        )
        self._names = [name for name, value in options.items() if not isinstance(value, _Default)]
        if not isinstance(self["limits"], Limits):
            raise CwmTraceError(
                f"limits is {self['limits']!r}: give Limits(…), or bind a function's own first"
            )

    def refuse_parameters_of(self, function: Callable[..., Any]) -> None:
        """Raise where it is not clear whether an option was meant, or a parameter of the function."""
        name = getattr(function, "__qualname__", type(function).__qualname__)
        try:
            parameters = set(inspect.signature(function).parameters)
        except (TypeError, ValueError):
            parameters = set()
        if isinstance(function, functools.partial):
            parameters -= set(function.keywords)
        for option in self._names:
            if option in parameters:
                raise CwmTraceError(
                    f"{name} has a parameter {option!r}, and so has trace_execution:"
                    f" bind it before, with functools.partial({name}, {option}=…)"
                )
            if option in ("call", "entry") and self[option] is not None:
                raise CwmTraceError(f"{option} goes with source text or a path, not with a function: {name}")


def _prompt(
    program: str | os.PathLike[str] | Callable[..., Any], entry: str | None, call: str | None
) -> Trace:
    """The program with the CALL of its entry already made."""
    from cwm_trace.tracer.called import check_call
    from cwm_trace.tracer.program import find_function
    from cwm_trace.tracer.target import load_target

    loaded = load_target(program, call)
    name, lines = loaded.source.name, loaded.source.text.split("\n")
    if call is not None:
        text = "\n".join(lines[: loaded.program.entry_line - 1])
        check_call(text, call, "the program" if name.startswith("<") else name)
    if callable(program) and not call:
        entry = entry or program.__qualname__
    started = loaded.program if entry is None else loaded.enter(entry)
    if entry is not None and find_function(loaded.source.text, entry, name).needs_arguments:
        raise CwmTraceError(f"{entry} takes arguments: give a call such as '{entry}(…)', or a history")
    line = started.entry_line
    seed = Frame(Event.CALL, line, lines[line - 1] if line else "")
    return Trace(started, (seed,))


def _raise_interrupt(error: BaseException | None) -> None:
    if isinstance(error, KeyboardInterrupt):
        raise error
