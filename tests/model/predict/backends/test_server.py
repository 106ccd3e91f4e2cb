"""`ServerPredictor` on a server in this process: a parrot, a small model, and every way to go wrong."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.decoder import Decoder
from cwm_trace.model.decoding import generate
from cwm_trace.model.modeling import CwmForCausalLM
from cwm_trace.model.predict.backends.completions import Client, Patience, ServerError
from cwm_trace.model.predict.backends.continuer import Ask, Continuation
from cwm_trace.model.predict.backends.server import ServerContinuer, ServerPredictor, find_model
from cwm_trace.predict.protocol import Request, predict_all
from cwm_trace.records import Decoding, Outcome, Trace
from cwm_trace.wire import Special, TraceTokens, render_prompt, render_trace
from tests.model.predict.backends.backends import Parrot, sorted_out
from tests.model.predict.backends.fake_server import (
    FakeServer,
    Fields,
    half,
    half_json,
    listening,
    slow,
    status,
)
from tests.model.predict.backends.programs import small_traces
from tests.model.predict.backends.reference import OWN, TRUE, Reference

QUICK = Patience(timeout=10, tries=3, pause=0.001)
MODES = [*OWN, *TRUE]
CAP = 60


def start_of(trace: Trace) -> Trace:
    return replace(trace, frames=trace.frames[:1])


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture
def parrot(tokens: TraceTokens, tokenizer: Any) -> Parrot:
    texts = [render_trace(trace, tokens=tokens) for trace in small_traces()[:12]]
    return Parrot(texts, 0.03, vocabulary=len(tokenizer))


@pytest.fixture
def server(parrot: Parrot, tokens: TraceTokens, tokenizer: Any) -> Iterator[FakeServer]:
    with listening(FakeServer(parrot, 900, len(tokenizer), tokens.ids[Special.END])) as running:
        yield running


def predictor(server: FakeServer, tokenizer: Any, **options: Any) -> ServerPredictor:
    given = {"max_new_tokens": CAP, "patience": QUICK, **options}
    return ServerPredictor(server.url, tokenizer=tokenizer, **sorted_out(given))


def complete(parrot: Parrot) -> Any:
    def answer(prompt: list[int], limit: int, stops: list[int]) -> list[int]:
        return [*parrot.continue_all([Ask(prompt, limit, frozenset(stops))])[0].ids]

    return answer


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_says_what_generating_frame_by_frame_does(
    server: FakeServer, parrot: Parrot, tokens: TraceTokens, tokenizer: Any, mode: str
) -> None:
    drafts, naive = (predictor(server, tokenizer, drafts=drafts) for drafts in (True, False))
    reference = Reference(complete(parrot), tokens, CAP)
    for trace in small_traces()[:12]:
        request = Request(start_of(trace), mode, trace, max_frames=4)
        before = len(server.requests)
        got = drafts.predict(request)
        judged = ["prompt_logprobs" in fields for fields in server.requests[before:]]
        assert sum(judged) == (mode not in ("output", "step-over", "step-over-0"))
        reference.check(got, request)
        plain = naive.predict(request)
        assert (plain.frames, plain.outcome, plain.guess.problems) == (
            got.frames,
            got.outcome,
            got.guess.problems,
        )


@pytest.mark.parametrize("mode", MODES)
def test_a_small_model_says_the_same_behind_a_server(
    folder: Path, tokens: TraceTokens, tokenizer: Any, mode: str
) -> None:
    """Greedy tokens of our own loop, drafts off: every token comes through the server."""
    model = CwmForCausalLM.from_pretrained(folder)
    model.eval()  # type: ignore[no-untyped-call]
    served = Served(Decoder(model))
    with listening(FakeServer(served, 1024, len(tokenizer), tokens.ids[Special.END])) as server:
        one = predictor(server, tokenizer, drafts=False, max_new_tokens=25)
        reference = Reference(served.complete, tokens, 25)
        for trace in small_traces()[:4]:
            request = Request(start_of(trace), mode, trace, max_frames=3)
            reference.check(one.predict(request), request)


class Served:
    """A small model as a server has it."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder

    def complete(self, prompt: list[int], limit: int, stops: list[int]) -> list[int]:
        return generate(self.decoder, [prompt], limit, stop_ids=stops)[0]

    def continue_all(self, asks: Sequence[Ask], *, logprobs: bool = False) -> list[Continuation]:
        found = [self.complete(ask.ids, ask.max_new_tokens, [*ask.stop_ids]) for ask in asks]
        return [Continuation(tuple(ids), tuple(0.0 for _ in ids)) for ids in found]


def test_everything_is_said_in_a_request(server: FakeServer, tokenizer: Any, tokens: TraceTokens) -> None:
    trace = small_traces()[0]
    predictor(server, tokenizer, extra={"priority": 3}).predict(Request(start_of(trace)))
    fields = server.requests[0]
    assert fields["prompt"] == [render_prompt(trace, tokens=tokens)]
    del fields["prompt"]
    assert fields == {
        "model": "taught",
        "max_tokens": CAP,
        "stop_token_ids": [tokens.ids[Special.END]],
        "ignore_eos": True,
        "temperature": 0.0,
        "top_p": 1.0,
        "top_k": 0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "return_token_ids": True,
        "skip_special_tokens": False,
        "priority": 3,
    }


def test_greedy_prompts_go_in_batches_and_drawn_ones_alone(server: FakeServer, tokenizer: Any) -> None:
    trace = max(small_traces()[:12], key=lambda trace: len(trace.frames))
    request = Request(start_of(trace), "forced", trace)
    predictor(server, tokenizer, drafts=False).predict(request)
    assert sum(len(fields["prompt"]) for fields in server.requests) >= len(trace.frames) - 1
    assert len(server.requests) == 1
    server.requests.clear()
    drawn = predictor(server, tokenizer, temperature=0.7, top_p=0.9, seed=1)
    first, again = drawn.predict(request), drawn.predict(request)
    assert first.frames == again.frames
    assert all(len(fields["prompt"]) == 1 for fields in server.requests)
    assert {(fields["temperature"], fields["top_p"]) for fields in server.requests} == {(0.7, 0.9)}
    seeds = [fields["seed"] for fields in server.requests]
    assert len(set(seeds)) == len(seeds) / 2
    other = drawn.predict(replace(request, sample=1))
    assert other.frames != first.frames
    assert other.guess.decoding == replace(drawn.decoding, sample=1)


def test_no_more_requests_at_a_time_than_allowed(server: FakeServer, tokenizer: Any) -> None:
    server.faults = [slow(0.02)] * 200
    requests = [Request(start_of(trace), "forced", trace) for trace in small_traces()[:12]]
    side_by_side = predictor(server, tokenizer, concurrency=3)
    found = dict(predict_all(side_by_side, requests))
    assert 1 < server.most <= 3
    server.faults = []
    for index, request in enumerate(requests):
        assert found[index].frames == side_by_side.predict(request).frames


def test_log_probabilities_by_field(server: FakeServer, tokenizer: Any) -> None:
    trace = small_traces()[0]
    request = Request(start_of(trace), "forced", trace)
    drafted, plain = (
        predictor(server, tokenizer, logprobs=True, drafts=drafts).predict(request)
        for drafts in (True, False)
    )
    assert drafted.frames == plain.frames
    assert drafted.frames[1].logprobs
    assert "return_tokens_as_token_ids" in server.requests[-1]


def wrong(change: Any) -> Any:
    """A fault that changes the first text of an answer."""

    def fault(answer: Fields) -> None:
        change(answer["choices"][0])

    return fault


def clip(choice: Fields) -> None:
    choice["token_ids"] = choice["token_ids"][:5]
    choice["finish_reason"] = "length"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            wrong(clip),
            r"stopped after 5 of 60 tokens: its model takes fewer than 900, give --model-arg max_len",
        ),
        (wrong(lambda c: c.update(token_ids=None)), r"answered with no token ids"),
        (wrong(lambda c: c.update(token_ids=["a"])), r"token ids that are none"),
        (wrong(lambda c: c.update(token_ids=[-1])), r"token ids that are none"),
        (wrong(lambda c: c.update(prompt_token_ids=[1])), r"the continuation of another prompt"),
        (wrong(lambda c: c.update(token_ids=c["token_ids"] * 99)), r"or more than were asked for"),
        (wrong(lambda c: c.update(token_ids=[])), r"none at all"),
        (
            wrong(lambda c: c.update(token_ids=[5], finish_reason="stop")),
            r"without a stop token, after 1 tok",
        ),
        (lambda answer: answer["choices"].append(answer["choices"][0]), r"2 texts for 1 prompts"),
        (lambda answer: answer.update(choices=None), r"answered with no choices"),
        (status(400, "max_tokens must be at least 1"), r"refused: 400 max_tokens must be at least 1$"),
    ],
)
def test_answers_that_are_none_are_one_sentence(
    server: FakeServer, tokenizer: Any, fault: Any, message: str
) -> None:
    server.faults = [fault] * 2
    with pytest.raises(ServerError, match=message):
        predictor(server, tokenizer).predict(Request(start_of(small_traces()[0])))
    assert len(server.requests) == 1


@pytest.mark.parametrize("fault", [status(429), status(500), half, half_json])
def test_what_passes_changes_nothing(server: FakeServer, tokenizer: Any, fault: Any) -> None:
    trace = small_traces()[1]
    request = Request(start_of(trace), "forced", trace)
    want = predictor(server, tokenizer).predict(request)
    server.faults = [fault, fault]
    assert predictor(server, tokenizer).predict(request).frames == want.frames


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda c: c.update(prompt_logprobs=None),
            "no log-probabilities of the prompt: give --model-arg drafts=no",
        ),
        (lambda c: c.update(prompt_logprobs=c["prompt_logprobs"][1:]), "no log-probabilities of the prompt"),
        (lambda c: c["prompt_logprobs"].reverse(), "log-probabilities of another prompt"),
    ],
)
def test_bad_log_probabilities_of_a_prompt(
    server: FakeServer, tokenizer: Any, change: Any, message: str
) -> None:
    trace = small_traces()[0]
    server.faults = [wrong(change)]
    with pytest.raises(ServerError, match=message):
        predictor(server, tokenizer).predict(Request(start_of(trace), "forced", trace))


def test_a_token_that_is_as_likely_as_another_is_not_taken_from_a_draft(
    server: FakeServer, tokenizer: Any, tokens: TraceTokens
) -> None:
    """Which one greedy decoding says is the server's affair: it is asked."""
    client = Client(server.url, patience=QUICK)
    backend = ServerContinuer(client, find_model(client, None))
    prompt = render_trace(small_traces()[0], tokens=tokens)[:40]
    plain = backend.judge(prompt, 1)

    def tie(choice: Fields) -> None:
        for row in choice["prompt_logprobs"][1:]:
            row["0"] = {"logprob": max(one["logprob"] for one in row.values()), "rank": 1}

    server.faults = [wrong(tie)]
    tied = backend.judge(prompt, 1)
    assert any(verdict.agrees for verdict in plain)
    assert not any(verdict.agrees for at, verdict in enumerate(tied, start=1) if prompt[at] != 0)


def test_lengths_are_planned_and_nothing_is_cut_silently(server: FakeServer, tokenizer: Any) -> None:
    trace = small_traces()[3]
    tokens = TraceTokens.from_tokenizer(tokenizer)
    prompt = len(render_prompt(trace, tokens=tokens))
    whole = len(render_trace(trace, tokens=tokens))
    for length in (prompt + 1, prompt + 20, whole - 1, whole, whole + 1):
        for mode in ("free", "forced", "reground-3"):
            server.length = server.stated = length
            one = predictor(server, tokenizer, max_new_tokens=None)
            got = one.predict(Request(start_of(trace), mode, trace))
            if mode != "free":  # the end token is only asked for in `forced`
                needed = whole if mode == "forced" else whole - 1
                assert (got.outcome is Outcome.TRUNCATED) == (length < needed)
    server.length = server.stated = prompt
    with pytest.raises(CwmTraceError, match=f"has {prompt} tokens and taught reads {prompt} at the most"):
        predictor(server, tokenizer).predict(Request(start_of(trace)))
    ((_, cut),) = predict_all(predictor(server, tokenizer), [Request(start_of(trace))])
    assert cut.outcome is Outcome.TRUNCATED
    assert "shorten the program" in cut.warnings[0]


def test_a_run_that_was_cut_short_goes_on_where_it_ended(
    parrot: Parrot, tokens: TraceTokens, tokenizer: Any, tmp_path: Path
) -> None:
    requests = [
        Request(start_of(trace), mode, trace) for trace in small_traces()[:10] for mode in ("forced", "free")
    ]
    path = tmp_path / "answers.jsonl"

    def new() -> FakeServer:
        return FakeServer(parrot, 900, len(tokenizer), tokens.ids[Special.END])

    with listening(new()) as server:
        want = dict(predictor(server, tokenizer).predict_all(requests))
        total = len(server.requests)
    done: dict[int, Trace] = {}
    with listening(new()) as server:
        server.faults = [
            *itertools.repeat(None, total // 2),
            *itertools.repeat(status(503, "going down"), total * 9),
        ]
        with pytest.raises(ServerError, match=r"does not answer, tried 3 times: 503 going down$"):
            done.update(predictor(server, tokenizer, answers=path, concurrency=2).predict_all(requests))
    with listening(new()) as server:
        again = predictor(server, tokenizer, answers=path)
        got = dict(again.predict_all(requests))
        asked = len(server.requests)
        dict(again.predict_all(requests))
        assert len(server.requests) == asked  # nothing is asked twice
    assert asked == total - total // 2
    for index, trace in want.items():
        assert (got[index].frames, got[index].outcome) == (trace.frames, trace.outcome)


def test_another_question_has_another_answer(server: FakeServer, tokenizer: Any, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    request = Request(start_of(small_traces()[0]))
    options: list[Fields] = [{}, {"max_new_tokens": 30}, {"logprobs": True}, {"extra": {"top_k": 5}}]
    options.append({"temperature": 1.0})
    for count, changes in enumerate(options, start=1):
        predictor(server, tokenizer, answers=path, **changes).predict(request)
        assert len(server.requests) == count
    predictor(server, tokenizer, answers=path).predict(request)
    assert len(server.requests) == len(options)


def test_bad_servers_and_models_are_one_sentence(server: FakeServer, tokenizer: Any, folder: Path) -> None:
    with pytest.raises(ServerError, match="does not answer, tried 2 times: ConnectionRefusedError"):
        ServerPredictor("http://127.0.0.1:1", tokenizer=tokenizer, patience=QUICK)
    with pytest.raises(CwmTraceError, match=r"serves no model .other., only: taught$"):
        ServerPredictor(server.url, "other", tokenizer)
    server.stated = None
    with pytest.raises(CwmTraceError, match="how many tokens its model takes: give --model-arg max_length="):
        ServerPredictor(server.url, tokenizer=tokenizer)
    short = ServerPredictor(server.url, tokenizer=tokenizer, decoding=Decoding(max_length=77))
    assert short.setup.length == 77
    server.stated = 900
    with pytest.raises(
        CwmTraceError, match="serves 'taught', and no tokenizer here has that name: give --model-arg tok"
    ):
        ServerPredictor(server.url)
    assert ServerPredictor(server.url, tokenizer=folder).name == "taught"

    class Bare:
        @staticmethod
        def get_vocab() -> dict[str, int]:
            return {"a": 0}

    with pytest.raises(CwmTraceError, match="the tokenizer lacks the trace tokens"):
        ServerPredictor(server.url, tokenizer=Bare())
