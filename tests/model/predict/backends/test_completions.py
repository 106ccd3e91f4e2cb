from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.predict.backends.completions import LONGEST_PAUSE, Client, Patience, ServerError
from tests.effort import HANGS
from tests.model.predict.backends.backends import Parrot
from tests.model.predict.backends.fake_server import (
    FakeServer,
    FaultError,
    half,
    half_json,
    listening,
    slow,
    status,
)

QUICK = Patience(timeout=5, tries=3, pause=0.001)
ASK: dict[str, Any] = {"model": "taught", "prompt": [1, 2], "max_tokens": 3, "temperature": 0.0}


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with listening(FakeServer(Parrot([[1, 2, 3, 4, 5, 6]]))) as running:
        yield running


@pytest.mark.parametrize(
    "fault", [status(429), status(500), status(503), half, half_json, lambda _: fail(200, "[]"), slow(0.5)]
)
def test_what_passes_is_tried_again(server: FakeServer, fault: Any) -> None:
    server.faults = [fault, fault]
    client = Client(server.url, patience=Patience(timeout=0.2, tries=3, pause=0.001))
    assert client.post("/v1/completions", ASK)["choices"][0]["finish_reason"] == "length"
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (status(429, "slow down"), r"does not answer, tried 3 times: 429 slow down$"),
        (half_json, r"tried 3 times: what it answers is not a JSON object$"),
        (half, r"tried 3 times: IncompleteRead"),
        (slow(0.5), r"tried 3 times: no answer within 0.2 s$"),
    ],
)
def test_patience_ends(server: FakeServer, fault: Any, message: str) -> None:
    server.faults = [fault] * 3
    client = Client(server.url, patience=Patience(timeout=0.2, tries=3, pause=0.001))
    with pytest.raises(ServerError, match=message):
        client.post("/v1/completions", ASK)
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [([1] * 1024, "400 This model's maximum context length is 1024 tokens"), ([999], "400 Token id 999")],
)
def test_a_refusal_is_not_tried_again_and_gives_the_servers_reason(
    server: FakeServer, prompt: list[int], reason: str
) -> None:
    with pytest.raises(ServerError, match=f"refused: {reason}"):
        Client(server.url, patience=QUICK).post("/v1/completions", {**ASK, "prompt": prompt})
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "body", ['{"detail": "no  such\\nthing"}', "no such thing", '{"error": "no such thing"}']
)
def test_reasons_come_in_many_forms(server: FakeServer, body: str) -> None:
    server.faults = [lambda _: fail(422, body)]
    with pytest.raises(ServerError, match=r"refused: 422 .*no such thing"):
        Client(server.url, patience=QUICK).post("/v1/completions", ASK)


def fail(code: int, body: str) -> None:
    raise FaultError(code, body)


def test_retry_after_is_kept_to(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    original = Client._pause

    def pause(self: Client, number: int, wait: float | None) -> float:
        pauses.append(original(self, number, wait))
        return 0.0

    monkeypatch.setattr(Client, "_pause", pause)
    later = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=30), usegmt=True)
    waits = ["7", later, "86400", "soon"]
    server.faults = [status(429, Retry_After=wait) for wait in waits]
    Client(server.url, patience=Patience(tries=5, pause=0.1)).post("/v1/completions", ASK)
    assert pauses[0] == 7
    assert 25 < pauses[1] <= 30
    assert pauses[2] == LONGEST_PAUSE
    assert 0.8 <= pauses[3] <= 1.2


def test_pauses_grow_and_are_not_all_the_same() -> None:
    client = Client("http://127.0.0.1:1", patience=Patience(pause=1.0))
    drawn = [[client._pause(number, None) for _ in range(20)] for number in (1, 2, 3)]
    for number, pauses in enumerate(drawn):
        assert all(2**number <= pause <= 1.5 * 2**number for pause in pauses)
        assert len(set(pauses)) > 1


def test_nobody_listens() -> None:
    with pytest.raises(ServerError, match=r"127.0.0.1:1 does not answer, tried 3 times: ConnectionRefused"):
        Client("http://127.0.0.1:1/v1/", patience=QUICK).get("/v1/models")
    with pytest.raises(CwmTraceError, match="'localhost' is no server: give a URL such as"):
        Client("localhost")


def test_stopping_ends_the_pauses_of_other_threads(server: FakeServer) -> None:
    server.faults = [status(503)] * 9
    client = Client(server.url, patience=Patience(tries=9, pause=30))
    errors: list[Exception] = []

    def ask() -> None:
        try:
            client.post("/v1/completions", ASK)
        except ServerError as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    deadline = time.monotonic() + HANGS
    while not server.requests and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    client.stop()
    thread.join(5)
    assert not thread.is_alive()
    assert len(errors) == 1
    server.faults = []
    assert client.post("/v1/completions", ASK)


def test_a_key_is_sent(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(server.url, key="secret")
    seen: list[Any] = []

    def send(request: Any) -> dict[str, Any]:
        seen.append(request.headers)
        return {}

    monkeypatch.setattr(client, "_send", send)
    client.post("/v1/completions", {})
    assert seen[0]["Authorization"] == "Bearer secret"
