"""How a session begins: a program is recorded now, in the sandbox or as itself, or a trace file is read."""

from __future__ import annotations

from dataclasses import replace

from cwm_trace.debug.console import Console
from cwm_trace.debug.running import Opening, as_recorded, read_program, record, replay_what_if
from cwm_trace.debug.session import Session
from cwm_trace.errors import CwmTraceError
from cwm_trace.predict.baselines import BASELINES
from cwm_trace.predict.protocol import Predictor
from cwm_trace.predict.registry import DEFAULT, check_name, find_predictor, has_mini_packages
from cwm_trace.records import Decoding, Trace
from cwm_trace.storage import read_trace
from cwm_trace.tracer.program import read_source


def open_console(opening: Opening) -> Console:
    """The session that is asked for.

    Raises:
        CwmTraceError: no such program, trace or model; a trace of another program; no frame at all.
    """
    if not (opening.file or opening.source or opening.trace):
        raise CwmTraceError("there is nothing to debug: give a FILE or a trace")
    if opening.predicted:
        check_name(_model_of(opening))  # before anything is run
    if opening.trace:
        real: Trace | None = read_trace(opening.trace)
        assert real is not None
        if not real.frames:
            raise CwmTraceError(f"{opening.trace} has no frames to step through")
        if opening.file:
            _require_same_program(real, opening)
    else:
        real = record(opening) if opening.real else None
    predictor = _open_model(opening) if opening.predicted else None
    if real is not None and real.guess.mode:
        raise CwmTraceError(f"{opening.trace} is a prediction: give the trace of a real execution")
    program = read_program(opening) if real is None else None
    console = Console(
        Session(real, program, predictor), find_model=lambda name: _open_model(replace(opening, model=name))
    )
    if opening.sandbox and not (opening.trace and not opening.file):
        runnable = as_recorded(opening, real)
        console.replay = lambda fork: replay_what_if(runnable, fork)
        console.replays_unasked = not opening.trace and opening.real
    return console


def _open_model(opening: Opening) -> Predictor:
    """The predictor that is asked for, with its log-probabilities where it has some."""
    name = _model_of(opening)
    if name in BASELINES:
        return find_predictor(name)
    decoding = Decoding(
        temperature=opening.temperature, seed=opening.seed, logprobs=not name.startswith("chat:")
    )
    return find_predictor(name, decoding, grammar="flow")


def _model_of(opening: Opening) -> str:
    """The name of who predicts."""
    return opening.model or (DEFAULT if has_mini_packages() else "flow-copy")


def _require_same_program(trace: Trace, opening: Opening) -> None:
    text = read_source(opening.file)
    if not any(_same_text(file.text, text) for file in trace.files):
        raise CwmTraceError(
            f"{opening.trace} is the trace of another program than {opening.file}, or of another version"
        )


def _same_text(recorded: str, text: str) -> bool:
    """Whether a file was recorded from this text; of a call, with the entry that calls it behind it."""
    return recorded == text or recorded.startswith(text.rstrip("\n") + "\n")
