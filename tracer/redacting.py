"""A sink that lets no secret through: it keeps the recording until its end, when every secret is known."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Protocol

from cwm_trace.plain import SourceLines, fields_of_lines
from cwm_trace.records import FrameFields, Program, SlotFields, SourceFile, Trace
from cwm_trace.tracer.redaction import PLACEHOLDER, Rules, Secrets, shown_rules

if TYPE_CHECKING:
    from cwm_trace.tracer._recorder import Log

_DEF = re.compile(r"\s*(?:async\s+)?def\s+(\w+)")
_DECORATORS = 50  # lines at the most between the first decorator and its `def`
_READERS = ("get", "getenv", "getpass", "get_secret", "pop", "input", "setdefault")


class Receiver(Protocol):
    """A sink that is written to in one go."""

    def header(self, trace: Trace) -> None:
        """What is known before the first frame."""

    def file(self, file: SourceFile) -> None:
        """A source file that the header does not have."""

    def frame(self, fields: FrameFields) -> None:
        """The next frame."""

    def footer(self, trace: Trace) -> None:
        """What is known after the last frame."""


class RedactingSink:
    """Keeps a recording, and hands it on without its secrets when it ends.

    A value is a secret if it is bound to a name that the rules cover: a variable, an attribute, a key, a
    keyword argument, an option on the command line; what a function of such a name returns; and what the
    program's text shows to come from, or to go to, such a name. Then its text is replaced everywhere, in what
    was recorded before as well, and in the program's text.

    Args:
        sink: takes the recording.
        rules: what is a secret.
        max_chars: characters that are kept of a value's text; it is cut after its secrets were replaced.
    """

    def __init__(self, sink: Any, rules: Sequence[str], max_chars: int | None = None) -> None:
        self._sink = sink
        self._rules = Rules(rules)
        self._shown = shown_rules(rules)
        self._secrets = Secrets(self._rules)
        self._max_chars = max_chars
        self._header: Trace | None = None
        self._noted = Trace(Program())
        self.written: Trace | None = None
        """What the footer was written from, once it was."""
        self._files: list[SourceFile] = []
        self._more_files = 0
        self._sources = SourceLines(self._files)
        self._hints: dict[int, _Hints] = {}
        self._frames: list[FrameFields] = []
        self._activations: dict[int, _Seen] = {}
        self._texts: dict[str, str] = {}
        """What a variable of a name last was, in whatever activation."""
        self._log: Log | None = None
        self._places: dict[tuple[int, int], tuple[int, int]] = {}
        """File and line on which each depth of each thread stands."""

    def open_log(self, make: type[Log]) -> Log:
        """Where the compiled recorder writes; its lines are read when the recording ends."""
        self._log = make()
        return self._log

    def rewrite_line(self, line: bytes) -> bytes:
        """Memory may hold lone surrogates."""
        return line

    def header(self, trace: Trace) -> None:
        """What is known before the first frame."""
        limits = trace.run.limits
        if self._max_chars is not None:
            limits = replace(limits, max_value_chars=self._max_chars)
        capture = replace(trace.capture, redacted=self._shown)
        self._header = self._noted = replace(trace, capture=capture, run=replace(trace.run, limits=limits))
        self._files += trace.files
        for number in range(len(self._files)):
            self._read(number)
        self._learn_arguments(trace.program.arguments)

    def file(self, file: SourceFile) -> None:
        """A source file that the header does not have."""
        self._files.append(file)
        self._more_files += 1
        self._read(len(self._files) - 1)

    def frame(self, fields: FrameFields) -> None:
        """The next frame."""
        seen = self._activations.get(fields["activation"])
        if seen is None:
            seen = self._activations[fields["activation"]] = _Seen(self._name_of(fields))
        hints = self._hints.get(fields.get("file", 0)) or _NO_HINTS
        kept = fields.copy()
        changed = fields.get("changed")
        if changed:
            shown: dict[str, SlotFields | None] = {}
            for name, slot in changed.items():
                shown[name] = slot
                if slot is None:
                    continue
                seen.texts[name] = self._texts[name] = slot["text"]
                if self._rules.cover(name) or name in seen.awaited:
                    shown[name] = self._hide(slot)
                else:
                    self._secrets.learn_pairs(slot["text"])
            kept["changed"] = shown
        value = fields.get("value")
        if value is not None:
            is_secret = (
                self._rules.cover(seen.name)
                or fields["line"] in hints.returns
                or self._is_asked_for_a_secret(fields)
            )
            if fields["event"] == "return" and is_secret:
                kept["value"] = self._hide(value)
            else:
                self._secrets.learn_pairs(value["text"])
        self._places[fields.get("thread", 0), fields["depth"]] = fields.get("file", 0), fields["line"]
        if fields["event"] in ("call", "line"):
            seen.awaited = hints.targets.get(fields["line"], frozenset())
            for name in hints.sources.get(fields["line"], ()):
                text = seen.texts.get(name) or self._texts.get(name)  # a global, or of a function around it
                if text is not None:
                    self._secrets.learn(text)
        self._frames.append(kept)

    def footer(self, trace: Trace) -> None:
        """Hand everything on."""
        if self._log is not None:
            self._log.end()
        self._read_log()
        output = trace.run.output
        if output is not None:
            self._secrets.learn_pairs(output)
        self._hand_on()
        self.written = replace(
            trace,
            program=self._clean_program(trace.program),
            capture=self._noted.capture,
            warnings=(*map(self._secrets.replace, trace.warnings), *self._rules.unused()),
            run=replace(
                trace.run,
                limits=self._noted.run.limits,
                output=None if output is None else self._secrets.replace(output),
            ),
        )
        self._sink.footer(self.written)

    def flush(self) -> None:
        """The process ends without another word: what is kept goes out."""
        self._read_log()
        self._hand_on()
        self._sink.flush()

    def abandon(self) -> None:
        """In a forked child the recording is the parent's."""
        self._frames = []
        if self._log is not None:
            self._log.abandon()
        self._sink.abandon()

    def _read_log(self) -> None:
        if self._log is not None:
            for fields in fields_of_lines(self._log.take()):
                self.frame(fields)

    def _hand_on(self) -> None:
        header, self._header = self._header, None
        more, self._more_files = self._more_files, 0
        if header is not None:
            self._sink.header(replace(header, program=self._clean_program(header.program)))
        for file in self._files[len(self._files) - more :]:
            self._sink.file(self._clean_file(file))
        frames, self._frames = self._frames, []
        for fields in frames:
            self._sink.frame(self._clean(fields))

    def _clean_program(self, program: Program) -> Program:
        return replace(
            program,
            files=tuple(map(self._clean_file, program.files)),
            arguments=tuple(map(self._secrets.replace, program.arguments)),
        )

    def _clean_file(self, file: SourceFile) -> SourceFile:
        return SourceFile(file.name, self._secrets.replace_in_source(file.text))

    def _clean(self, fields: FrameFields) -> FrameFields:
        changed, value, message = fields.get("changed"), fields.get("value"), fields.get("message")
        if changed:
            fields["changed"] = {
                name: None if slot is None else self._clean_slot(slot) for name, slot in changed.items()
            }
        if value is not None:
            fields["value"] = self._clean_slot(value)
        source = fields.get("source")
        if source is not None:
            fields["source"] = self._secrets.replace_in_source(source)
        if message is not None:
            fields["message"] = self._secrets.replace(message)
        return fields

    def _clean_slot(self, slot: SlotFields) -> SlotFields:
        text = self._secrets.replace(slot["text"])
        clean = slot.copy()
        clean["text"] = text
        if text != slot["text"]:
            clean.pop("size", None)  # which is that of the secret
        if self._max_chars is not None and len(text) > self._max_chars:
            clean["clipped"] = len(text) - self._max_chars
            clean["text"] = text[: self._max_chars]
        return clean

    def _hide(self, slot: SlotFields) -> SlotFields:
        """Learn a slot that is a secret, and what is shown in its place."""
        self._secrets.learn(slot["text"])
        hidden: SlotFields = {"text": PLACEHOLDER}
        if "type" in slot:
            hidden["type"] = slot["type"]
        return hidden

    def _is_asked_for_a_secret(self, fields: FrameFields) -> bool:
        """Whether the line that called binds what it gets to a name that means a secret."""
        file, line = self._places.get((fields.get("thread", 0), fields["depth"] - 1), (-1, 0))
        return line in (self._hints.get(file) or _NO_HINTS).calls

    def _name_of(self, fields: FrameFields) -> str:
        """The name of the function that a CALL is of."""
        for line in range(fields["line"], fields["line"] + _DECORATORS):
            named = _DEF.match(self._sources.at(fields.get("file", 0), line))
            if named:
                return named.group(1)
        return ""

    def _learn_arguments(self, arguments: Sequence[str]) -> None:
        for argument, following in zip_longest(arguments, arguments[1:], fillvalue=""):
            name, has_value, value = argument.partition("=")
            if not self._rules.cover(name.lstrip("-").replace("-", "_")):
                continue
            if has_value:
                self._secrets.learn_value(value)
            elif name.startswith("-"):
                self._secrets.learn_value(following)

    def _read(self, number: int) -> None:
        hints = _Hints()
        try:
            tree = ast.parse(self._files[number].text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return
        for node in ast.walk(tree):
            for name, value in _bindings(node):
                if self._rules.cover(name):
                    self._take(value, hints, node)
            if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and self._reads_secret(
                node.value
            ):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names = {target.id for target in targets if isinstance(target, ast.Name)}
                for line in _lines(node):
                    hints.targets[line] = hints.targets.get(line, frozenset()) | names
            if isinstance(node, ast.Return) and self._reads_secret(node.value):
                hints.returns.update(_lines(node))
        self._hints[number] = hints

    def _take(self, value: ast.expr, hints: _Hints, node: ast.AST) -> None:
        """What goes to a secret name: a literal is one, and so is the value that a variable has there."""
        if isinstance(value, ast.Constant):
            self._secrets.learn_value(value.value)
        elif isinstance(value, ast.Name):
            first = getattr(node, "lineno", value.lineno)
            for line in range(min(first, value.lineno), value.lineno + 1):
                hints.sources.setdefault(line, set()).add(value.id)
        elif isinstance(value.value if isinstance(value, ast.Await) else value, ast.Call):
            calls = [part for part in ast.walk(value) if isinstance(part, ast.Call)]
            if len(calls) == 1:  # else it is not known whose result it is
                hints.calls.update(range(value.lineno, (value.end_lineno or value.lineno) + 1))
        elif isinstance(value, ast.JoinedStr | ast.BinOp | ast.BoolOp | ast.IfExp | ast.Tuple | ast.List):
            for part in ast.walk(value):
                if isinstance(part, ast.Constant) and not isinstance(value, ast.JoinedStr):
                    self._secrets.learn_value(part.value)

    def _reads_secret(self, value: ast.AST | None) -> bool:
        """Whether an expression is a variable, attribute, key or call of a name that means a secret."""
        match value:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                return self._rules.cover(name)
            case ast.Subscript(slice=ast.Constant(value=str(name))):
                return self._rules.cover(name)
            case ast.Await(value=inner):
                return self._reads_secret(inner)
            case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called), args=arguments):
                keys = [one.value for one in arguments[:1] if isinstance(one, ast.Constant)]
                reads = called in _READERS and any(isinstance(k, str) and self._rules.cover(k) for k in keys)
                return reads or self._rules.cover(called)
        return False


def _bindings(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Names, and the expressions that are bound to them."""
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                yield from _targets(target, value)
        case ast.AnnAssign(target=target, value=value) | ast.AugAssign(target=target, value=value):
            if value is not None:
                yield from _targets(target, value)
        case ast.keyword(arg=str(name), value=value):
            yield name, value
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value, value
        case ast.arguments():
            positional = [*node.posonlyargs, *node.args]
            for argument, value in zip(reversed(positional), reversed(node.defaults), strict=False):
                yield argument.arg, value
            for argument, default in zip(node.kwonlyargs, node.kw_defaults, strict=True):
                if default is not None:
                    yield argument.arg, default
        case ast.Compare(left=left, comparators=[right]):
            for side, other in ((left, right), (right, left)):
                if isinstance(side, ast.Name | ast.Attribute) and isinstance(other, ast.Constant):
                    yield side.id if isinstance(side, ast.Name) else side.attr, other


def _lines(node: ast.stmt | ast.expr) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _targets(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    match target:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            yield name, value
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            yield name, value
        case ast.Tuple(elts=targets) | ast.List(elts=targets):
            if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(targets):
                for one, part in zip(targets, value.elts, strict=True):
                    yield from _targets(one, part)


@dataclass
class _Hints:
    """What the text of a program says about its variables, by line."""

    targets: dict[int, frozenset[str]] = field(default_factory=dict)
    """Those that are bound there to a secret."""
    sources: dict[int, set[str]] = field(default_factory=dict)
    """Those whose value there goes to a name that means a secret."""
    returns: set[int] = field(default_factory=set)
    """Lines that return a secret."""
    calls: set[int] = field(default_factory=set)
    """Lines on which the result of the one call goes to a name that means a secret."""


_NO_HINTS = _Hints()


@dataclass
class _Seen:
    """What is known of one activation."""

    name: str
    texts: dict[str, str] = field(default_factory=dict)
    awaited: frozenset[str] = frozenset()
