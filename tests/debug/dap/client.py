"""A client without a process: what it asks, and all it hears, each message checked against the schema."""

from __future__ import annotations

from typing import Any

from cwm_trace.debug.dap.adapter import Adapter
from cwm_trace.debug.dap.requests import HANDLERS
from tests.debug.dap.schema import faults

Message = dict[str, Any]


class Client:
    """Speaks with an adapter.

    Args:
        options: of the adapter.
    """

    def __init__(self, **options: Any) -> None:
        self.heard: list[Message] = []
        self.adapter = Adapter(self._hear, HANDLERS, **{"strict": True, **options})
        self._sequence = 0

    def _hear(self, message: Message) -> None:
        assert faults(message) == [], message
        assert message["seq"] == len(self.heard) + 1
        self.heard.append(message)

    def ask(self, command: str, **arguments: Any) -> Message:
        """A request; returns its response, which there must be one of."""
        self._sequence += 1
        start = len(self.heard)
        self.adapter.handle(
            {"seq": self._sequence, "type": "request", "command": command, "arguments": arguments}
        )
        responses = [message for message in self.heard[start:] if message["type"] == "response"]
        (response,) = responses
        assert response["request_seq"] == self._sequence
        events = [message["event"] for message in self.heard[start:] if message["type"] == "event"]
        if "stopped" in events:  # no client may hear of a stop before the answer
            first = next(
                at
                for at, message in enumerate(self.heard)
                if at >= start and message.get("event") == "stopped"
            )
            assert self.heard.index(response) < first
        return response

    def body(self, command: str, **arguments: Any) -> Any:
        """The body of the response to a request that must succeed."""
        response = self.ask(command, **arguments)
        assert response["success"], response
        return response.get("body")

    def refused(self, command: str, **arguments: Any) -> str:
        """Why a request is refused."""
        response = self.ask(command, **arguments)
        assert not response["success"], response
        sentence: str = response["message"]
        return sentence

    def stops(self, command: str, **arguments: Any) -> list[Message]:
        """The stops that a request leads to."""
        start = len(self.heard)
        self.body(command, **arguments)
        return [message["body"] for message in self.heard[start:] if message.get("event") == "stopped"]

    def stop(self, command: str, thread: int = 1, **arguments: Any) -> Message:
        """The stop that a move leads to, with the frame in which it is."""
        (stop,) = self.stops(command, threadId=thread, **arguments)
        return {**stop, **self.top(stop["threadId"])}

    def top(self, thread: int = 1) -> Message:
        """The running frame of a thread."""
        found: Message = self.body("stackTrace", threadId=thread)["stackFrames"][0]
        return found

    def scope(self, name: str, thread: int = 1) -> dict[str, str]:
        """Names and values of a scope of the running frame."""
        return {row["name"]: row["value"] for row in self.rows(name, thread)}

    def rows(self, name: str, thread: int = 1) -> list[Message]:
        """Variables of a scope of the running frame."""
        return list(self.body("variables", variablesReference=self.reference(name, thread))["variables"])

    def reference(self, name: str = "Locals", thread: int = 1) -> int:
        """The number of a scope of the running frame."""
        scopes = self.body("scopes", frameId=self.top(thread)["id"])["scopes"]
        return next(int(scope["variablesReference"]) for scope in scopes if scope["name"] == name)

    def begin(self, **arguments: Any) -> Message:
        """Initialize, attach to a trace, and stop at the first frame."""
        self.body("initialize", adapterID="cwm-trace")
        self.body("attach", **{"model": "copy", **arguments})
        (stop,) = self.stops("configurationDone")
        return stop
