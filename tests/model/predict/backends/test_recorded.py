"""Answers of a real vLLM 0.32, recorded: the client reads them, our own server has their form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cwm_trace.model.predict.backends.completions import Client, Patience, ServerError
from cwm_trace.model.predict.backends.continuer import Ask
from cwm_trace.model.predict.backends.server import ServerContinuer, find_model
from tests.model.predict.backends.backends import Parrot
from tests.model.predict.backends.fake_server import FakeServer, FaultError, Fields, error, listening

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "recorded.json").read_text("utf-8"))
FRAME, END = 330, 324


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with listening(FakeServer(Parrot([[1, 2, 3, 4, 5]]), 1024, 340, END)) as running:
        yield running


def replay(server: FakeServer, name: str) -> ServerContinuer:
    """A backend of a server that answers every question with one recorded answer."""
    recorded = RECORDED[name]

    def answer(path: str, fields: Fields | None) -> Fields:
        if path == "/v1/models":
            return dict(RECORDED["models"])
        if "status" in recorded:
            raise FaultError(recorded["status"], json.dumps(recorded["body"]))
        return dict(recorded)

    server.answer = answer  # type: ignore[method-assign]
    client = Client(server.url, patience=Patience(tries=1))
    return ServerContinuer(client, find_model(client, None))


def test_texts_with_log_probabilities(server: FakeServer) -> None:
    choices = RECORDED["complete"]["choices"]
    backend = replay(server, "complete")
    assert backend.length == 1024
    asks = [Ask(choice["prompt_token_ids"], 30, frozenset({FRAME, END})) for choice in choices]
    got = backend.continue_all(asks, logprobs=True)
    assert [list(answer.ids) for answer in got] == [choice["token_ids"] for choice in choices]
    assert got[0].ids[-1] == FRAME
    assert got[0].logprobs == tuple(choices[0]["logprobs"]["token_logprobs"])
    with pytest.raises(ServerError, match="the continuation of another prompt"):
        backend.continue_all([*reversed(asks)], logprobs=True)


def test_a_draft(server: FakeServer) -> None:
    table = RECORDED["judge"]["choices"][0]["prompt_logprobs"]
    ids = [0, *(int(next(iter(row))) for row in table[1:])]
    verdicts = replay(server, "judge").judge(ids, 4)
    assert len(verdicts) == len(ids) - 4
    for number, row, verdict in zip(ids[4:], table[4:], verdicts, strict=True):
        assert verdict.logprob == row[str(number)]["logprob"]
        assert verdict.agrees is (row[str(number)]["rank"] == 1)
    assert {verdict.agrees for verdict in verdicts} == {True, False}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("too_long", r"refused: 400 max_tokens must be at least 1, got 0"),
        ("bad_id", r"refused: 400 Token id 999999 is out of vocabulary"),
        ("unknown", r"refused: 404 The model `other` does not exist"),
    ],
)
def test_refusals(server: FakeServer, name: str, message: str) -> None:
    with pytest.raises(ServerError, match=message):
        replay(server, name).continue_all([Ask([1], 3, frozenset())])


def test_our_own_server_answers_in_the_same_form(server: FakeServer) -> None:
    fields = {"model": "taught", "temperature": 0.0, "return_token_ids": True, "logprobs": 1}
    own = server.complete({**fields, "prompt": [[1, 2]]})["choices"][0]
    real = RECORDED["complete"]["choices"][0]
    assert set(own) <= set(real)
    assert set(own["logprobs"]) <= set(real["logprobs"])
    judged = server.complete({**fields, "prompt": [1, 2, 9], "prompt_logprobs": 1})["choices"][0]
    row = next(iter(judged["prompt_logprobs"][1].values()))
    assert set(row) == set(next(iter(RECORDED["judge"]["choices"][0]["prompt_logprobs"][1].values())))
    assert set(json.loads(error("no", 400))["error"]) <= set(RECORDED["bad_id"]["body"]["error"])
    assert set(server.answer("/v1/models", None)["data"][0]) <= set(RECORDED["models"]["data"][0])
