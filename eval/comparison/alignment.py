"""Real and predicted frames by position, each pair with what is equal in it.

States are compared by what changed: a step costs as much as its changes, however many variables are bound.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest

from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.comparison.equality import Equality, value_key
from cwm_trace.eval.comparison.state_keys import Keys, StateKeys
from cwm_trace.predict.modes import Mode, ModeKind, keep_frames, parse_mode, visible_indices
from cwm_trace.predict.protocol import ENDED
from cwm_trace.records import Event, Frame, Slot, Trace
from cwm_trace.states import Activations
from cwm_trace.wire.context import TEXT_FILE
from cwm_trace.wire.profile import CWM, PROFILES
from cwm_trace.wire.render import FrameRenderer, shown_indices
from cwm_trace.wire.shown import trace_as_shown
from cwm_trace.wire.texts import parse_locals, parse_value

_STATEFUL = (Event.CALL, Event.LINE)
_NONE = Slot("None", "NoneType")
_NOTHING: tuple[frozenset[str], Keys, Keys] = (frozenset(), {}, {})


@dataclass(frozen=True, slots=True)
class Mask:
    """What is not the program's doing: values and steps that another run of it does not repeat.

    Args:
        names: variables by index of the frame in whose state they differ between two real runs.
        values: indices of the RETURN and EXCEPTION frames whose values differ.
        end: index from which on the two runs take different paths; None: they never do.
    """

    names: Mapping[int, frozenset[str]] = field(default_factory=dict)
    values: frozenset[int] = frozenset()
    end: int | None = None


NO_MASK = Mask()


@dataclass(slots=True)
class Pair:
    """The real and the predicted frame at one position; one of them may be missing.

    Args:
        index: position in both traces.
        given: the prediction was handed this frame.
        scored: it counts: not given, not masked, and not beyond the end of a recording that was cut.
        real, predicted: the frames.
        event: the events are equal.
        control: event and line are equal.
        source: event and source text are equal.
        state: the states are equal, key set included; None if the real frame has none, or it was given.
        value: the values are equal; None likewise.
        exact: everything that was predicted is equal.
        wrong: variables whose values differ in the two states, or that only one of them has.
        real_changes, predicted_changes: what changed against the last state of the same activation: in each
            trace's own frames, but where the prediction was handed the true history, in that.
    """

    index: int
    given: bool
    scored: bool
    real: Frame | None
    predicted: Frame | None
    event: bool
    control: bool
    source: bool
    state: bool | None
    value: bool | None
    exact: bool
    wrong: frozenset[str]
    real_changes: Keys
    predicted_changes: Keys


@dataclass(frozen=True, slots=True)
class Alignment:
    """Two traces of one program side by side.

    Args:
        real, predicted: the frames that the mode speaks about.
        mode: of the prediction.
        equality: how values were compared.
        mask: what was left out.
        pairs: by position.
        places: which frames of the whole real trace those of `real` are.
        faults: positions of predicted frames that cannot be read: their tokens or locals are not valid.
    """

    real: Trace
    predicted: Trace
    mode: Mode
    equality: Equality
    mask: Mask
    pairs: tuple[Pair, ...]
    places: Sequence[int]
    faults: frozenset[int] = frozenset()

    @property
    def was_cut(self) -> bool:
        """Whether a budget, or anything else but its own end token, ended the prediction."""
        return self.predicted.outcome not in ENDED

    @property
    def real_ended(self) -> bool:
        """Whether the end of the real execution was recorded and is not masked."""
        return self.real.outcome in ENDED and self.mask.end is None


def align(
    real: Trace, predicted: Trace, equality: Equality = Equality.NORMAL, mask: Mask = NO_MASK
) -> Alignment:
    """Pair frame i with frame i, of what the prediction's mode speaks about.

    Raises:
        CwmTraceError: the traces are of different programs, or the mode is unknown.
    """
    places: Sequence[int] = range(len(real.frames))
    if real.files[:1] and predicted.files[:1] and real.files[0].text != predicted.files[0].text:
        whole = real
        real, predicted = _of_one_program(whole, predicted)
        if real is not whole:
            places = shown_indices(whole)
    predicted = _with_files_of(real, predicted)
    mode = parse_mode(predicted.guess.mode or "free")
    faults = [p.frame for p in predicted.guess.problems if p.grade in ("tokens", "locals")]
    if predicted.guess.mode and not mode.needs_truth:  # two recordings are compared whole
        real = replace(real, guess=replace(real.guess, given=_given_of(real, predicted)))
        kept = visible_indices(real, mode)
        if real.entry_return is not None and _ends_with_the_entry(predicted):
            kept = [index for index in kept if index <= real.entry_return]
        places = [places[index] for index in kept]
        shown = visible_indices(predicted, mode)
        if faults:
            numbers = {index: at for at, index in enumerate(shown)}
            faults = [numbers[index] for index in faults if index in numbers]
        mask = _visible_mask(mask, kept)
        real = keep_frames(real, kept)
        predicted = keep_frames(predicted, shown)
    pairs = tuple(_Aligner(real, predicted, mode, equality, mask).pairs())
    return Alignment(real, predicted, mode, equality, mask, pairs, places, frozenset(faults))


def _of_one_program(real: Trace, predicted: Trace) -> tuple[Trace, Trace]:
    """Both as text shows them, if one of the two went through text."""
    from_text = [trace.files[0].name == TEXT_FILE for trace in (real, predicted)]
    ours, theirs = real, predicted
    if from_text == [False, True]:
        ours = trace_as_shown(real, PROFILES.get(predicted.profile, CWM))
    elif from_text == [True, False]:
        theirs = trace_as_shown(predicted, PROFILES.get(real.profile, CWM))
    if ours.files[0].text == theirs.files[0].text:
        return ours, theirs
    sides = (ours.files[0].text.split("\n"), theirs.files[0].text.split("\n"))
    line, (one, other) = next(
        (number, pair)
        for number, pair in enumerate(zip_longest(*sides, fillvalue=None), start=1)
        if pair[0] != pair[1]
    )
    text = ", as its text shows it," if from_text[0] != from_text[1] else ""
    raise CwmTraceError(
        f"the two traces are of different programs: line {line}{text} is {_quoted(one)} in the first"
        f" and {_quoted(other)} in the second"
    )


def _ends_with_the_entry(predicted: Trace) -> bool:
    """Whether it says nothing of what runs after the entry's return, such as exit handlers: no model can."""
    last = predicted.entry_return
    return last is None or not any(
        not frame.thread and frame.event is not Event.END for frame in predicted.frames[last + 1 :]
    )


def _given_of(real: Trace, predicted: Trace) -> int:
    """How many real frames stand before what was predicted: a prediction may leave out other threads'."""
    given = predicted.guess.given
    if not any(frame.thread for frame in real.frames[: given + 1]):
        return given
    left = sum(not frame.thread for frame in predicted.frames[:given])
    own = [at for at, frame in enumerate(real.frames) if not frame.thread]
    return own[min(left, len(own)) - 1] + 1 if left and own else 0


def _with_files_of(real: Trace, predicted: Trace) -> Trace:
    """The prediction with its files numbered as the real trace has them: by name, else by their text.

    Two runs of one program may import its modules in another order.
    """
    if predicted.files[1:] == real.files[1:]:
        return predicted
    files, named = [*real.files], {file.name: at for at, file in enumerate(real.files) if at}
    numbers = {at: named[file.name] for at, file in enumerate(predicted.files) if at and file.name in named}
    for at, file in enumerate(predicted.files[1:], start=1):
        if at in numbers:
            continue
        taken = {0, *numbers.values()}
        alike = (to for to, other in enumerate(real.files) if to not in taken and other.text == file.text)
        numbers[at] = next(alike, len(files))
        files += [file] * (numbers[at] == len(files))
    frames = [
        replace(frame, file=numbers[frame.file]) if frame.file in numbers else frame
        for frame in predicted.frames
    ]
    program = replace(predicted.program, files=(*predicted.files[:1], *files[1:]))
    return replace(predicted, program=program, frames=tuple(frames))


def _is_unreadable(frame: Frame) -> bool:
    """Whether a predicted frame's state or value is no JSON: that is none, not an unchanged or empty one."""
    if frame.raw is None:
        return False
    if frame.event in _STATEFUL:
        return parse_locals(frame.raw[0])[0] is None
    return bool(frame.raw[1].strip()) and parse_value(frame.raw[1])[0] is None


def _quoted(line: str | None) -> str:
    return "missing" if line is None else repr(f"{line[:59]}…" if len(line) > 60 else line.strip())


def _visible_mask(mask: Mask, kept: Sequence[int]) -> Mask:
    """The mask by positions among the frames that were kept."""
    if mask == NO_MASK:
        return mask
    names = {at: mask.names[index] for at, index in enumerate(kept) if index in mask.names}
    values = frozenset(at for at, index in enumerate(kept) if index in mask.values)
    end = None
    if mask.end is not None and kept and mask.end <= kept[-1]:
        end = bisect_left(kept, mask.end)
    return Mask(names, values, end)


def _without(changes: Keys, names: frozenset[str]) -> Keys:
    return {name: key for name, key in changes.items() if name not in names}


class _Aligner:
    def __init__(self, real: Trace, predicted: Trace, mode: Mode, equality: Equality, mask: Mask) -> None:
        self._real, self._predicted = real, predicted
        self._equality, self._mask = equality, mask
        self._profile = PROFILES.get(predicted.profile or real.profile, CWM)
        self._block = 1 if mode.is_forced else mode.number if mode.kind is ModeKind.REGROUND else 0
        self._counts_state = not mode.gives_state
        self._states = StateKeys(equality, self._block)

    def pairs(self) -> list[Pair]:
        real, predicted, given = self._real, self._predicted, self._predicted.guess.given
        end = len(real.frames) if real.outcome not in ENDED else None
        if self._mask.end is not None:
            end = self._mask.end
        texts = None
        if self._equality is Equality.EXACT and self._counts_state:
            texts = _Texts(real, predicted, bool(self._block))
        states, block, hidden = self._states, self._block, self._mask.names
        pairs = []
        for index, (a, b) in enumerate(zip_longest(real.frames, predicted.frames)):
            if block > 1 and (index - given) % block == 0:
                states.start_block()
            wrong, real_changes, changes = states.advance(a, b) if self._counts_state else _NOTHING
            if index in hidden:
                wrong = wrong - hidden[index]
                real_changes, changes = (
                    _without(real_changes, hidden[index]),
                    _without(changes, hidden[index]),
                )
            state = value = None
            event = source = control = right = False
            if a is not None:
                if b is not None and a.event is b.event:
                    event, source = True, a.source == b.source
                    control = a.line == b.line and a.file == b.file
                readable = b is None or b.raw is None or not _is_unreadable(b)
                if a.event in _STATEFUL:
                    if self._counts_state:
                        state = b is not None and b.event in _STATEFUL and not wrong and readable
                    right = state is not False
                elif index not in self._mask.values:
                    right = value = event and b is not None and readable and self._values_equal(a, b)
                else:
                    right = True
            pair = Pair(
                index,
                index < given,
                index >= given and (end is None or index < end),
                a,
                b,
                event,
                control,
                source,
                state,
                value,
                source and right,
                wrong,
                real_changes,
                changes,
            )
            if texts is not None:
                pair.exact = texts.equal(pair) if index not in hidden else pair.exact
            pairs.append(pair)
        return pairs

    def _values_equal(self, a: Frame, b: Frame) -> bool:
        real, predicted = a.value or _NONE, b.value or _NONE
        text = real.text
        if a.event is Event.EXCEPTION and self._profile.exception_value != "repr":
            text = self._profile.text_of_exception(real, a.message)
        kind, level = real.type, self._equality
        return value_key(text, kind, level) == value_key(predicted.text, kind, level)


class _Texts:
    """Whether frames are equal as they are written: `exact` tells more apart than the records do."""

    def __init__(self, real: Trace, predicted: Trace, follows_truth: bool) -> None:
        profile = PROFILES.get(real.profile, CWM)  # only its `addresses` could make a difference here
        self._sides = tuple((FrameRenderer(t, profile), Activations()) for t in (real, predicted))
        self._follows_truth = follows_truth

    def equal(self, pair: Pair) -> bool:
        real, names = self._read(0, pair.real)
        predicted, others = self._read(1, pair.predicted)
        if not pair.exact or pair.predicted is None:
            return pair.exact and real == predicted
        if self._follows_truth and pair.predicted.raw is None:  # what `..` stood for cannot be told
            return names == others
        return real == predicted

    def _read(self, side: int, frame: Frame | None) -> tuple[tuple[str, str] | None, list[str]]:
        if frame is None or frame.event is Event.END:
            return None, []
        renderer, states = self._sides[side]
        names = list(states.advance(frame)) if frame.event in _STATEFUL else []
        return renderer.texts(frame) if frame.raw is None else (renderer.texts(frame), frame.raw)[1], names
