"""The modes that go back to the truth, as continuations of ids: the forced ones and `reground`.

A block is the frames that are predicted one after the other before the truth is shown again; a forced mode
has blocks of one frame. Blocks do not depend on each other: their continuations are asked for together.
Where the model can judge a draft, the truth is one, in a single pass: greedy decoding says a block exactly as
far as each of its tokens is the one the model would have chosen, and only the rest is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.predict.backends.asking import Asker, Text
from cwm_trace.model.predict.backends.rollout import find_end
from cwm_trace.model.predict.backends.truth import TrueFrame, TrueText, given_ids, write_truth
from cwm_trace.model.predict.lark import Given, frame_grammar
from cwm_trace.modes import Mode, ModeKind
from cwm_trace.predictor import NO_MORE, Request, as_prediction, require_truth
from cwm_trace.records import Frame, Outcome, Problem, Trace
from cwm_trace.states import Activations
from cwm_trace.wire.parse import TraceParser
from cwm_trace.wire.render import STATEFUL
from cwm_trace.wire.tokens import Special

TOGETHER = 64
"""Blocks that are asked for at once: all their prompts are in memory."""
UNSHOWN = (
    "frames of other threads, and after the return of the entry, cannot be shown to a model: they stand as "
    "not predicted"
)


@dataclass(slots=True)
class Block:
    """Frames that are predicted from the true ones before them.

    Args:
        frames: the true ones; none: the end of the trace, which the model may miss.
        start: position of their first id.
        end: position after their last one.
        text: what is predicted instead.
        open: whether more is to be asked for.
    """

    frames: Sequence[TrueFrame]
    start: int
    end: int
    text: Text
    open: bool = True


def predict_blocks(asker: Asker, request: Request, mode: Mode) -> Trace:
    """Predict in a mode that needs the truth.

    A frame whose place no readable frame takes is an `END` with a problem; so is one that the budget cut.
    The prediction is `truncated` before the first true frame that does not fit the model.

    Raises:
        CwmTraceError: there is no truth, or the model does not answer; or the frame grammar is on in a mode
            whose blocks have several frames.
    """
    if asker.constrains and not mode.is_forced:
        raise CwmTraceError(f"a server cannot be constrained in mode {mode}: leave the constraint out")
    truth = require_truth(request, f"mode '{mode}'")
    text = write_truth(truth, asker.tokens, asker.settings.profile)
    given = len(request.history.frames)
    todo = [frame for frame in text.frames if frame.index >= given and frame.end > frame.start]
    if todo:
        asker.check_prompt(todo[0].start)
    blocks, whole = _plan(text, todo, mode, asker.length)
    _answer(asker, truth, text, blocks, mode)
    reading = _Reading(asker, text, truth, given)
    for block in blocks:
        reading.read(block)
    outcome = Outcome.TRUNCATED
    if whole:
        reading.fill(len(truth.frames))
        outcome = Outcome.INCOMPLETE if len(reading.frames) > len(truth.frames) else truth.outcome
    trace = as_prediction(request, reading.frames, outcome, asker.settings.decoding, asker.cost)
    return replace(
        trace,
        profile=asker.settings.profile.name,
        problems=tuple(reading.problems),
        warnings=(UNSHOWN,) if len(text.frames) < len(truth.frames) else (),
    )


def _plan(text: TrueText, todo: Sequence[TrueFrame], mode: Mode, length: int) -> tuple[list[Block], bool]:
    """The blocks that fit the model, and whether those are all."""
    size = 1 if mode.is_forced else mode.number
    fit = [frame for frame in todo if frame.end <= length]
    blocks = []
    for at in range(0, len(fit), size):
        frames = fit[at : at + size]
        blocks.append(Block(frames, frames[0].start, frames[-1].end, Text(text.ids[: frames[0].start])))
    whole = len(fit) == len(todo)
    if mode.kind is ModeKind.FORCED and text.ended and whole:
        end = len(text.ids)
        whole = end <= length
        if whole:
            blocks.append(Block([], end - 1, end, Text(text.ids[: end - 1])))
    return blocks, whole


def _answer(asker: Asker, program: Trace, text: TrueText, blocks: Sequence[Block], mode: Mode) -> None:
    """Take what is right in the draft, and ask for the rest, frame by frame."""
    stops = frozenset({asker.tokens.ids[Special.FRAME], asker.tokens.ids[Special.END]})
    first = blocks[0].start if blocks else 0
    verdicts = asker.judge(text.ids, first) if blocks and asker.judges else []
    for block in blocks:
        if asker.constrains and not block.frames:
            block.text.give([asker.tokens.ids[Special.END]])  # nothing else is legal
        if block.frames:
            block.text.give(given_ids(block.frames[0], mode, asker.tokens))
            if asker.constrains:
                block.text.grammar = _grammar(program, block.frames[0], mode, asker)
        if verdicts:
            start = block.start + block.text.given
            asker.accept(block.text, text.ids[start : block.end], verdicts[start - first : block.end - first])
        _settle(asker, block)
    for at in range(0, len(blocks), TOGETHER):
        group = blocks[at : at + TOGETHER]
        while waiting := [block for block in group if block.open]:
            asker.ask([block.text for block in waiting], stops)
            for block in waiting:
                _settle(asker, block)


def _grammar(program: Trace, frame: TrueFrame, mode: Mode, asker: Asker) -> str:
    """Of what is to be predicted of a frame."""
    given: Given = "nothing"
    if mode.kind is not ModeKind.FORCED:
        given = "event" if mode.kind is ModeKind.FORCED_EVENT else "state"
    events = frame.legal if given == "nothing" else frozenset([frame.frame.event])
    return frame_grammar(program, events, asker.settings.profile, given=given)


def _settle(asker: Asker, block: Block) -> None:
    """Close a block that has all its frames, or gets no more."""
    ids = block.text.ids
    count = ids.count(asker.tokens.ids[Special.FRAME])
    ended = ids[-1:] == [asker.tokens.ids[Special.END]]
    block.open = not (
        ended or count >= max(1, len(block.frames)) or block.text.exhausted or not asker.left(block.text)
    )


class _Reading:
    """Reads blocks in their order, each after the true frames before it.

    One parser follows the truth and is forked for each block, so that reading all of them takes time in
    proportion to the trace, not to its square.
    """

    def __init__(self, asker: Asker, text: TrueText, truth: Trace, given: int) -> None:
        self._asker, self._truth = asker, truth
        self._last = max((frame.index for frame in text.frames), default=-1)
        self._silent = {frame.index for frame in text.frames if frame.start == frame.end}
        self._parser = TraceParser(replace(truth, frames=(), problems=()), asker.settings.profile)
        self._states = Activations()  # of the true frames
        self._chain = Activations()  # of the predicted ones, so that they resolve by themselves
        self.frames: list[Frame] = list(truth.frames[:given])
        self.problems: list[Problem] = []
        for frame in self.frames:
            self._chain.advance(frame)

    def read(self, block: Block) -> None:
        """Read the next block."""
        known = block.frames[0].index if block.frames else self._last + 1
        for frame in self._truth.frames[len(self._parser.frames) : known]:
            self._parser.push(frame)
            self._states.advance(frame)
        branch = self._parser.fork()
        states = self._states.fork()
        places = [frame.index for frame in block.frames] or [len(self._truth.frames)]
        for place, (frame, texts) in zip(places, self._frames(block, branch), strict=False):
            self.fill(place)
            self.frames.append(self._chained(frame, states, texts) if frame.event in STATEFUL else frame)
        self.problems += branch.problems

    def _chained(self, frame: Frame, states: Activations, texts: tuple[str, str] | None) -> Frame:
        """The frame with the changes against the predicted frames before it, not the true ones."""
        state = states.advance(frame)
        changed = self._chain.change(frame.activation, state)
        reordered = [*self._chain.state(frame.activation)] != [*state]
        return replace(frame, changed=changed, raw=texts if reordered else frame.raw)

    def fill(self, until: int) -> None:
        """Stand-ins for true frames that have no ids: not predicted, or what a profile leaves out itself."""
        for index in range(len(self.frames), until):
            real = self._truth.frames[index]
            self.frames.append(real if index in self._silent else NO_MORE.frame)

    def _frames(self, block: Block, branch: TraceParser) -> list[tuple[Frame, tuple[str, str] | None]]:
        """A frame for each true one, with its texts: `END` where nothing was said that can be read."""
        text, start = block.text, 0
        found: list[tuple[Frame, tuple[str, str] | None]] = []
        while len(found) < max(1, len(block.frames)) and start < len(text.ids):
            stop = find_end(text.ids, self._asker.tokens.ids[Special.FRAME], start) or len(text.ids)
            branch.feed(text.ids[start:stop], self._asker.tokens, start)
            branch.finish()
            if len(branch.frames) == len(found):
                branch.frames.append(NO_MORE.frame)
            frame = replace(branch.frames[-1], logprobs=self._asker.fields(text, start, stop))
            found.append((frame, branch.texts))
            start = stop
        if not block.frames:  # nothing follows: saying so is no frame
            return [] if text.ids == [self._asker.tokens.ids[Special.END]] else found
        return found + [(NO_MORE.frame, None)] * (len(block.frames) - len(found))
