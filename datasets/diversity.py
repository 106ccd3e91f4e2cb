"""How diverse generated programs are: `python -m cwm_trace.datasets.diversity` prints it for each family.

    python -m cwm_trace.datasets.diversity                        # tables of docs/generators.md, and speed
    python -m cwm_trace.datasets.diversity general --count 5000   # one family or preset, more items
    python -m cwm_trace.datasets.diversity --write docs/generators.md

Nothing is estimated by a model; all figures are counts over programs and their real traces at default
settings:

- *shapes*: different syntax trees, names and constants erased;
- *statements*, *expressions*, *types*: different kinds of syntax nodes, and of types of changed values;
- *branch*: bits by which the next line is open, given the line of a branch or loop header and the program:
  entropy of the successors, averaged over the visits;
- *copied*: share of LINE frames at which no variable changed: what repeating the last state gets right;
- *next line*: share of LINE frames at which the next line of the text is the right guess.
"""

from __future__ import annotations

import argparse
import ast
import math
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cwm_trace.datasets.families import FAMILIES, PRESETS, make_items
from cwm_trace.datasets.family import Axis
from cwm_trace.datasets.item import Item
from cwm_trace.errors import CwmTraceError
from cwm_trace.files import write_whole
from cwm_trace.records import Event, Trace
from cwm_trace.tracer.session import Memory, Options, record_program
from cwm_trace.tracer.target import load_text

_BRANCHES = ("if ", "elif ", "while ", "for ", "case ", "match ")


@dataclass
class Counts:
    """What was counted of one family or preset."""

    programs: int = 0
    shapes: set[str] = field(default_factory=set)
    statements: set[str] = field(default_factory=set)
    expressions: set[str] = field(default_factory=set)
    types: set[str] = field(default_factory=set)
    frames: list[int] = field(default_factory=list)
    code_lines: list[int] = field(default_factory=list)
    value_chars: list[int] = field(default_factory=list)
    open_bits: float = 0.0
    branches: int = 0
    lines: int = 0
    copied: int = 0
    next_line: int = 0
    made: float = 0.0  # seconds
    traced: float = 0.0  # seconds

    def add(self, item: Item, trace: Trace) -> None:
        """Count one program and its trace."""
        self.programs += 1
        tree = ast.parse(f"{item.source}\n{item.call}")
        self.shapes.add(tree_shape(tree))
        for node in ast.walk(tree):
            if isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case):
                self.statements.add(type(node).__name__)
            elif isinstance(node, ast.expr | ast.pattern):
                self.expressions.add(type(node).__name__)
        self.frames.append(len(trace.frames))
        self.code_lines.append(item.source.count("\n"))
        successors: dict[int, Counter[int]] = defaultdict(Counter)
        last: dict[int, int] = {}  # activation to its last line
        for frame in trace.frames:
            for slot in frame.changed.values():
                if slot is not None:
                    self.types.add("object" if "." in slot.type else slot.type)
                    self.value_chars.append(len(slot.text))
            if frame.event in (Event.LINE, Event.RETURN) and frame.activation in last:
                before = last[frame.activation]
                successors[before][frame.line if frame.event is Event.LINE else 0] += 1
                self.next_line += frame.event is Event.LINE and frame.line == before + 1
            if frame.event is Event.LINE:
                self.lines += 1
                self.copied += not frame.changed
                last[frame.activation] = frame.line
        texts = trace.files[0].text.split("\n")
        for line, counter in successors.items():
            if texts[line - 1].lstrip().startswith(_BRANCHES):
                visits = counter.total()
                self.branches += visits
                self.open_bits -= sum(n * math.log2(n / visits) for n in counter.values())

    def row(self, name: str) -> list[str]:
        """A line of the table."""
        return [
            name,
            str(len(self.shapes)),
            str(len(self.statements)),
            str(len(self.expressions)),
            str(len(self.types)),
            f"{self.open_bits / max(self.branches, 1):.2f}",
            _spread(self.code_lines),
            _spread(self.frames),
            _spread(self.value_chars),
            f"{self.copied / max(self.lines, 1):.0%}",
            f"{self.next_line / max(self.lines, 1):.0%}",
        ]


COLUMNS = (
    "name", "shapes", "statements", "expressions", "types", "branch, bits", "lines of code", "frames",
    "characters of a value", "copied", "next line",
)  # fmt: skip


def tree_shape(node: ast.AST) -> str:
    """A syntax tree as text, names and constants erased.

    >>> tree_shape(ast.parse("a + 1", mode="eval"))
    'Expression(BinOp(Name(Load),Add,Constant))'
    """
    inner = ",".join(tree_shape(child) for child in ast.iter_child_nodes(node))
    return f"{type(node).__name__}({inner})" if inner else type(node).__name__


def count_items(name: str, count: int, seed: int = 0) -> Counts:
    """Make and trace the first items of a family or preset.

    Raises:
        CwmTraceError: there is no such family or preset.
    """
    counts = Counts()
    start = time.process_time()
    items = list(make_items(name, count, seed=seed))
    counts.made = time.process_time() - start
    for item in items:
        start = time.process_time()
        sink = Memory()
        program = load_text(item.source, item.call)
        record_program(program, sink, Options(capture_output=True))
        counts.traced += time.process_time() - start
        counts.add(item, sink.trace)
    return counts


def _spread(values: Sequence[int]) -> str:
    """Median and 95th percentile."""
    ordered = sorted(values) or [0]
    return f"{ordered[len(ordered) // 2]} ({ordered[int(len(ordered) * 0.95)]})"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(columns)} |", "|" + " --- |" * len(columns)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def family_table() -> str:
    """What each family is and what its knobs are, as Markdown."""
    rows = []
    for family in FAMILIES.values():
        rows.append((f"`{family.name}`", family.about, "", ""))
        rows += [
            ("", f"`{name}`: {axis.about}", _range(axis), str(axis.default))
            for name, axis in family.knobs.items()
        ]
    return _table(("family", "what it is, and its knobs", "range", "default"), rows)


def _range(axis: Axis) -> str:
    if axis.choices:
        return ", ".join(str(choice) for choice in axis.choices)
    kind = type(axis.default)
    return f"{kind(axis.low)} to {kind(axis.high)}"


def _speed_table(counted: Mapping[str, Counts]) -> str:
    """Seconds of one core, as Markdown."""
    rows = [
        (
            name,
            f"{counts.made / counts.programs * 1e6:.0f}",
            f"{counts.traced / counts.programs * 1e6:.0f}",
            f"{counts.programs / (counts.made + counts.traced):,.0f}",
        )
        for name, counts in counted.items()
    ]
    return _table(("name", "made, µs", "compiled and traced, µs", "traces per second"), rows)


def replace_section(text: str, name: str, table: str) -> str:
    """Put a table between the markers `<!-- name -->` and `<!-- end -->` of a page.

    Raises:
        CwmTraceError: the page has no such markers.
    """
    before, opened, rest = text.partition(f"<!-- {name} -->\n")
    _, closed, after = rest.partition("<!-- end -->")
    if not opened or not closed:
        raise CwmTraceError(f"the page has no section <!-- {name} --> … <!-- end -->")
    return f"{before}{opened}\n{table}\n{closed}{after}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables, or write them into a page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="families and presets; all by default")
    parser.add_argument("--count", type=int, default=1000, help="items of each (1000)")
    parser.add_argument(
        "--write", type=Path, metavar="PAGE", help="write the tables into this page's sections"
    )
    options = parser.parse_args(arguments)
    try:
        if options.count < 1:
            raise CwmTraceError(f"--count is {options.count}: at least one item is needed")
        counted = {name: count_items(name, options.count) for name in options.names or (*FAMILIES, *PRESETS)}
        diversity = _table(COLUMNS, [counts.row(name) for name, counts in counted.items()])
        print(_speed_table(counted))
        if options.write is None:
            print(family_table(), diversity, sep="\n")
            return
        text = options.write.read_text(encoding="utf-8")
        for name, table in (("families", family_table()), ("diversity", diversity)):
            text = replace_section(text, name, table)
        write_whole(options.write, text)
    except (CwmTraceError, OSError) as error:
        print(f"diversity: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
