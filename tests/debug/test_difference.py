"""A prediction beside a truth that has more threads than a model is shown."""

from __future__ import annotations

from dataclasses import replace

from cwm_trace import trace_execution
from cwm_trace.debug.difference import aligned, first_difference
from cwm_trace.debug.session import Session
from cwm_trace.predict.baselines import OraclePredictor
from tests.debug.programs import Scripted

THREAD = """
import threading

def work(n):
    return n

worker = threading.Thread(target=work, args=(3,))
worker.start()
worker.join()
last = 1
"""


def test_frames_of_other_threads_are_passed_over() -> None:
    real = trace_execution(THREAD)
    own = [at for at, frame in enumerate(real.frames) if not frame.thread]
    assert 0 < len(own) < len(real.frames)
    session = Session(real, predictor=Scripted(replace(real, frames=tuple(real.frames[at] for at in own))))
    predicted, truth = session.tracks["predicted"].timeline, session.tracks["real"].timeline
    while predicted.grow():
        pass
    assert [aligned(predicted, truth, index) for index in range(len(predicted))] == own
    assert first_difference(predicted, truth) is None


def test_who_is_shown_all_threads_is_compared_with_all() -> None:
    real = trace_execution(THREAD)
    session = Session(real, predictor=OraclePredictor())
    predicted, truth = session.tracks["predicted"].timeline, session.tracks["real"].timeline
    while predicted.grow():
        pass
    assert [aligned(predicted, truth, index) for index in range(len(predicted))] == [*range(len(real.frames))]
    assert first_difference(predicted, truth) is None
