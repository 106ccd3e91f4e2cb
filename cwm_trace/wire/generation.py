"""The trace inside a generated text: what stands around it is passed over and named, never scored.

Generations come as `generate()` and servers return them and as people store them: after the prompt or without
it, with thoughts, blanks, code fences, padding, tokens of chat templates, a second end token, Windows line
ends, the quotes of a JSON string. None of that is the model's idea of the execution. What is missing is
really lost, but it does not take the frames after it along.
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass, field, replace

from cwm_trace.records import Event, Problem, Trace
from cwm_trace.wire.context import START_MARKER, parse_context, source_lines
from cwm_trace.wire.parse import TraceParser, split
from cwm_trace.wire.profile import CWM, FormatProfile
from cwm_trace.wire.texts import parse_value
from cwm_trace.wire.tokens import TOKEN_EVENTS, Piece, Special

Place = tuple[int, Piece]
"""A piece and its position in the text."""

_SPECIAL = "|".join(re.escape(token.value) for token in Special)
_TOKEN = re.compile(_SPECIAL)
_STATE = re.compile("|".join(re.escape(token.value) for token in (Special.CALL, Special.LINE)))
_SPACED = re.compile(f" ?({_SPECIAL}) ?")
_START = re.compile(f"(?:{_SPECIAL})|```")
_END_OF_OTHERS = re.compile(
    r"<\|(?:eot_id|eom_id|im_end|endoftext|eos|end|end_of_turn|return)\|>|</s>|<eos>|<end_of_turn>"
    r"|<｜end▁of▁sentence｜>"  # noqa: RUF001 (those are the characters of that token)
)
_NOTHING_OF_OTHERS = re.compile(
    r"<\|?(?:pad|PAD|padding|pad_id|finetune_right_pad_id|unk|bos|startoftext|reserved_special_token_\d+)\|?>"
    r"|\[PAD\]|<s>|<\|im_start\|>(?:assistant)?|<\|start_header_id\|>assistant<\|end_header_id\|>|```\w*"
)
_AT_END = re.compile(f"(?:{_END_OF_OTHERS.pattern}|{_NOTHING_OF_OTHERS.pattern})\\Z")
_LAST_LINES = re.compile(r"\n\s*\Z")
_THOUGHTS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<|reasoning_thinking_start|>", "<|reasoning_thinking_end|>"),
)
_SHOWN = 40  # characters of a text that is no trace


@dataclass(frozen=True, slots=True)
class Generation:
    """A generated text, read.

    Args:
        trace: the given frames and the predicted ones; `incomplete` where no end was said.
        skipped: what stood around and between the frames.
        fault: why there is no trace in it; empty if there is one.
        is_other: it is the trace of another program.
    """

    trace: Trace
    skipped: tuple[str, ...] = ()
    fault: str = ""
    is_other: bool = False


def read_generation(text: str, start: Trace, profile: FormatProfile = CWM) -> Generation:
    """Find the trace in a text and read it.

    Args:
        text: what was generated after the given frames, whatever stands around it.
        start: the program and its given frames.
        profile: which reading of the format to assume.
    """
    return _Reading(start, profile).read(text)


@dataclass
class _Reading:
    start: Trace
    profile: FormatProfile
    skipped: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def read(self, text: str) -> Generation:
        said = self._without_thoughts(self._unwrapped(text))
        if said is None:
            return self._nothing("it ends inside its thoughts: it takes more tokens")
        pieces = [*split(said, None)]
        after = self._after_prompt(pieces)
        if after is None:
            fault = "it goes on from the prompt of another program"
            return replace(self._nothing(fault), is_other=True)
        if not any(_is_event(piece) or piece in (Special.ACTION, Special.END) for _, piece in after):
            return self._nothing(self._why_nothing(said))
        parser = TraceParser(self.start, self.profile)
        self._parse(parser, after)
        trace = parser.finish()
        problems = sorted([*trace.guess.problems, *self.problems], key=lambda problem: problem.frame)
        return Generation(
            replace(trace, guess=replace(trace.guess, problems=tuple(problems))),
            tuple(dict.fromkeys(self.skipped)),
        )

    def _nothing(self, fault: str) -> Generation:
        trace = TraceParser(self.start, self.profile).finish()
        problem = Problem("tokens", len(self.start.frames), 0, fault)
        return Generation(
            replace(trace, guess=replace(trace.guess, problems=(*trace.guess.problems, problem))),
            tuple(dict.fromkeys(self.skipped)),
            fault,
        )

    def _why_nothing(self, text: str) -> str:
        bare = _NOTHING_OF_OTHERS.sub("", _END_OF_OTHERS.sub("", text)).strip()
        if not bare:
            return "it is empty"
        lines = {line.strip() for line in source_lines(self.start.files[0].text) if len(line.strip()) > 3}
        if "{" in bare and any(line in bare for line in lines):
            return "its special tokens are missing: decode it again with skip_special_tokens=False"
        shown = bare if len(bare) <= _SHOWN else f"{bare[:_SHOWN]}…"
        return f"there is no frame in it, only {shown!r}"

    def _unwrapped(self, text: str) -> str:
        """The text without what files and tokenizers put on it."""
        if text.startswith("\ufeff"):
            text = text.removeprefix("\ufeff")
            self.skipped.append("a byte order mark")
        bare = text.strip()
        if bare.startswith('"') and bare.endswith('"') and "<" in bare:
            try:
                inner = json.loads(bare)
            except ValueError:
                inner = None
            if isinstance(inner, str):
                text = inner
                self.skipped.append("the quotes of a JSON string")
        if "&lt;|" in text and not _TOKEN.search(text):
            text = html.unescape(text)
            self.skipped.append("the escapes of HTML")
        if "\r\n" in text:
            text = text.replace("\r\n", "\n")
            self.skipped.append("carriage returns")
        states = [*_STATE.finditer(text)]
        if states and all(text[match.end() : match.end() + 1] == " " for match in states):
            text = _SPACED.sub(r"\1", text)
            self.skipped.append("spaces around special tokens")
        return text

    def _without_thoughts(self, text: str) -> str | None:
        """The text behind the thoughts that it starts with; None if they never end."""
        bare = text.lstrip()
        bare = bare.removeprefix(Special.BEGIN.value).lstrip()
        for opening, closing in _THOUGHTS:
            if bare.startswith(opening):
                _, found, rest = bare.partition(closing)
                if not found:
                    return None
                self.skipped.append("thoughts before the trace")
                return rest
            before, found, rest = text.partition(closing)
            while found and not self._starts_behind(before, rest):
                more, found, rest = rest.partition(closing)
                before += closing + more
            if found:
                self.skipped.append("thoughts before the trace")
                return rest
        return text

    def _starts_behind(self, before: str, rest: str) -> bool:
        """Whether a trace starts behind the end of thoughts that the prompt began: no value says that."""
        start = _START.match(rest.lstrip())
        return start is not None and (start.group() != "```" or not _TOKEN.search(before))

    def _after_prompt(self, pieces: list[Place]) -> list[Place] | None:
        """What stands behind the context of this program, if the prompt is there; None: of others only."""
        first_event = next((at for at, (_, piece) in enumerate(pieces) if _is_event(piece)), len(pieces))
        starts = [at for at, (_, piece) in enumerate(pieces) if piece is Special.CONTEXT]
        if not starts or starts[0] > first_event:
            return pieces
        for at in starts:
            text = pieces[at + 1][1] if at + 1 < len(pieces) else ""
            if isinstance(text, str) and self._is_ours(text):
                self.skipped.append("the prompt")
                return pieces[at + 2 :]
        return None

    def _is_ours(self, text: str) -> bool:
        files, _, _ = parse_context(text)
        ours = [_bare(file.text) for file in self.start.files]
        return len(ours) > 1 or _bare(files[0].text) == ours[0]

    def _parse(self, parser: TraceParser, pieces: list[Place]) -> None:
        """Feed the parser frame by frame, each as it should be written."""
        start = 0
        while start < len(pieces):
            chunk, closing, start = _next_chunk(pieces, start)
            at = next(
                (n for n, (_, p) in enumerate(chunk) if _is_event(p) or p is Special.ACTION), len(chunk)
            )
            head, body = chunk[:at], chunk[at:]
            position = chunk[0][0] if chunk else closing[0]
            if any(piece is Special.CONTEXT for _, piece in head):
                self.skipped.append("another prompt after the trace")
                return
            before = "".join(piece for _, piece in head if isinstance(piece, str))
            said, has_ended = _without_tokens_of_others(before)
            if has_ended and not body:
                parser.take(position, Special.END)
                self._pass_over(pieces[start:])
                return
            if body and not _is_event(body[0][1]):
                body = self._with_event(said, body, parser)
            elif before and (body or said or closing[1] is Special.FRAME):
                self._take_text(said, position, parser, is_cut=not body and closing[1] == "")
            body, has_ended = _tidied(body)
            if len(parser.frames) == len(self.start.frames) and self._is_given(body):
                self.skipped.append("the given frame, said again")
                continue
            is_whole = closing[1] is Special.FRAME or self._is_whole(body)
            for place in body:
                parser.take(*place)
            if body and is_whole:
                if closing[1] is Special.END:
                    self._fault(parser, position, "the last frame has no separator behind it")
                parser.take(closing[0], Special.FRAME)
            elif not chunk and closing[1] is Special.FRAME and len(parser.frames) > len(self.start.frames):
                self._fault(parser, position, "a separator without a frame")
            if closing[1] is Special.END or has_ended:
                parser.take(closing[0], Special.END)
                self._pass_over(pieces[start:])
                return

    def _with_event(self, said: str, body: list[Place], parser: TraceParser) -> list[Place]:
        """A frame that lost its event's token: what it is, its form tells."""
        self._fault(parser, body[0][0], "a frame without the token of its event")
        position = body[0][0]
        if any(piece is Special.ARG for _, piece in body):
            return [(position, Special.RETURN), *body]
        state = said[max(0, said.find("{")) :]
        is_call = str(body[-1][1]).lstrip().startswith(("def ", "async def ")) and '".."' not in state
        return [(position, Special.CALL if is_call else Special.LINE), (position, state), *body]

    def _take_text(self, said: str, position: int, parser: TraceParser, *, is_cut: bool) -> None:
        """Text where a frame should be."""
        is_first = len(parser.frames) == len(self.start.frames)
        if not said:
            self.skipped.append(f"blanks {'before the trace' if is_first else 'between frames'}")
        elif is_first and not is_cut:
            self.skipped.append("text before the trace")
        elif parser.entry_outcome is not None:
            self.skipped.append("text after the trace")
        elif is_cut:
            parser.take(position, said)
        else:
            self.skipped.append("text between frames")
            self._fault(parser, position, "text between frames")

    def _pass_over(self, rest: list[Place]) -> None:
        """What follows the end token is nobody's prediction: servers stop there."""
        if rest:
            texts = "".join(piece for _, piece in rest if isinstance(piece, str))
            is_token = not _without_tokens_of_others(texts)[0] and not any(_is_event(p) for _, p in rest)
            self.skipped.append("tokens after the end token" if is_token else "text after the end token")

    def _is_given(self, body: list[Place]) -> bool:
        """Whether a frame is the CALL of the entry, which was given."""
        if len(self.start.frames) != 1 or len(body) != 4 or body[0][1] is not Special.CALL:
            return False
        source = str(body[3][1]).rstrip("\n").removesuffix(START_MARKER).strip()
        return self.start.frames[0].event is Event.CALL and source == self.start.frames[0].source.strip()

    def _is_whole(self, body: list[Place]) -> bool:
        """Whether a frame with nothing behind it has all of its text."""
        match [piece for _, piece in body]:
            case [Special.RETURN | Special.EXCEPTION, Special.ACTION, str(), Special.ARG, str(value)]:
                return parse_value(value)[1] is None
            case [Special.CALL | Special.LINE, str(), Special.ACTION, str(source)] if source.endswith("\n"):
                source = source.removesuffix("\n").removesuffix(START_MARKER).strip()
                return any(source == line.strip() for line in source_lines(self.start.files[0].text))
            case _:
                return False

    def _fault(self, parser: TraceParser, position: int, message: str) -> None:
        self.problems.append(Problem("tokens", len(parser.frames), position, message))


def _next_chunk(pieces: list[Place], start: int) -> tuple[list[Place], Place, int]:
    """What stands before the next separator or end token, it (`""`: none), and where the rest begins."""
    for at in range(start, len(pieces)):
        if pieces[at][1] in (Special.FRAME, Special.END):
            return pieces[start:at], pieces[at], at + 1
    return pieces[start:], (pieces[-1][0], ""), len(pieces)


def _without_tokens_of_others(text: str) -> tuple[str, bool]:
    """A text without blanks and foreign tokens at both ends, and whether one of them ends a text."""
    has_ended = False
    while True:
        text = text.strip()
        front = _NOTHING_OF_OTHERS.match(text) or _END_OF_OTHERS.match(text)
        if front is not None:
            has_ended |= _END_OF_OTHERS.match(text) is not None
            text = text[front.end() :]
            continue
        back = _AT_END.search(text)
        if back is None:
            return text, has_ended
        has_ended |= _END_OF_OTHERS.match(back.group()) is not None
        text = text[: back.start()]


def _tidied(body: list[Place]) -> tuple[list[Place], bool]:
    """A frame without blanks and foreign tokens behind it, and whether one of those ends the trace."""
    if not body or not isinstance(body[-1][1], str):
        return body, False
    position, text = body[-1][0], str(body[-1][1])
    has_ended = False
    while (back := _AT_END.search(text.rstrip())) is not None:
        has_ended |= _END_OF_OTHERS.match(back.group()) is not None
        text = text[: back.start()]
    if Special.ARG in [piece for _, piece in body]:
        text = text.strip()
    else:
        text = _LAST_LINES.sub("\n", text)
    return [*body[:-1], (position, text)], has_ended


def _is_event(piece: Piece) -> bool:
    return isinstance(piece, Special) and piece in TOKEN_EVENTS and piece is not Special.END


def _bare(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().split("\n"))
