"""A real vLLM behind `ServerPredictor`: the tokens of our own loop, and a server that is killed.

Skipped unless CWM_VLLM_PYTHON is set; docs/model.md says how to set up vLLM on a CPU.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.decoder import Decoder
from cwm_trace.model.decoding import generate
from cwm_trace.model.modeling import CwmForCausalLM
from cwm_trace.model.predict.backends.completions import Patience, ServerError
from cwm_trace.model.predict.backends.server import ServerPredictor
from cwm_trace.predict.protocol import Request
from cwm_trace.records import Decoding, Trace
from cwm_trace.wire import TraceTokens
from tests.model.predict.backends.programs import small_traces
from tests.model.predict.backends.reference import OWN, TRUE, Reference
from tests.model.vllm_server import VllmServer, serve

pytestmark = pytest.mark.vllm
CAP = 40


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    python = os.environ.get("CWM_VLLM_PYTHON")
    if not python:
        pytest.skip("set CWM_VLLM_PYTHON")
    with serve(python, folder, tmp_path_factory.mktemp("vllm") / "server.log") as running:
        yield running


@pytest.fixture(scope="module")
def reference(folder: Path) -> Reference:
    """Our own greedy loop."""
    model = CwmForCausalLM.from_pretrained(folder)
    model.eval()  # type: ignore[no-untyped-call]
    decoder = Decoder(model)
    tokens = TraceTokens.from_tokenizer(AutoTokenizer.from_pretrained(folder))

    def complete(prompt: list[int], limit: int, stops: list[int]) -> list[int]:
        return generate(decoder, [prompt], limit, stop_ids=stops)[0]

    return Reference(complete, tokens, CAP)


def start_of(trace: Trace) -> Trace:
    return replace(trace, frames=trace.frames[:1])


@pytest.mark.parametrize("mode", [*OWN, *TRUE])
@pytest.mark.parametrize("drafts", [True, False])
def test_every_mode_says_what_our_own_loop_does(
    server: VllmServer, reference: Reference, mode: str, drafts: bool
) -> None:
    predictor = ServerPredictor(server.url, decoding=Decoding(max_new_tokens=CAP, drafts=drafts))
    requests = [Request(start_of(trace), mode, trace, max_frames=4) for trace in small_traces()[:30:3]]
    for index, got in predictor.predict_all(requests):
        reference.check(got, requests[index])


def test_log_probabilities_of_drafts_and_answers_agree(server: VllmServer) -> None:
    trace = small_traces()[1]
    request = Request(start_of(trace), "forced", trace)
    one, other = (
        ServerPredictor(
            server.url, decoding=Decoding(max_new_tokens=CAP, logprobs=True, drafts=drafts)
        ).predict(request)
        for drafts in (True, False)
    )
    for drafted, plain in zip(one.frames[1:], other.frames[1:], strict=True):
        assert drafted.logprobs is not None
        assert plain.logprobs is not None
        for field, values in drafted.logprobs.items():
            assert values == pytest.approx(plain.logprobs[field], abs=2e-3)


def test_samples_repeat_by_seed(server: VllmServer) -> None:
    predictor = ServerPredictor(
        server.url, decoding=Decoding(max_new_tokens=CAP, temperature=1.0, top_p=0.95, seed=4)
    )
    requests = [Request(start_of(small_traces()[0]), sample=sample) for sample in range(4)]
    first, again = (dict(predictor.predict_all(requests)) for _ in range(2))
    frames = [(first[at].frames, first[at].guess.problems) for at in range(4)]
    assert frames == [(again[at].frames, again[at].guess.problems) for at in range(4)]
    assert any(one != frames[0] for one in frames[1:])


def test_what_the_server_refuses_is_one_sentence(server: VllmServer) -> None:
    with pytest.raises(CwmTraceError, match="serves no model 'other', only: "):
        ServerPredictor(server.url, "other")
    start = start_of(small_traces()[0])
    with pytest.raises(ServerError, match=r"refused: 400 "):
        ServerPredictor(
            server.url, decoding=Decoding(extra={"structured_outputs": {"grammar": "start: ("}})
        ).predict(Request(start))
    stretched = ServerPredictor(server.url, decoding=Decoding(max_length=5000))
    with pytest.raises(ServerError, match=r"give max_length|refused: 400"):
        stretched.predict(Request(start, max_frames=10_000))


def test_a_server_that_is_killed_in_the_middle(folder: Path, reference: Reference, tmp_path: Path) -> None:
    python = os.environ.get("CWM_VLLM_PYTHON")
    if not python:
        pytest.skip("set CWM_VLLM_PYTHON")
    path = tmp_path / "answers.jsonl"
    requests = [Request(start_of(trace), "forced", trace) for trace in small_traces()[:40]]
    patience = Patience(timeout=20, tries=2, pause=0.1)
    rest: list[tuple[int, Trace]] = []
    with serve(python, folder, tmp_path / "first.log") as server:
        predictor = ServerPredictor(
            server.url, decoding=Decoding(max_new_tokens=CAP), answers=path, concurrency=2, patience=patience
        )
        answers = predictor.predict_all(requests)
        done = len([next(answers) for _ in range(8)])
    with pytest.raises(ServerError, match=r"does not answer, tried 2 times: "):
        rest.extend(answers)
    done += len(rest)
    kept = len(path.read_bytes().splitlines())
    assert kept >= done
    assert done < len(requests)
    with serve(python, folder, tmp_path / "second.log") as server:
        again = ServerPredictor(
            server.url, decoding=Decoding(max_new_tokens=CAP), answers=path, patience=patience
        )
        found = dict(again.predict_all(requests))
    assert len(found) == len(requests)
    assert len(path.read_bytes().splitlines()) > kept
    for index in range(0, len(requests), 10):
        reference.check(found[index], requests[index])
