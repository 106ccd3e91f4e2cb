"""A real trace as ids: where each of its frames stands, and what a forced mode gives of one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cwm_trace.modes import Mode, ModeKind
from cwm_trace.predictor import ENDED
from cwm_trace.records import Event, Frame, Trace
from cwm_trace.wire.profile import FormatProfile
from cwm_trace.wire.reader import FrameReader
from cwm_trace.wire.render import main_thread, render_prompt
from cwm_trace.wire.tokens import Piece, Special, TraceTokens


@dataclass(frozen=True, slots=True)
class TrueFrame:
    """A frame that the wire shows.

    Args:
        index: its position in `Trace.frames`.
        frame: itself.
        start: position of its first id.
        end: position after its last one, the separator.
        pieces: what the ids say.
        legal: events that calls and returns allow here.
    """

    index: int
    frame: Frame
    start: int
    end: int
    pieces: tuple[Piece, ...]
    legal: frozenset[Event]


@dataclass(frozen=True, slots=True)
class TrueText:
    """A real trace as ids.

    Args:
        ids: context and frames, and the end token where the execution ended.
        frames: those that the wire shows: of the first thread, up to the return of the entry.
        ended: whether the last id is the end token.
    """

    ids: list[int]
    frames: list[TrueFrame]
    ended: bool


def write_truth(truth: Trace, tokens: TraceTokens, profile: FormatProfile) -> TrueText:
    """Write a real trace as ids."""
    ids = render_prompt(truth, given=0, profile=profile, tokens=tokens)
    reader = FrameReader(replace(truth, frames=()), profile)
    frames: list[TrueFrame] = []
    shown = [(index, frame) for index, frame in enumerate(truth.frames) if frame.thread == 0]
    for index, frame in shown[: len(main_thread(truth))]:
        legal = reader.legal_events
        pieces = reader.push(frame)
        start = len(ids)
        ids += tokens.encode_pieces(pieces)
        frames.append(TrueFrame(index, frame, start, len(ids), tuple(pieces), legal))
    ended = truth.outcome in ENDED
    if ended:
        ids.append(tokens.ids[Special.END])
    return TrueText(ids, frames, ended)


def given_ids(frame: TrueFrame, mode: Mode, tokens: TraceTokens) -> list[int]:
    """The ids of a frame that a mode gives: none, its event, or all up to `<|action_sep|>`."""
    match mode.kind:
        case ModeKind.FORCED_EVENT:
            pieces = frame.pieces[:1]
        case ModeKind.FORCED_STATE:
            pieces = frame.pieces[: frame.pieces.index(Special.ACTION) + 1] if frame.pieces else ()
        case _:
            pieces = ()
    return tokens.encode_pieces(pieces)
