"""Any chat model as a predictor: the format is explained, shown once, and read back from plain text.

A chat gives no ids and can be forced to nothing, so this measures another thing than a model of traces does:
the special tokens are written out, and what the model was to begin with is only asked for. Values that spell
a special token are ambiguous in text. The ids of the rollout are those of `TraceTokens.of_bytes`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.predict.backends.asking import asking_setup
from cwm_trace.model.predict.backends.completions import PATIENT, Client, Patience, ServerError
from cwm_trace.model.predict.backends.continuer import Ask, Continuation, Verdict
from cwm_trace.model.predict.predictor import ModelPredictor
from cwm_trace.predict.kept_answers import Answers
from cwm_trace.records import Decoding
from cwm_trace.wire.parse import split
from cwm_trace.wire.profile import CWM, FormatProfile
from cwm_trace.wire.tokens import Special, TraceTokens

BYTES = TraceTokens.of_bytes()

FORMAT = """\
You predict what a Python program does when it runs, one event at a time, in this format:

<|call_sep|>LOCALS<|action_sep|>SOURCE<|frame_sep|>        a function is called; LOCALS are its arguments
<|line_sep|>LOCALS<|action_sep|>SOURCE<|frame_sep|>        a line is about to run; LOCALS is the state before
<|return_sep|><|action_sep|>SOURCE<|arg_sep|>VALUE<|frame_sep|>      a function returns VALUE from that line
<|exception_sep|><|action_sep|>SOURCE<|arg_sep|>VALUE<|frame_sep|>   a line raises, or an exception passes it
<|end_of_text|>                                            after the entry has returned

LOCALS is a JSON object of all local variables, each value the JSON string of its Python repr. ".." stands for
a value that is the same as in the frame before of the same call, if no other call came between; a
<|call_sep|> frame never has "..". SOURCE is the whole line of the program with its indentation, and a line
break after it. VALUE is the JSON string of a repr. Only the program's own code makes frames. The program
comes first; its entry is marked with "# << START_OF_TRACE". Go on exactly where the text ends. Answer with
frames only: no explanation, no code fence.
"""

EXAMPLE = """\
<|begin_of_text|><|trace_context_start|>
def double(x):
    y = x * 2
    return y

def main():  # << START_OF_TRACE
    return double(4)
<|frame_sep|><|call_sep|>{}<|action_sep|>def main():
<|frame_sep|>"""

EXAMPLE_ANSWER = """\
<|line_sep|>{}<|action_sep|>    return double(4)
<|frame_sep|><|call_sep|>{"x": "4"}<|action_sep|>def double(x):
<|frame_sep|><|line_sep|>{"x": ".."}<|action_sep|>    y = x * 2
<|frame_sep|><|line_sep|>{"x": "..", "y": "8"}<|action_sep|>    return y
<|frame_sep|><|return_sep|><|action_sep|>    return y
<|arg_sep|>"8"<|frame_sep|><|return_sep|><|action_sep|>    return double(4)
<|arg_sep|>"8"<|frame_sep|><|end_of_text|>"""

_MAX_TOKENS = 4096
"""Of one reply, if nobody says otherwise."""
_MAX_BYTES = 100_000
"""Of one prediction or block, likewise."""

STATEFUL = (Special.CALL.value, Special.LINE.value)
_FENCE = re.compile(r"\A\s*```[\w-]*\n(.*?)\n?```\s*\Z", re.DOTALL)
_THINKING = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_BETWEEN = re.compile(r"(?<=<\|frame_sep\|>)\s+(?=<\|)")


class ChatPredictor(ModelPredictor):
    """Predicts with any model behind `/v1/chat/completions`.

    Args:
        url: of the server, such as `https://api.example.org`.
        model: its name there.
        decoding: how it is to decode. `max_new_tokens` are bytes here, of one prediction or block, however
            many replies: a model may go in circles. `extra` are further fields of every request,
            `max_tokens` of one reply among them: what is cut off there is asked for no more.
        profile: how frames are written.
        concurrency: requests to the server at a time.
        answers: a file that keeps every reply.
        key: API key.
        patience: time-outs and retries.

    Raises:
        CwmTraceError: a grammar or log-probabilities are asked for, which a chat does not have.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        decoding: Decoding = Decoding(),
        profile: FormatProfile = CWM,
        concurrency: int = 8,
        answers: str | os.PathLike[str] | None = None,
        key: str | None = None,
        patience: Patience = PATIENT,
    ) -> None:
        if decoding.constrained or decoding.logprobs:
            raise CwmTraceError("a chat has no tokens of ours to constrain or score: leave the option out")
        client = Client(url, key, patience)
        decoding = replace(
            decoding,
            predictor="chat",
            model=f"{client.url}#{model}",
            grammar="none",
            max_new_tokens=decoding.max_new_tokens or _MAX_BYTES,
            extra={"max_tokens": _MAX_TOKENS, **decoding.extra},
            profile=profile.name,
            profile_hash=profile.hash,
        )
        continuer = ChatContinuer(client, model, decoding, Answers(answers), concurrency)
        super().__init__(asking_setup(model, continuer, BYTES, decoding, profile), concurrency)
        self._client = client

    def _stop(self) -> None:
        self._client.stop()


class ChatContinuer:
    """Continues texts, as ids of bytes, by asking a chat model to.

    Args:
        client: of the server.
        model: its name there.
        decoding: temperature and top-p, and further fields of every request; seeds come with each text.
        answers: what has been answered before.
        concurrency: requests at a time.
    """

    can_judge = False
    attention = ""
    length = None

    def __init__(
        self,
        client: Client,
        model: str,
        decoding: Decoding = Decoding(),
        answers: Answers | None = None,
        concurrency: int = 8,
    ) -> None:
        self._client, self._decoding = client, decoding
        self._fields = {"model": model, **decoding.extra}
        self._answers = Answers(None) if answers is None else answers
        self._pool = ThreadPoolExecutor(max(1, concurrency), "cwm-trace-request")

    def continue_all(self, asks: Sequence[Ask], *, logprobs: bool = False) -> list[Continuation]:  # noqa: ARG002
        """Ask for each text; a chat has no log-probabilities of our ids."""
        return [*self._pool.map(self._continue, asks)]

    def judge(self, ids: Sequence[int], start: int) -> list[Verdict]:
        """A chat cannot."""
        raise NotImplementedError

    def _continue(self, ask: Ask) -> Continuation:
        fields = {**self._fields, "messages": messages(spell(ask.ids)), "temperature": 0.0}
        if ask.seed is not None:
            drawn = {"temperature": self._decoding.temperature, "top_p": self._decoding.top_p}
            fields |= {**drawn, "seed": ask.seed}
        one_frame = BYTES.ids[Special.FRAME] in ask.stop_ids
        if one_frame:
            fields["stop"] = [Special.FRAME.value]
        reply = self._answers.find(fields)
        if reply is None:
            reply = self._reply(fields)
            self._answers.keep(fields, reply)
        content, finish = reply
        begun = spell(ask.ids[_frame_start(ask.ids) :])
        text = clean(content, begun)
        if one_frame and text and (begun + text).startswith(STATEFUL) and Special.FRAME.value not in text:
            text += "\n"  # of the source line
        ids = BYTES.encode_pieces([piece for _, piece in split(text, None)])
        stopped = next((at + 1 for at, number in enumerate(ids) if number in ask.stop_ids), 0)
        if stopped:
            return Continuation(tuple(ids[:stopped]), None, 1)
        if one_frame and ids and finish != "length":  # servers leave the stop string out
            return Continuation((*ids, BYTES.ids[Special.FRAME]), None, 1)
        goes_on = BYTES.ids[Special.FRAME] in ids and finish != "length"
        return Continuation(tuple(ids), None, 1, exhausted=not goes_on)

    def _reply(self, fields: Mapping[str, Any]) -> list[str]:
        answer = self._client.post("/v1/chat/completions", fields)
        try:
            choice = answer["choices"][0]
            return [str(choice["message"]["content"] or ""), str(choice.get("finish_reason"))]
        except (KeyError, IndexError, TypeError):
            raise ServerError(f"the server at {self._client.url} answered with no message") from None


def messages(text: str) -> list[dict[str, str]]:
    """The format, one worked example, and the text to continue."""
    return [
        {"role": "system", "content": FORMAT},
        {"role": "user", "content": EXAMPLE},
        {"role": "assistant", "content": EXAMPLE_ANSWER},
        {"role": "user", "content": text},
    ]


def spell(ids: Sequence[int]) -> str:
    """Ids of bytes as text, special tokens written out."""
    pieces = [piece for _, piece in split(ids, BYTES)]
    return "".join(piece.value if isinstance(piece, Special) else piece for piece in pieces)


def clean(reply: str, begun: str) -> str:
    """A reply without what chat models put around and between frames.

    Thoughts, a code fence, blanks between frames, and the beginning of the frame, if it is said again.
    """
    reply = _THINKING.sub("", reply)
    fenced = _FENCE.match(reply)
    reply = fenced.group(1) if fenced else reply
    reply = _BETWEEN.sub("", reply.strip(" \n") if not begun else reply.rstrip(" \n").lstrip("\n"))
    return reply.removeprefix(begun)


def _frame_start(ids: Sequence[int]) -> int:
    """Where the frame that a text ends in begins."""
    separator = BYTES.ids[Special.FRAME]
    return next((at for at in range(len(ids), 0, -1) if ids[at - 1] == separator), 0)
