"""What one can tell a session in words: a line of text in, text and plain data out. No screen, no input."""

from __future__ import annotations

from cwm_trace.debug.conversation import Conversation, Reply
from cwm_trace.debug.literals import ExpressionError, evaluate, show_value
from cwm_trace.debug.verbs import VERBS, find_verb
from cwm_trace.errors import CwmTraceError
from cwm_trace.rendering.wording import printable


class Console(Conversation):
    """A session that is spoken to, with every verb there is."""

    def say(self, line: str) -> Reply:
        """Do what a line says; an empty one does nothing.

        Raises:
            CwmTraceError: there is no such verb, or it cannot be done.
        """
        word, _, rest = line.strip().partition(" ")
        if not word or word.startswith("#"):
            return Reply()
        verb = find_verb(word)
        try:
            reply = verb.action(self, rest.strip())
        except CwmTraceError as error:
            if str(error).isprintable():
                raise
            raise type(error)(printable(str(error))) from error  # names in a trace may be anything
        if verb.name not in ("script", "save", "load", "quit"):
            self.said.append(line.strip())
        if reply.arrivals:
            self._show_displays(reply)
        return reply

    def complete(self, text: str) -> list[str]:
        """What the last word of a line that is being typed may become."""
        before, _, word = text.rpartition(" ")
        if before.strip():
            return sorted(name for name in self.session.current.state() if name.startswith(word))
        return sorted(name for name in VERBS if name.startswith(word))

    def _show_displays(self, reply: Reply) -> None:
        state = self.session.current.state()
        for expression in self.displays:
            try:
                value = show_value(evaluate(expression, state))
            except ExpressionError as error:
                value = f"({error})"
            reply.text += f"\n   {expression} = {printable(value)}"
            reply.data.setdefault("display", {})[expression] = value
