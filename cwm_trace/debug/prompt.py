"""The debugger in a terminal: a prompt, a script, or a line of JSON for every line."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from cwm_trace.debug.console import Console
from cwm_trace.debug.conversation import Reply
from cwm_trace.debug.session import Arrival
from cwm_trace.errors import CwmTraceError

_BANNER = "help lists the verbs; an empty line says the last one again; quit ends"


def first_reply(console: Console) -> Reply:
    """Where every track stands when the session begins."""
    tracks = console.session.active
    return console.arrive([Arrival(track, track.position, "entry", moved=False) for track in tracks])


def run_script(console: Console, lines: Iterable[str], name: str, show: Callable[[str], object]) -> bool:
    """Say every line of a script, and show what was said and answered; False if it ended the session.

    Raises:
        CwmTraceError: a line cannot be done; says which.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        show(f"{prompt(console)}{line.strip()}")
        try:
            reply = console.say(line)
        except CwmTraceError as error:
            raise CwmTraceError(f"line {number} of {name}: {error}") from error
        if reply.text:
            show(reply.text)
        if reply.ends:
            return False
    return True


def answer_lines(console: Console, lines: Iterable[str], write: Callable[[str], object]) -> None:
    """A line of JSON for every line: `{"ok": true, …}`, or `{"ok": false, "error": …}`; the first is unasked.

    A line is what one would type, or a JSON object whose `say` is that.
    """
    write(_line(first_reply(console)))
    for line in lines:
        if not line.strip():
            continue
        try:
            reply = console.say(_said(line))
        except CwmTraceError as error:
            write(json.dumps({"ok": False, "error": str(error)}))
            continue
        write(_line(reply))
        if reply.ends:
            return


def _said(line: str) -> str:
    if not line.lstrip().startswith("{"):
        return line
    try:
        said = json.loads(line)["say"]
    except (ValueError, KeyError, RecursionError):
        raise CwmTraceError('this is no line of JSON with "say", such as {"say": "step"}') from None
    if not isinstance(said, str):
        raise CwmTraceError(f'"say" is {said!r:.60}: give what one would type, such as "step"')
    return said


def _line(reply: Reply) -> str:
    return json.dumps({"ok": True, "text": reply.text, **reply.data})


def prompt(console: Console) -> str:
    """The mode, as the prompt shows it."""
    return f"({' | '.join(f'{track.name} {track.position}' for track in console.session.active)}) "


def talk(console: Console, output: TextIO) -> None:
    """Read lines from the terminal and answer them until the session ends."""
    with suppress(ImportError):
        _complete_with_readline(console)
    print(first_reply(console).text, _BANNER, sep="\n", file=output)
    last = ""
    for line in _typed_lines(console, output):
        last = line.strip() or last
        reply = _answer(console, last)
        if reply.text:
            print(reply.text, file=output)
        if reply.ends:
            return


def _answer(console: Console, line: str) -> Reply:
    try:
        with _interruptible(console):
            return console.say(line)
    except CwmTraceError as error:
        return Reply(f"*** {error}")
    except KeyboardInterrupt:
        return Reply("*** interrupted")


def _typed_lines(console: Console, output: TextIO) -> Iterator[str]:
    while (line := _typed_line(console, output)) is not None:
        yield line


def _typed_line(console: Console, output: TextIO) -> str | None:
    """The next line; empty after Ctrl-C, None at the end."""
    try:
        return input(prompt(console))
    except KeyboardInterrupt:
        print("\nquit ends the session", file=output)
        return "#"
    except EOFError:
        print(file=output)
        return None


@contextmanager
def _interruptible(console: Console) -> Iterator[None]:
    """Let the first Ctrl-C end a prediction after its frame, the second one at once."""
    cancel = console.session.cancel

    def interrupt(_number: int, _frame: Any) -> None:
        if cancel.is_set():
            raise KeyboardInterrupt
        cancel.set()

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        cancel.clear()


def _complete_with_readline(console: Console) -> None:
    import readline

    def complete(text: str, state: int) -> str | None:
        start = readline.get_begidx()
        found = console.complete(readline.get_line_buffer()[:start] + text)
        return found[state] if state < len(found) else None

    readline.set_completer(complete)
    readline.set_completer_delims(" ,()[]+-*/<>=")
    readline.parse_and_bind("tab: complete")
