"""A session that can be spoken to: what it remembers, how it replies, and the verbs by their names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from cwm_trace.debug.phrases import arrival_data, arrival_text
from cwm_trace.debug.session import Arrival, Session
from cwm_trace.debug.track import Track
from cwm_trace.errors import CwmTraceError
from cwm_trace.predict.protocol import Predictor
from cwm_trace.records import Frame, Trace


@dataclass
class Reply:
    """An answer.

    Args:
        text: for people.
        data: the same for programs; JSON can hold it.
        arrivals: moves that were made.
        ends: the session is over.
    """

    text: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    arrivals: list[Arrival] = field(default_factory=list)
    ends: bool = False


Action = Callable[["Conversation", str], Reply]


@dataclass(frozen=True)
class Verb:
    """Something that can be said.

    Args:
        name: by which it is called.
        usage: name and arguments.
        help: what it does, in one sentence.
        action: does it.
        group: under which help lists it.
    """

    name: str
    usage: str
    help: str
    action: Action
    group: str


class Conversation:
    """A session that can be spoken to; `Console` understands what is said.

    Args:
        session: what is stepped through.
        find_model: a predictor by its name, for `model NAME`.
        replay: the real execution of a what-if, by running the program again; None: that is not possible.
    """

    def __init__(
        self,
        session: Session,
        *,
        find_model: Callable[[str], Predictor] | None = None,
        replay: Callable[[Track], Trace] | None = None,
    ) -> None:
        self.session = session
        self.find_model = find_model
        self.replay = replay
        self.replays_unasked = False
        """Whether the truth of every what-if is found out at once: the program is the user's own."""
        self.touches_files = True
        """Whether verbs may read and write files: not where an agent speaks."""
        self.displays: list[str] = []
        self.said: list[str] = []
        """Every line that was understood, for `save`."""
        self.offered: list[tuple[Track, int, Frame]] = []
        """The alternatives that were shown last, for `accept`."""
        self._depth = 0

    def say(self, line: str) -> Reply:
        """Do what a line says."""
        raise NotImplementedError

    def move(self, go: Callable[[Session, Track], Arrival]) -> Reply:
        """Move every active track."""
        return self.arrive([go(self.session, track) for track in self.session.active])

    def arrive(self, arrivals: list[Arrival]) -> Reply:
        """The reply of moves."""
        text = "\n".join(map(arrival_text, arrivals))
        return Reply(text, {"stopped": [arrival_data(arrival) for arrival in arrivals]}, arrivals)

    def run_lines(self, lines: list[str]) -> Reply:
        """Say every line; the replies together.

        Raises:
            CwmTraceError: one of them cannot be done, or scripts call each other without end.
        """
        if self._depth > 8:
            raise CwmTraceError("scripts call each other without end")
        self._depth += 1
        whole = Reply()
        try:
            for line in lines:
                reply = self.say(line)
                whole.text += reply.text + "\n" if reply.text else ""
                whole.arrivals += reply.arrivals
                whole.data = reply.data or whole.data
                whole.ends = reply.ends
                if whole.ends:
                    break
        finally:
            self._depth -= 1
        whole.text = whole.text.rstrip("\n")
        return whole


VERBS: dict[str, Verb] = {}
ALIASES: dict[str, str] = {}


def verb(usage: str, help_: str, *aliases: str, group: str) -> Callable[[Action], Action]:
    """Make a function the action of a verb; `usage` begins with its name."""

    def enter(action: Action) -> Action:
        name = usage.split()[0]
        VERBS[name] = Verb(name, usage, help_, action, group)
        ALIASES.update(dict.fromkeys(aliases, name))
        return action

    return enter


def find_verb(word: str) -> Verb:
    """The verb of this name, or of this alias.

    Raises:
        CwmTraceError: there is none.
    """
    found = VERBS.get(ALIASES.get(word, word))
    if found is not None:
        return found
    close = get_close_matches(word, [*VERBS, *ALIASES], 1)
    hint = f"did you mean {close[0]}?" if close else "'help' lists the verbs"
    raise CwmTraceError(f"there is no verb {word[:60]!r}: {hint}")
