"""The engine against one token after the other: transformers' `generate`, and the likeliest legal token."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from transformers import CwmForCausalLM as Oracle

from cwm_trace.model.decoder import Decoder
from cwm_trace.predict.protocol import Request
from cwm_trace.records import Event, Outcome, Trace
from tests.model.predict import naive
from tests.model.predict.examples import (
    guessing,
    predictor,
    real_traces,
    start_of,
    taught,
    taught_decoder,
)
from tests.model.predict.naive import END, FRAME, RETURN, cut, generate, is_tie, parsed, prompt, shown

PROGRAMS = 50
NEW = 32


class Ties:
    """Counts texts that may differ because two tokens were about as likely."""

    def __init__(self) -> None:
        self.compared = self.ties = 0

    def equal(self, predicted: object, wanted: object, given: list[int], ids: list[int]) -> None:
        self.compared += 1
        if predicted != wanted:
            assert is_tie(taught_decoder(), given, ids), (predicted, wanted)
            self.ties += 1

    def report(self, what: str) -> None:
        print(f"{what}: {self.compared} texts equal those of transformers, {self.ties} ties among them")
        assert self.ties <= self.compared // 20


@pytest.fixture(scope="module")
def oracle() -> Any:
    model: Any = Oracle(taught().config)
    model.load_state_dict(taught().state_dict())
    return model.eval()


@pytest.fixture(scope="module")
def programs() -> list[Trace]:
    return real_traces()[:PROGRAMS]


def free_predictions(mode: str, starts: list[Trace], max_frames: int = 5) -> list[Trace]:
    """Predictions without the truth, in the order of the histories."""
    engine = predictor(constrained=False, max_new_tokens=NEW, max_frame_tokens=10**6)
    requests = [Request(start, mode, max_frames=max_frames) for start in starts]
    found = dict(engine.predict_all(requests))
    return [found[index] for index in range(len(requests))]


def test_free(oracle: Any, programs: list[Trace]) -> None:
    ties = Ties()
    prompts = [prompt(start_of(real)) for real in programs]
    written = generate(oracle, prompts, [END], NEW)
    for real, given, ids, trace in zip(
        programs, prompts, written, free_predictions("free", [*map(start_of, programs)]), strict=True
    ):
        wanted = parsed(start_of(real), cut(ids, [FRAME], 5))
        problems = [(p.grade, p.frame, p.message) for p in wanted.guess.problems]
        found = [(p.grade, p.frame, p.message) for p in trace.guess.problems]
        outcome = wanted.outcome if wanted.outcome is not Outcome.INCOMPLETE else Outcome.TRUNCATED
        ties.equal((trace.frames, found, trace.outcome), (wanted.frames, problems, outcome), given, ids)
    ties.report("free")


def test_output(oracle: Any, programs: list[Trace]) -> None:
    ties = Ties()
    prompts = [[*prompt(start_of(real)), RETURN] for real in programs]
    written = generate(oracle, prompts, [FRAME, END], NEW - 1)
    for real, given, ids, trace in zip(
        programs, prompts, written, free_predictions("output", [*map(start_of, programs)]), strict=True
    ):
        ties.equal(trace.frames, parsed(start_of(real), [RETURN, *ids]).frames, given, ids)
    ties.report("output")


def before_the_call(real: Trace) -> Trace:
    """A history up to the first inner call, if there is one."""
    inner = [at for at, frame in enumerate(real.frames) if frame.event is Event.CALL and frame.depth > 0]
    return start_of(real, inner[0] + 1 if inner else 1)


def must_return(history: Trace, ids: list[int]) -> bool:
    last = parsed(history, ids).frames[-1]
    return ids[-1:] in ([], [FRAME]) and last.event is Event.CALL and last.depth > 0


def test_step_over(oracle: Any, programs: list[Trace]) -> None:
    ties = Ties()
    starts = [before_the_call(real) for real in programs]
    written: list[list[int]] = [[] for _ in programs]
    forced: list[list[int]] = [[] for _ in programs]  # places of what was given: no budget counts it
    going = list(range(len(programs)))
    for _ in range(3):
        for at in going:
            if must_return(starts[at], written[at]):
                forced[at].append(len(written[at]))
                written[at].append(RETURN)
        prompts = [prompt(starts[at]) + written[at] for at in going]
        for at, ids in zip(going, generate(oracle, prompts, [FRAME, END], NEW), strict=True):
            written[at] += ids
        going = [at for at in going if len(written[at]) < NEW + len(forced[at]) and written[at][-1] != END]
    assert sum(map(len, forced)) > len(programs) // 5
    predictions = free_predictions("step-over-0", starts, max_frames=3)
    for start, ids, places, trace in zip(starts, written, forced, predictions, strict=True):
        end = NEW
        for place in places:
            end += place < end
        wanted = parsed(start, cut(ids[:end], [FRAME], 3))
        ties.equal(trace.frames, wanted.frames, prompt(start), ids)
    ties.report("step-over-0")


@pytest.mark.parametrize("mode", ["forced", "reground-3"])
def test_along_the_truth(mode: str, oracle: Any, programs: list[Trace]) -> None:
    ties = Ties()
    block = 1 if mode == "forced" else 3
    starts = [1 + block * (index % 2) for index in range(len(programs))]
    prompts = [prompt(start_of(real, given)) for real, given in zip(programs, starts, strict=True)]
    written = generate(oracle, prompts, [END] if block > 1 else [FRAME, END], NEW)
    engine = predictor(constrained=False, max_new_tokens=NEW, max_frame_tokens=10**6)
    for real, given, text, ids in zip(programs, starts, prompts, written, strict=True):
        truth = replace(start_of(real, given + block), outcome=Outcome.FRAME_LIMIT)
        trace = engine.predict(Request(start_of(real), mode, truth))
        wanted = parsed(start_of(real, given), cut(ids, [FRAME], block))
        whole = len(wanted.frames)
        frames = [*real.frames[:given], *trace.frames[given:whole]]
        if given == 1:
            ties.equal(shown(trace.frames[:whole]), shown(wanted.frames), text, ids)
        else:  # the frames before are predicted ones
            ties.equal(
                [row[:8] for row in shown(frames)[given:]],
                [row[:8] for row in shown(wanted.frames)[given:]],
                text,
                ids,
            )
        missing = trace.frames[whole : given + block][: len(truth.frames) - whole]
        assert all(frame.source == "" for frame in missing)
    ties.report(mode)


@pytest.mark.parametrize("model", [guessing, taught_decoder])
def test_under_the_grammar_the_likeliest_legal_token_is_taken(model: object) -> None:
    decoder = model()  # type: ignore[operator]
    assert isinstance(decoder, Decoder)
    for real in real_traces()[:8:3]:
        for given in (1, 4):
            history = start_of(real, given)
            ids, sums = naive.write_constrained(decoder, history, 45, 5)
            for drafts in (True, False):
                engine = predictor(
                    decoder, max_new_tokens=45, max_text_tokens=5, logprobs=True, drafts=drafts
                )
                trace = engine.predict(Request(history))
                frames = tuple(replace(frame, logprobs=None) for frame in trace.frames)
                wanted = parsed(history, ids)
                assert frames == wanted.frames
                assert [(p.grade, p.frame) for p in trace.guess.problems] == [
                    (p.grade, p.frame) for p in wanted.guess.problems
                ]
                for frame, total in zip(trace.frames[given:], sums, strict=False):
                    assert frame.logprobs is not None
                    assert sum(map(sum, frame.logprobs.values())) == pytest.approx(total, abs=1e-4)
                assert trace.guess.cost is not None
                assert trace.guess.cost.new_tokens == len(ids)


def test_models_of_transformers_are_decoded_too(oracle: Any) -> None:
    request = Request(start_of(real_traces()[0]), max_frames=3)
    assert predictor(Decoder(oracle)).predict(request).frames == predictor().predict(request).frames
