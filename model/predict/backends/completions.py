"""A client of OpenAI-compatible servers: time-outs, retries, one sentence for what cannot be helped.

Only the standard library: requests take seconds, so that connections need no pool.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from cwm_trace.errors import CwmTraceError
from cwm_trace.predict.protocol import RefusedError

_RETRIED = (408, 409, 425, 429, 500, 502, 503, 504)
"""Status codes that may be another one next time."""
LONGEST_PAUSE = 60.0
"""Seconds; also the most of a `Retry-After` that is waited for."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a server, and how often.

    Args:
        timeout: seconds without a byte from the server before a request is given up.
        tries: requests before giving up; at least 1.
        pause: seconds before the second one; twice as long before each further one, and up to half as long
            again by chance, so that clients do not come back all at once.
    """

    timeout: float = 600.0
    tries: int = 6
    pause: float = 0.5


class ServerError(CwmTraceError):
    """The server refused, or did not answer."""


class RequestRefusedError(ServerError, RefusedError):
    """The server refused this very request, and may answer others."""


KEY = "CWM_TRACE_API_KEY"
"""Environment variable: the API key of a server."""
_OF_THE_REQUEST = (400, 413, 422)
"""Status codes of what a single request has wrong."""


PATIENT = Patience()


class Client:
    """Talks to one server.

    Args:
        url: `http://HOST:PORT`, with or without `/v1`.
        key: API key, if it needs one; None: what `_find_key` finds.
        patience: time-outs and retries.
    """

    def __init__(self, url: str, key: str | None = None, patience: Patience = PATIENT) -> None:
        if not url.startswith(("http://", "https://")):
            raise CwmTraceError(f"{url!r} is no server: give a URL such as http://127.0.0.1:8000")
        self.url = url.rstrip("/").removesuffix("/v1")
        self._headers = {"Content-Type": "application/json"}
        key = key or _find_key(url)
        self._key = key or ""
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._patience = patience
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End the pauses of other threads: what failed there is not tried again. Later requests are."""
        stopped, self._stopped = self._stopped, threading.Event()
        stopped.set()

    def get(self, path: str) -> dict[str, Any]:
        """Ask for a page.

        Raises:
            ServerError: it refuses, or does not answer.
        """
        return self._try(urllib.request.Request(self.url + path, headers=self._headers))

    def post(self, path: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Send a JSON object; returns the one that is answered.

        Raises:
            ServerError: as `get`.
        """
        body = json.dumps(fields).encode()
        return self._try(urllib.request.Request(self.url + path, body, self._headers))

    def _try(self, request: urllib.request.Request) -> dict[str, Any]:
        stopped = self._stopped
        number = 0
        while True:
            number += 1
            wait: float | None = None
            try:
                return self._send(request)
            except urllib.error.HTTPError as error:
                reason = f"{error.code} {self._without_key(_reason(error))}"
                if error.code in _OF_THE_REQUEST and request.data is not None:
                    raise RequestRefusedError(f"the server at {self.url} refused: {reason}") from error
                if error.code in (401, 403):
                    what = "does not accept the API key in" if self._key else "wants an API key: put it into"
                    raise ServerError(f"the server at {self.url} {what} {KEY} ({reason})") from error
                if error.code not in _RETRIED:
                    raise ServerError(f"the server at {self.url} refused: {reason}") from error
                wait = _retry_after(error.headers.get("Retry-After"))
            except (TimeoutError, OSError, http.client.HTTPException) as error:
                cause = getattr(error, "reason", error)
                reason = (
                    f"no answer within {self._patience.timeout:g} s"
                    if isinstance(cause, TimeoutError)
                    else f"{type(cause).__name__}: {cause}"
                )
            except ValueError:
                reason = "what it answers is not a JSON object"
            if number >= self._patience.tries or stopped.wait(self._pause(number, wait)):
                break
        tries = "once" if number == 1 else f"{number} times"
        raise ServerError(f"the server at {self.url} does not answer, tried {tries}: {reason}")

    def _send(self, request: urllib.request.Request) -> dict[str, Any]:
        with urllib.request.urlopen(request, timeout=self._patience.timeout) as response:
            answer = json.load(response)
        if not isinstance(answer, dict):
            raise ValueError("not an object")
        return answer

    def _without_key(self, text: str) -> str:
        """What a server says, which may repeat the key that it refuses."""
        return text.replace(self._key, "…") if self._key else text

    def _pause(self, number: int, wait: float | None) -> float:
        pause: float = self._patience.pause * 2 ** (number - 1) * random.uniform(1.0, 1.5)
        return min(LONGEST_PAUSE, max(pause, wait or 0.0))


def _find_key(url: str) -> str | None:
    """The API key in the environment: of `CWM_TRACE_API_KEY`, or for OpenAI's own server `OPENAI_API_KEY`.

    It goes into a header, and nowhere else: no log, message or trace has it.
    """
    key = os.environ.get(KEY, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise CwmTraceError(f"{KEY} has characters that no API key has: set it again")
    if key:
        return key
    if urllib.parse.urlsplit(url).hostname == "api.openai.com" and url.startswith("https://"):
        return os.environ.get("OPENAI_API_KEY") or None
    return None


def _reason(error: urllib.error.HTTPError) -> str:
    """The server's own words, in one line."""
    try:
        text = error.read(20_000).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return str(error.reason)
    try:
        answer = json.loads(text)
        inner = answer.get("error", answer)
        text = str(inner.get("message") or inner.get("detail") or inner if isinstance(inner, dict) else inner)
    except (ValueError, AttributeError):
        pass
    line = " ".join(text.split())[:300]
    return line or str(error.reason)


def _retry_after(header: str | None) -> float | None:
    """Seconds of a `Retry-After` header, a number or a date (RFC 9110, 10.2.3)."""
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
