"""Answers one client: a response for every request, and events for what happens besides."""

from __future__ import annotations

import hmac
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from cwm_trace.debug.console import Console
from cwm_trace.debug.dap.arguments import Arguments
from cwm_trace.debug.dap.references import References
from cwm_trace.debug.dap.wire import Message
from cwm_trace.debug.running import Opening
from cwm_trace.debug.session import Arrival
from cwm_trace.debug.track import Track
from cwm_trace.errors import CwmTraceError

Body = dict[str, Any] | None
Handler = Callable[["Adapter", Arguments], Body]

HANDLERS: dict[str, Handler] = {}
"""Every request whose module was imported; `cwm_trace.debug.dap.requests` has imported all of them."""


def request(command: str) -> Callable[[Handler], Handler]:
    """Make a function the handler of a request; what it returns is the body of the response."""

    def enter(handler: Handler) -> Handler:
        HANDLERS[command] = handler
        return handler

    return enter


class Adapter:
    """One client's debugger.

    Args:
        send: takes messages for the client.
        handlers: what is answered, by the names of the requests.
        token: that `launch` or `attach` must bring before anything but `initialize` is answered; empty: none.
        strict: let a fault of our own out, in the place of answering with it.
    """

    def __init__(
        self,
        send: Callable[[Message], object],
        handlers: Mapping[str, Handler],
        *,
        token: str = "",
        strict: bool = False,
    ) -> None:
        self._send = send
        self._handlers = handlers
        self._token = token
        self._strict = strict
        self._sequence = 0
        self._lock = threading.RLock()
        self._later: list[Callable[[], object]] = []
        self.is_trusted = not token
        self.is_over = False
        """The client has gone, or must go."""
        self.console: Console | None = None
        self.opening = Opening()
        self.focus = ""
        """The thread in which the session begins; empty: the first."""
        self.references = References()
        self.arrivals: dict[int, Arrival] = {}
        """How each track came to where it stands, by its number."""
        self.is_configured = False
        self.by_lines = True
        """Whether a step leads to a line, and not to a call's or return's own frame."""
        self.shows_progress = False
        self.lines_start_at = 1
        self.functions: list[int] = []
        self.watches: list[int] = []
        self.filters: list[int] = []
        self.targets: dict[int, tuple[int, int, bool]] = {}

    def handle(self, message: Message) -> None:
        """Answer a request; anything else is passed over."""
        command = message.get("command")
        sequence = message.get("seq")
        if message.get("type") != "request" or not isinstance(command, str):
            return
        if isinstance(sequence, bool) or not isinstance(sequence, int) or not 0 < sequence < 2**31:
            return
        arguments = Arguments(command, message.get("arguments"))
        try:
            self._require_trust(command, arguments)
            handler = self._handlers.get(command)
            if handler is None:
                raise CwmTraceError(f"{command[:60]!r} is not offered by this debugger")
            body = handler(self, arguments)
        except CwmTraceError as error:
            self._later.clear()
            self._fail(sequence, command, str(error))
        except Exception as error:
            if self._strict:
                raise
            traceback.print_exc(file=sys.stderr)
            self._later.clear()
            self._fail(sequence, command, f"a fault of cwm-trace: {type(error).__name__}: {error}")
        else:
            self.respond(sequence, command, body)
            self._do_later()

    def respond(self, sequence: int, command: str, body: Body = None) -> None:
        """Say that a request was done."""
        response: Message = {"type": "response", "request_seq": sequence, "success": True, "command": command}
        self.send(response if body is None else {**response, "body": body})

    def event(self, name: str, body: Body = None) -> None:
        """Say that something happened."""
        self.send(
            {"type": "event", "event": name}
            if body is None
            else {"type": "event", "event": name, "body": body}
        )

    def send(self, message: Message) -> None:
        """Give a message its number and send it; from any thread."""
        with self._lock:
            self._sequence += 1
            self._send({"seq": self._sequence, **message})

    def later(self, action: Callable[[], object]) -> None:
        """Do something once the response has gone out: a client must not hear of a stop before."""
        self._later.append(action)

    def interrupt(self) -> None:
        """End a prediction that is going on; from any thread."""
        console = self.console
        if console is not None:
            console.session.cancel.set()

    @property
    def debuggee(self) -> Console:
        """The session.

        Raises:
            CwmTraceError: nothing has been launched yet.
        """
        if self.console is None:
            raise CwmTraceError("nothing is debugged yet: launch a program or attach to a trace first")
        return self.console

    def track(self, number: int) -> Track:
        """The track that is thread `number` for the client.

        Raises:
            CwmTraceError: there is none.
        """
        for track in self.debuggee.session.tracks.values():
            if track.number == number:
                return track
        raise CwmTraceError(f"there is no thread {number}: 'threads' lists them")

    def _require_trust(self, command: str, arguments: Arguments) -> None:
        if self.is_trusted or command == "initialize":
            return
        if command in ("launch", "attach"):
            self.is_trusted = hmac.compare_digest(arguments.text("token", "").encode(), self._token.encode())
        if not self.is_trusted:
            self.is_over = True
            raise CwmTraceError(
                "the token is missing or wrong: give the one that cwm-trace dap printed as it began"
            )

    def _fail(self, sequence: int, command: str, sentence: str) -> None:
        self.send(
            {
                "type": "response",
                "request_seq": sequence,
                "success": False,
                "command": command,
                "message": sentence,
                "body": {
                    "error": {
                        "id": 1,
                        "format": sentence.replace("{", "(").replace("}", ")"),
                        "showUser": True,
                    }
                },
            }
        )

    def _do_later(self) -> None:
        actions, self._later = self._later, []
        for action in actions:
            self._do(action)

    def _do(self, action: Callable[[], object]) -> None:
        """Do what follows a response; what goes wrong is told as output, since the response has gone out."""
        try:
            action()
        except CwmTraceError as error:
            self.event("output", {"category": "stderr", "output": f"{error}\n"})
        except Exception as error:
            if self._strict:
                raise
            traceback.print_exc(file=sys.stderr)
            fault = f"a fault of cwm-trace: {type(error).__name__}: {error}\n"
            self.event("output", {"category": "stderr", "output": fault})
