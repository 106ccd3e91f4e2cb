"""The modes whose predictions have their own history, as continuations of ids."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

from cwm_trace.model.predict.backends.asking import Asker, Text
from cwm_trace.model.predict.backends.truth import write_truth
from cwm_trace.model.predict.lark import frame_grammar
from cwm_trace.modes import Mode, ModeKind
from cwm_trace.predictor import Request, as_prediction, forces_return
from cwm_trace.records import Event, Frame, Outcome, Trace
from cwm_trace.wire.parse import TraceParser
from cwm_trace.wire.render import render_prompt
from cwm_trace.wire.tokens import Special

FIRST_CHUNK = 128
"""Tokens of the first continuation of a free prediction; each further one is twice as long, so that a
model which runs on past the last frame that was asked for wastes no more than it has said."""


class FreeRollout:
    """A prediction that goes on from its own frames: `free`, `output` and `step-over`."""

    def __init__(self, asker: Asker, request: Request, mode: Mode) -> None:
        self._asker, self._request, self._mode = asker, request, mode
        self._ids = asker.tokens.ids
        self._profile = asker.settings.profile
        self._parser = TraceParser(request.history, self._profile)
        self._outcome = Outcome.TRUNCATED

    def trace(self) -> Trace:
        """What has been predicted."""
        decoding, cost = self._asker.settings.decoding, self._asker.cost
        trace = as_prediction(self._request, self._parser.frames, self._outcome, decoding, cost)
        return replace(trace, profile=self._profile.name, problems=tuple(self._parser.problems))

    def frames(self) -> Iterator[Frame]:
        """Predict; yields the frames as they come."""
        separator, end = self._ids[Special.FRAME], self._ids[Special.END]
        history, asker, parser = self._request.history, self._asker, self._parser
        prompt = render_prompt(history, given=len(history.frames), profile=self._profile, tokens=asker.tokens)
        asker.check_prompt(len(prompt))
        text = Text(prompt)
        self._take_from_the_truth(text)
        read = 0  # ids that have been parsed
        chunk = FIRST_CHUNK
        left = self._request.max_frames
        while True:
            while left and (stop := find_end(text.ids, separator, read)):
                yield from self._read(text, read, stop)
                read, left = stop, left - 1
            ended = text.ids[-1:] == [end] and left > 0
            if not ended and self._is_over(left):
                return
            if ended or text.exhausted or not asker.left(text):
                yield from self._read(text, read, len(text.ids))
                self._outcome = parser.outcome if ended else Outcome.TRUNCATED
                return
            forced = read == len(text.ids) and forces_return(parser.frames, self._mode)
            if forced:
                text.give([self._ids[Special.RETURN]])
            if asker.constrains and parser.legal_events == {Event.END}:
                text.give([end])
                continue
            if asker.constrains:
                text.grammar = self._grammar(forced)
                chunk = sys.maxsize  # a grammar begins where a frame does
            if asker.left(text):
                asker.ask([text], self._stops(text.ids[read:]), chunk)
                chunk *= 2

    def _is_over(self, left: int) -> bool:
        """Whether nothing more is wanted: the entry has returned, or there are as many frames as allowed."""
        if self._mode.kind is ModeKind.OUTPUT and self._parser.entry_outcome is not None:
            self._outcome = self._parser.entry_outcome
            return True
        return not left

    def _grammar(self, forced: bool) -> str:
        """Of the next frame."""
        events = frozenset([Event.RETURN]) if forced else self._parser.legal_events
        return frame_grammar(
            self._request.history, events, self._profile, given="event" if forced else "nothing"
        )

    def _stops(self, begun: Sequence[int]) -> frozenset[int]:
        """What ends a continuation: the end token, and where the mode may have to force something."""
        end = self._ids[Special.END]
        if self._asker.constrains:
            return frozenset({end, self._ids[Special.FRAME]})
        match self._mode.kind:
            case ModeKind.FREE:
                return frozenset({end})
            case ModeKind.STEP_OVER if not begun:
                return frozenset({end, self._ids[Special.CALL]})
            case _:
                return frozenset({end, self._ids[Special.FRAME]})

    def _take_from_the_truth(self, text: Text) -> None:
        """Greedy decoding repeats the truth up to the first token that it would not have chosen."""
        truth, start = self._request.truth, len(text.prompt)
        if truth is None or self._mode.kind is not ModeKind.FREE or not self._asker.judges:
            return
        ids = write_truth(truth, self._asker.tokens, self._profile).ids
        if len(ids) > start and ids[:start] == text.prompt:
            ids = ids[: start + self._asker.left(text)]
            self._asker.accept(text, ids[start:], self._asker.judge(ids, start))

    def _read(self, text: Text, start: int, stop: int) -> Iterator[Frame]:
        """Parse one frame, or the last ids; yields the frame if it is one."""
        before = len(self._parser.frames)
        self._parser.feed(text.ids[start:stop], self._asker.tokens, start)
        if text.ids[stop - 1 : stop] != [self._ids[Special.FRAME]]:
            self._parser.finish()
        for index in range(before, len(self._parser.frames)):
            logprobs = self._asker.fields(text, start, stop)
            self._parser.frames[index] = replace(self._parser.frames[index], logprobs=logprobs)
            yield self._parser.frames[index]


def find_end(ids: Sequence[int], separator: int, start: int) -> int:
    """The position after the next separator; 0 if there is none."""
    try:
        return ids.index(separator, start) + 1
    except ValueError:
        return 0
