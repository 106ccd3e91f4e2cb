"""A server in this process with vLLM's ways, and with the faults that a test asks for.

As measured on vLLM: `max_tokens` is 16 by default and clipped to the model's length without a word; the ids
of an answer include the stop token, whose `stop_reason` is null for the tokenizer's own end token; a prompt
that fills the model, or an id that it does not have, is a 400; logprobs of a prompt are keyed by id.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from cwm_trace.model.predict.backends.continuer import Ask, Continuation, Verdict

Fields = dict[str, Any]


class Model(Protocol):
    """What the server serves."""

    def continue_all(self, asks: list[Ask], *, logprobs: bool = False) -> list[Continuation]: ...

    def judge(self, ids: list[int], start: int) -> list[Verdict]: ...


class FaultError(Exception):
    """An answer that is none: a status with a body and headers, sent as it is."""

    def __init__(
        self, status: int, body: str = "", headers: Mapping[str, str] | None = None, cut: int = 0
    ) -> None:
        super().__init__(status, body)
        self.status, self.body, self.headers, self.cut = status, body, headers or {}, cut


class FakeServer:
    """Serves a model.

    Args:
        model: what it says.
        length: tokens that the model takes.
        vocabulary: ids that it has.
        end: the tokenizer's own end token.

    Attributes:
        url: where it listens.
        requests: the bodies that were posted.
        faults: done instead of, or to, the next answers: called with the answer, may raise a `FaultError`.
    """

    def __init__(self, model: Any, length: int = 1024, vocabulary: int = 340, end: int = 257) -> None:
        self.model, self.length, self.vocabulary, self.end = model, length, vocabulary, end
        self.stated: int | None = length
        self.requests: list[Fields] = []
        self.faults: list[Callable[[Fields], None] | None] = []
        self.chat: Callable[[Fields], Fields] | None = None
        self.running = self.most = 0
        self.lock = threading.Lock()
        self.url = ""

    def answer(self, path: str, fields: Fields | None) -> Fields:
        if path == "/v1/models":
            card = {"id": "taught", "root": None, "max_model_len": self.stated}
            return {"object": "list", "data": [card]}
        assert fields is not None
        with self.lock:
            self.requests.append(fields)
            self.running += 1
            self.most = max(self.most, self.running)
            fault = self.faults.pop(0) if self.faults else None
        try:
            if path == "/v1/chat/completions":
                assert self.chat is not None
                found = self.chat(fields)
            else:
                found = self.complete(fields)
            if fault is not None:
                fault(found)
            return found
        finally:
            with self.lock:
                self.running -= 1

    def complete(self, fields: Fields) -> Fields:
        prompts = fields["prompt"] if isinstance(fields["prompt"][0], list) else [fields["prompt"]]
        if fields.get("model") != "taught":
            raise FaultError(404, error(f"The model `{fields.get('model')}` does not exist.", 404))
        for prompt in prompts:
            if len(prompt) >= self.length:
                raise FaultError(
                    400, error(f"This model's maximum context length is {self.length} tokens.", 400)
                )
            if max(prompt) >= self.vocabulary:
                raise FaultError(400, error(f"Token id {max(prompt)} is out of vocabulary", 400))
        return {"choices": [self.choice(index, prompt, fields) for index, prompt in enumerate(prompts)]}

    def choice(self, index: int, prompt: list[int], fields: Fields) -> Fields:
        stops = set(fields.get("stop_token_ids") or [])
        own = set() if fields.get("ignore_eos") else {self.end}
        limit = min(fields.get("max_tokens", 16), self.length - len(prompt))
        seed = fields.get("seed", 0) if fields["temperature"] else None
        ask = Ask(prompt, limit, frozenset(stops | own), seed)
        with self.lock:
            (new,) = self.model.continue_all([ask], logprobs=True)
        stopped = new.ids[-1] in stops | own
        choice: Fields = {
            "index": index,
            "text": "",
            "token_ids": list(new.ids) if fields.get("return_token_ids") else None,
            "prompt_token_ids": prompt if fields.get("return_token_ids") else None,
            "finish_reason": "stop" if stopped else "length",
            "stop_reason": new.ids[-1] if stopped and new.ids[-1] in stops else None,
            "logprobs": None,
            "prompt_logprobs": None,
        }
        if fields.get("logprobs") is not None:
            choice["logprobs"] = {
                "tokens": [f"token_id:{number}" for number in new.ids],
                "token_logprobs": list(new.logprobs or ()),
            }
        if fields.get("prompt_logprobs") is not None:
            with self.lock:
                choice["prompt_logprobs"] = [None, *map(self.row, prompt[1:], self.model.judge(prompt, 1))]
        return choice

    def row(self, number: int, verdict: Verdict) -> Fields:
        own = {"logprob": verdict.logprob, "rank": 1 if verdict.agrees else 2, "decoded_token": "x"}
        if verdict.agrees:
            return {str(number): own}
        other = (number + 1) % self.vocabulary
        first = {"logprob": verdict.logprob + 0.1, "rank": 1, "decoded_token": "x"}
        return {str(number): own, str(other): first}


def error(message: str, code: int) -> str:
    return json.dumps({"error": {"message": message, "type": "BadRequestError", "code": code}})


@contextmanager
def listening(server: FakeServer) -> Iterator[FakeServer]:
    """Serve on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply(None)

        def do_POST(self) -> None:
            self.reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def reply(self, fields: Fields | None) -> None:
            try:
                fault = FaultError(200, json.dumps(server.answer(self.path, fields)))
            except FaultError as raised:
                fault = raised
            body = fault.body.encode()
            try:
                self.send_response(fault.status)
                for name, value in fault.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) - fault.cut])
            except OSError:
                pass  # the client gave up

        def log_message(self, *args: Any) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    server.url = f"http://127.0.0.1:{listener.server_address[1]}"
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


def status(code: int, message: str = "no", **headers: str) -> Callable[[Fields], None]:
    """Answer with a status code."""

    def fault(_: Fields) -> None:
        raise FaultError(code, error(message, code), {k.replace("_", "-"): v for k, v in headers.items()})

    return fault


def half(answer: Fields) -> None:
    """Send half of the body, and end the connection."""
    body = json.dumps(answer)
    raise FaultError(200, body, cut=len(body) // 2)


def half_json(answer: Fields) -> None:
    """Send half of the body as if it were all."""
    body = json.dumps(answer)
    raise FaultError(200, body[: len(body) // 2])


def slow(seconds: float) -> Callable[[Fields], None]:
    """Answer late."""
    return lambda _: time.sleep(seconds)
