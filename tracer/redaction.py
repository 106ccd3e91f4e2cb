"""Secrets as text: which names and patterns mean one, and what is put in the place of their values.

A secret is known by the name that it is bound to. From then on its text is replaced wherever it stands, in
the forms in which `repr`, JSON and URLs write it.
"""

from __future__ import annotations

import ast
import functools
import io
import json
import re
import tokenize
from base64 import b64encode
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from cwm_trace.errors import CwmTraceError

PLACEHOLDER = "<redacted>"
DEFAULT = "default"
"""The rule that stands for the short list of usual names and forms."""

_USUAL_NAMES = tuple(
    """password passwords passwd passphrase pwd getpass secret secrets token api_key apikey access_key
    private_key secret_key signing_key encryption_key credential credentials authorization cookie jwt bearer
    """.split()  # noqa: SIM905 (a paragraph of twenty words)
)
_USUAL_FORMS = (
    r"\bsk-[A-Za-z0-9_-]{16,}",
    r"\b(?:gh[pousr]_|github_pat_|hf_|glpat-)[A-Za-z0-9_-]{16,}",
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
    r"(?<=Bearer )[A-Za-z0-9._~+/=-]{8,}",
    r"(?<=Basic )[A-Za-z0-9+/=]{8,}",
    r"(?<=://)[^/\s:@'\"]*:[^/\s@'\"]+(?=@)",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)",
)
_SHORTEST = 4  # characters; a shorter value is replaced as a literal of its own only
_LONG = 5_000  # characters
_LONGEST_LITERAL = 200_000  # characters that are parsed
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_STRING = re.compile(r"""[bBrRuU]{0,2}(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")""", re.DOTALL)
_NUMBER = re.compile(r"[-+]?[\d.]+(?:e[-+]?\d+)?j?")
_ESCAPE = re.compile(r"^(?:[abfnrtv]|x[0-9a-f]{2}|u[0-9a-f]{4})")
_ESCAPED_STRING = re.compile(r"""(\\+['"]).*?\1""", re.DOTALL)
_PAIR = re.compile(r"""(?<!\w)(?P<name>[A-Za-z_][\w-]{0,80})(?P<key>\\*['"])?(?P<by>\s*[:=]\s*|\s*=>\s*)""")
_LIKE_A_SECRET = re.compile(r"(?=.*[^A-Za-z.:])[^{}%$<>()\[\]]{4,}")
"""In a program's text: no word of a sentence, type, placeholder or call."""
_OPEN, _CLOSE = "([{", ")]}"


class Rules:
    """What is a secret.

    Args:
        rules: names (letters, digits and underscores: the whole name, in any case, without leading
            underscores); regular expressions, which mean every name that they match wholly and every part of
            a text in which they are found; `default`.

    Raises:
        CwmTraceError: a regular expression cannot be compiled.
    """

    def __init__(self, rules: Sequence[str]) -> None:
        self._names: set[str] = set()
        self._usual = DEFAULT in rules
        self.patterns: list[re.Pattern[str]] = []
        self._on_names: list[re.Pattern[str]] = []
        self._known: dict[str, bool] = {}
        self._used: set[str] = set()
        self._given = [rule for rule in rules if rule != DEFAULT and rule.isidentifier()]
        for rule in rules:
            if rule == DEFAULT:
                self.patterns += [re.compile(form, re.DOTALL) for form in _USUAL_FORMS]
            elif rule.isidentifier():
                self._names.add(_bare(rule))
            else:
                self._add_pattern(rule)

    def _add_pattern(self, rule: str) -> None:
        try:
            self.patterns.append(re.compile(rule))
            self._on_names.append(re.compile(rule, re.IGNORECASE))
        except (re.error, OverflowError, RecursionError) as error:
            raise CwmTraceError(f"--redact {rule!r} is not a regular expression: {error}") from error
        if not rule:
            raise CwmTraceError("--redact needs a name or a regular expression: it was given nothing")

    def cover(self, name: str) -> bool:
        """Whether what has this name is a secret."""
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = self._decide(name)
        return known

    def _decide(self, name: str) -> bool:
        if _bare(name) in self._names:
            self._used.add(_bare(name))
            return True
        if any(pattern.fullmatch(name) for pattern in self._on_names):
            return True
        if not self._usual:
            return False
        words = f"_{'_'.join(word.lower() for word in _WORDS.findall(name))}_"
        return any(f"_{usual}_" in words for usual in _USUAL_NAMES)

    def unused(self) -> list[str]:
        """A sentence for each name that nothing was called by."""
        return [
            f"nothing was called {rule}: nothing was redacted for it (a value needs a regular expression)"
            for rule in self._given
            if _bare(rule) not in self._used
        ]


def shown_rules(rules: Sequence[str]) -> tuple[str, ...]:
    """Rules as a trace may tell them: a regular expression may spell the very secret."""
    return tuple(rule if rule == DEFAULT or rule.isidentifier() else "<pattern>" for rule in rules)


def _bare(name: str) -> str:
    """A name without leading underscores, those of name mangling included (`_Account__password`)."""
    mangled = re.fullmatch(r"_[A-Za-z]\w*?__(\w+?)", name)
    return (mangled.group(1) if mangled else name).strip("_").lower()


class Secrets:
    """The secrets of one recording; learn all of them, then replace them."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._anywhere: set[str] = set()
        self._numbers: set[str] = set()
        self._literals: set[str] = set()
        self._long: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def learn(self, text: str) -> None:
        """Learn a secret by its `repr`."""
        value: Any = None
        if len(text) <= _LONGEST_LITERAL:
            try:
                value = ast.literal_eval(text)
            except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
                value = [_evaluated(found.group()) for found in _STRING.finditer(text)]
        self.learn_value(value)

    def learn_value(self, value: object) -> None:
        """Learn a secret, or all that a container of plain values holds."""
        self._pattern = None
        match value:
            case None | bool():
                pass
            case str():
                self._learn_string(value)
            case bytes():
                self._learn_string(value.decode("utf-8", "backslashreplace"))
                self._add(value.hex())
                self._add(repr(value)[2:-1])
            case int() | float() | complex():
                if len(str(value)) >= _SHORTEST:
                    self._numbers.add(str(value))
            case dict():
                self.learn_value([*value.values()])
            case list() | tuple() | set() | frozenset():
                for item in value:
                    self.learn_value(item)

    def learn_pairs(self, text: str) -> None:
        """Learn the literals that stand in a text under a name that means a secret."""
        for _, start, end in self._pairs(text):
            value = text[start:end]
            if _STRING.fullmatch(value) or _NUMBER.fullmatch(value) or value[:1] in _OPEN or "(" in value:
                self.learn(value)

    def replace(self, text: str) -> str:
        """The text with every secret in it replaced."""
        text = self._replace_pairs(text)
        for long in sorted(self._long, key=len, reverse=True):
            text = text.replace(long, PLACEHOLDER)
        for form in self._rules.patterns:
            text = form.sub(lambda found: PLACEHOLDER if found.group() else "", text)
        pattern = self._pattern = self._pattern or self._compile()
        return pattern.sub(_as_it_was_quoted, text)

    def replace_in_source(self, text: str) -> str:
        """A program with every secret replaced that stands in one of its strings, numbers or comments."""
        lines = io.StringIO(text).readlines()
        try:
            tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
        except (tokenize.TokenError, SyntaxError, ValueError):
            return "".join(self.replace(line) for line in lines)
        starts = [0]
        for line in lines:
            starts.append(starts[-1] + len(line))
        pattern = self._pattern or self._compile()
        forms = [*self._rules.patterns, pattern]
        for token in reversed(tokens):
            if token.type not in _TEXTUAL or not token.string.strip():
                continue
            start, end = (starts[row - 1] + column for row, column in (token.start, token.end))
            was = text[start:end]
            for long in sorted(self._long, key=len, reverse=True):
                was = was.replace(long, PLACEHOLDER + "\n" * long.count("\n"))
            for form in forms:
                was = form.sub(_keeping_lines, was)
            if token.type in (tokenize.STRING, tokenize.COMMENT):
                was = self._replace_pairs(was, is_source=True)
            if token.type == tokenize.NUMBER and was == PLACEHOLDER:
                was = "0"
            text = text[:start] + was + text[end:]
        return text

    def _learn_string(self, value: str) -> None:
        for part in {value, value.strip(), *(line for line in value.splitlines() if len(line) > 15)}:
            if not part or part == PLACEHOLDER:
                continue
            if len(part) > _LONG:  # too long for a pattern
                self._long.update((part, repr(part)[1:-1]))
            elif len(part) < _SHORTEST:
                self._literals.update((f"'{part}'", f'"{part}"'))
            else:
                for form in _forms(part):
                    self._add(form)

    def _add(self, text: str) -> None:
        if len(text) >= _SHORTEST:
            (self._anywhere if len(text) <= _LONG else self._long).add(text)

    def _compile(self) -> re.Pattern[str]:
        texts = sorted(self._anywhere | self._literals, key=len, reverse=True)
        parts = list(map(_at_any_depth, texts))
        numbers = [re.escape(text) for text in sorted(self._numbers, key=len, reverse=True)]
        if numbers:
            parts.append(rf"(?<![\w.])(?:{'|'.join(numbers)})(?![\w.])")
        return re.compile("|".join(parts) or r"(?!)")

    def _replace_pairs(self, text: str, *, is_source: bool = False) -> str:
        done, parts = 0, []
        for _, start, end in self._pairs(text):
            value = text[start:end]
            if value in ("None", "True", "False") or value.startswith(PLACEHOLDER[:9]):
                continue
            if is_source and not _LIKE_A_SECRET.fullmatch(value):
                continue
            parts += [text[done:start], _in_quotes(value)]
            done = end
        return "".join([*parts, text[done:]]) if parts else text

    def _pairs(self, text: str) -> Iterator[tuple[str, int, int]]:
        """Names that mean a secret, with where their values start and end."""
        position = 0
        while found := _PAIR.search(text, position):
            position = found.end()
            names = [found.group("name").replace("-", "_"), found.group("name")]
            if text[found.start() - 1 : found.start()] == "\\":  # of an escape: a line starts with the name
                names.append(_ESCAPE.sub("", names[0]))
            name = next(filter(self._rules.cover, names), None)
            if name is not None:
                end = _end_of_value(text, position)
                if end > position:
                    yield name, position, end
                    position = end


def _forms(text: str) -> set[str]:
    """How a string is written but for escapes: as it is, in a URL, by letters, in hexadecimal, encoded."""
    data = text.encode("utf-8", "surrogatepass")
    forms = {text, quote(data), quote(data, safe="")}
    return forms | {repr(list(text))[1:-1], data.hex(), b64encode(data).decode().rstrip("=")}


def _at_any_depth(text: str) -> str:
    """A pattern for a text as it is, and as `repr` and JSON write it, and what holds it, and that again."""
    return "".join(
        rf"\\{{{len(part)},}}" if part[0] == "\\" else "".join(map(_escaped_or_not, part))
        for part in re.split(r"(\\+)", text)
        if part
    )


@functools.cache
def _escaped_or_not(char: str) -> str:
    if char in "'\"":
        return rf"\\*{char}"
    if char.isascii() and char.isprintable():
        return re.escape(char)
    in_bytes = "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogatepass"))
    spellings = {ascii(char)[1:-1], json.dumps(char)[1:-1], in_bytes}
    escaped = sorted(spelling.replace("\\", r"\\+") for spelling in spellings)
    return "|".join([f"(?:{re.escape(char)}", *escaped]) + ")"


def _end_of_value(text: str, start: int) -> int:
    """Where a value ends that starts here: a literal, a call, a bracket, or a word."""
    depth, position = 0, start
    while position < len(text):
        literal = _ESCAPED_STRING.match(text, position) or _STRING.match(text, position)
        if literal:
            position = literal.end()
            continue
        char = text[position]
        if char in _OPEN:
            depth += 1
        elif char in _CLOSE:
            if not depth:
                break
            depth -= 1
        elif not depth and (char in ",;&'\"\\" or char.isspace()):
            break
        position += 1
    return position


def _in_quotes(value: str) -> str:
    """The placeholder, in the quotes of what it stands for."""
    quoted = re.match(r"""[bBrRuU]{0,2}(\\*['"])""", value)
    return f"{quoted.group()}{PLACEHOLDER}{quoted.group(1)}" if quoted else PLACEHOLDER


def _as_it_was_quoted(found: re.Match[str]) -> str:
    is_literal = len(found.group()) < _SHORTEST + 2 and found.group()[0] in "'\""
    return _in_quotes(found.group()) if is_literal else PLACEHOLDER


def _keeping_lines(found: re.Match[str]) -> str:
    text = found.group()
    return (_as_it_was_quoted(found) + "\n" * text.count("\n")) if text else ""


def _evaluated(literal: str) -> object:
    try:
        value: object = ast.literal_eval(literal)
    except (ValueError, SyntaxError):
        return literal.strip("\"'")
    return value


_TEXTUAL = {tokenize.STRING, tokenize.NUMBER, tokenize.COMMENT} | {
    getattr(tokenize, name) for name in ("FSTRING_MIDDLE",) if hasattr(tokenize, name)
}
