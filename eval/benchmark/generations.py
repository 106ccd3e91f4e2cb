"""Files of finished generations, in the forms in which people keep them, as rows of a program and its texts.

A row names its program itself (`code` and `input`, as in CRUXEval and LiveCodeBench; a CWM prompt; the `doc`
of lm-evaluation-harness), or by an id of a task that is given beside the file (batch files of OpenAI and
vLLM, `{"sample_0": ["…", "…"]}`). It has one text or several.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cwm_trace.datasets.item import Item
from cwm_trace.datasets.loaders.livecodebench import call_of
from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.benchmark.tasks import Case
from cwm_trace.wire.parse import parse_trace

TEXTS = (
    *("generation", "generations", "completion", "completions", "samples", "resps", "filtered_resps"),
    *("response", "responses", "outputs", "output_list", "choices", "text"),
)
"""Fields that hold what a model wrote; the first one that is there counts."""
_ANSWERS = ("answer", "answers", "prediction", "predictions", "pred", "pred_list", "predicted_output")
"""Fields that hold the value alone."""
_IDS = ("id", "custom_id", "task_id", "question_id", "doc_id")

FORMS = "a row has code, input and generation; or prompt and completion; or an id of --tasks and a generation"


@dataclass(frozen=True, slots=True)
class Row:
    """A program, and what was generated for it.

    Args:
        case: the program; its `refusal` says what is wrong with a row that has none.
        texts: one for each sample.
        are_values: the texts are values, not traces.
        faults: why a sample has no text, by its number: a server's error.
    """

    case: Case
    texts: tuple[str, ...]
    are_values: bool = False
    faults: Mapping[int, str] | None = None


def read_rows(path: str, programs: Sequence[Case] = ()) -> list[Row]:
    """The rows of a file, those of one program together.

    Args:
        path: JSON Lines, or one JSON text: a list of rows, or an object of texts by id.
        programs: those that rows may name by their ids.

    Raises:
        CwmTraceError: the file cannot be read, is empty, or has no row that can be used.
    """
    known: dict[str, Case] = {}
    for case in programs:
        known.setdefault(case.item.id, case)
        known.setdefault(case.item.id.rpartition("/")[2], case)
    rows = [_read_row(data, number, known) for number, data in _objects(path)]
    if not rows:
        raise CwmTraceError(f"{path} is empty: there is no generation in it")
    if all(row.case.refusal and not row.texts for row in rows):
        raise CwmTraceError(f"{path}, {rows[0].case.refusal}")
    return _by_program(rows)


def _objects(path: str) -> Iterator[tuple[int, Any]]:
    """What stands in each line, or in each place of the list or object that the file is."""
    try:
        with open(path, "rb") as file:
            text = file.read().decode("utf-8-sig")
    except OSError as error:
        raise CwmTraceError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CwmTraceError(f"{path} is not a JSON Lines file: it is not UTF-8") from error
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if len(lines) == 1 or text.lstrip().startswith("["):
        whole = _loaded(text)
        if isinstance(whole, list):
            yield from enumerate(whole, start=1)
            return
    else:
        whole = _loaded(text) if text.lstrip().startswith("{") and lines[0][1].strip() == "{" else None
    if isinstance(whole, dict) and _is_by_id(whole):
        yield from enumerate(({"id": name, "generations": v} for name, v in whole.items()), start=1)
        return
    if isinstance(whole, dict) and len(lines) > 1:
        yield 1, whole
        return
    found = [(number, _loaded(line)) for number, line in lines]
    if found and all(data is _BROKEN for _, data in found):
        raise CwmTraceError(f"{path} is not a JSON Lines file: line {found[0][0]} is not JSON")
    yield from found


def _is_by_id(whole: Mapping[str, Any]) -> bool:
    """Whether an object holds texts by the ids of their programs, and is no row."""
    is_row = any(name in whole for name in (*TEXTS, *_ANSWERS, "prompt", "code"))
    return bool(whole) and not is_row and all(_texts_of(value) is not None for value in whole.values())


_BROKEN = object()


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _BROKEN


def _read_row(data: Any, number: int, known: Mapping[str, Case]) -> Row:
    where = f"line {number}"
    if data is _BROKEN:
        return _refused(where, f"{where}: not JSON")
    if not isinstance(data, dict):
        return _refused(where, f"{where}: wrong in its form: {FORMS}")
    doc = data["doc"] if isinstance(data.get("doc"), dict) else {}
    name = next((str(part[key]) for part in (doc, data) for key in _IDS if _is_name(part.get(key))), "")
    texts, are_values, faults = _texts(data)
    case = _case(data, doc, name or str(number - 1), known, where)
    if texts is None:
        return _refused(name or where, f"{where}: wrong in {_missing(data, doc)}: {FORMS}")
    if isinstance(case, str):
        return Row(_refused(name or where, case).case, texts, are_values, faults)
    return Row(case, texts, are_values, faults)


def _refused(name: str, why: str) -> Row:
    return Row(Case(Item(name, "", "", "generations", split="test"), "none", refusal=why), ())


def _is_name(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _missing(data: Mapping[str, Any], doc: Mapping[str, Any]) -> str:
    """The field that a row lacks first."""
    if "prompt" in data:
        return "completion"
    fields = {**data, **doc}
    return next((name for name in ("code", "input") if not isinstance(fields.get(name), str)), "generation")


def _case(
    data: Mapping[str, Any], doc: Mapping[str, Any], name: str, known: Mapping[str, Case], where: str
) -> Case | str:
    """The program of a row, or why there is none."""
    fields = {**data, **doc}
    code, given = fields.get("code"), fields.get("input")
    if isinstance(code, str) and isinstance(given, str):
        function = str(fields.get("function_name") or "f")
        expected = fields.get("expected", fields.get("output"))
        source = code if code.endswith("\n") else code + "\n"
        call = call_of(function, given) if "function_name" in fields else f"f({given})"
        family = "cruxeval" if function == "f" else "livecodebench"
        text = expected if isinstance(expected, str) else None
        return Case(Item(name, source, call, family, split="test", expected=text), "sandbox")
    if name in known:
        return known[name]
    prompt = fields.get("prompt", _asked(data))
    if isinstance(prompt, str):
        return _case_of_prompt(prompt, name)
    if known:
        return f"{where}: --tasks has no program {name!r}"
    return f"{where}: wrong in {_missing(data, doc)}: {FORMS}"


def _asked(data: Mapping[str, Any]) -> Any:
    """The prompt in lm-evaluation-harness's `arguments`: a list of lists, or an object of objects."""
    arguments = data.get("arguments")
    if isinstance(arguments, dict):
        arguments = [[*a.values()] if isinstance(a, dict) else a for a in arguments.values()]
    while isinstance(arguments, list) and arguments:
        arguments = arguments[0]
    return arguments


def _case_of_prompt(prompt: str, name: str) -> Case:
    asked = parse_trace(prompt)
    lines = asked.files[0].text.split("\n")
    body = "\n".join(lines[asked.entry_line :]).strip()
    if asked.entry != "main" or not body.startswith("return ") or "\n" in body:
        why = "the prompt's entry is no argument-less main that returns a call"
        return Case(Item(name, asked.files[0].text, "", "prompt", split="test"), "none", refusal=why)
    source = "\n".join(lines[: asked.entry_line - 1]) + "\n"
    return Case(Item(name, source, body.removeprefix("return ").strip(), "prompt", split="test"), "sandbox")


def _texts(data: Mapping[str, Any]) -> tuple[tuple[str, ...] | None, bool, dict[int, str]]:
    """What was generated, whether it is values, and what a server says of texts that are not there."""
    response = data.get("response")
    if isinstance(response, dict) and "body" in response:  # a batch file of OpenAI or vLLM
        body = response["body"] if isinstance(response["body"], dict) else {}
        texts = _texts_of(body.get("choices"))
        if texts is None:
            error = data.get("error") or body.get("error") or f"status {response.get('status_code')}"
            why = error.get("message", error) if isinstance(error, dict) else error
            return ("",), False, {0: f"the server answered with an error: {why}"}
        return texts, False, {}
    for name in TEXTS:
        texts = _texts_of(data.get(name))
        if texts is not None:
            return texts, False, {}
    if "prompt" in data and (texts := _texts_of(data.get("output"))) is not None:
        return texts, False, {}
    for name in _ANSWERS:
        texts = _texts_of(data.get(name), quote=True)
        if texts is not None:
            return texts, True, {}
    if data.get("error"):
        return ("",), False, {0: f"the server answered with an error: {data['error']}"}
    return None, False, {}


def _texts_of(value: Any, *, quote: bool = False) -> tuple[str, ...] | None:
    """The texts in a field: one, a list, lists in a list, choices of a completion or of a chat."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, dict):
        message = value.get("message")
        content = message.get("content") if isinstance(message, dict) else value.get("text")
        return (content,) if isinstance(content, str) else ("",) if "message" in value else None
    if isinstance(value, list) and value:
        parts = [_texts_of(part, quote=quote) for part in value]
        return None if None in parts else tuple(text for part in parts if part is not None for text in part)
    return (repr(value),) if quote and value is not None else None


def _by_program(rows: Sequence[Row]) -> list[Row]:
    """Rows of one program are its samples; another program of the same id is `ID#2`."""
    found: dict[tuple[str, ...], Row] = {}
    seen: dict[str, int] = {}
    for row in rows:
        item = row.case.item
        key: tuple[str, ...] = (item.id, item.source, item.call)
        if key in found and not row.case.refusal:
            first = found[key]
            moved = {len(first.texts) + n: why for n, why in (row.faults or {}).items()}
            found[key] = replace(
                first, texts=(*first.texts, *row.texts), faults={**(first.faults or {}), **moved}
            )
            continue
        seen[item.id] = seen.get(item.id, 0) + 1
        if seen[item.id] > 1:
            row = replace(row, case=replace(row.case, item=replace(item, id=f"{item.id}#{seen[item.id]}")))
            key = (*key, str(seen[item.id])) if row.case.refusal else key
        found[key] = row
    return [*found.values()]


def read_tags(text: str) -> str:
    """What stands in the last of CRUXEval's tags, where a text has them.

    >>> read_tags("so [ANSWER] f(1) == 2 [/ANSWER]."), read_tags("2 [/ANSWER] and on"), read_tags("2")
    ('f(1) == 2', '2', '2')
    """
    tagged = re.findall(r"\[ANSWER\](.*?)(?:\[/ANSWER\]|\Z)", text, re.DOTALL)
    return (tagged[-1] if tagged else text.partition("[/ANSWER]")[0]).strip()
