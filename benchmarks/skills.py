"""Where a model breaks: its accuracy by family and knob, inside and beyond what it was trained on.

    python benchmarks/skills.py FOLDER [--programs 24] [--families counters,sorting] [--json out.json]

For every knob of every family some settings, all else at the defaults: programs of split `test` (constants
that no training program has) at a seed of their own. Each true trace is read in one pass; a frame is right
if each of its tokens is the likeliest one after the true ones before it (greedy, unconstrained: mode
`forced`), a trace if all of it is (what free greedy decoding would write). `copy` is the copy baseline on the
same programs. Intervals: 95 %, bootstrap over programs, Wilson's for traces. Prints a Markdown table;
settings beyond those that the presets draw from are marked. A preset is asked as it is (`--families
general-v1,scripts-v1,short-v1`); methods and scripts are families like the others.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from cwm_trace.api import compare_execution, predict_execution
from cwm_trace.datasets.families import FAMILIES, PRESETS, make_item
from cwm_trace.datasets.family import Axis
from cwm_trace.datasets.item import Knob
from cwm_trace.datasets.tokenizing import tokenize_trace
from cwm_trace.eval.statistics.estimates import Estimate, bootstrap_ratios, wilson
from cwm_trace.model.loading import load_model
from cwm_trace.model.tokens import read_tokens
from cwm_trace.model.training.evaluation import Tally, read_document
from cwm_trace.model.training.stream import record
from cwm_trace.records import Trace
from cwm_trace.wire.tokens import Special

SEED = 20_261_126
MOST_TOKENS = 4096
"""Longer documents are cut there."""


@dataclass(frozen=True)
class Row:
    """A setting and how the model fares there."""

    family: str
    knob: str
    value: Knob
    trained: bool
    """Whether a program of a preset, or the family's default, can have this setting."""
    programs: int
    tokens: float
    """Mean length of a document."""
    frames: Estimate
    changed: Estimate
    traces: Estimate
    copy: float | None
    """Frames that the copy baseline has right."""


def settings_of(family: str) -> Iterator[tuple[str, Knob, bool]]:
    """Knob, setting, whether training has it: the ends of the trained range, twice and four times that."""
    if family in PRESETS:
        yield "", "", True
        return
    trained: dict[str, set[Knob]] = {name: {axis.default} for name, axis in FAMILIES[family].knobs.items()}
    for preset in PRESETS.values():
        for part in preset.parts:
            if part.family == family:
                for name, values in part.knobs.items():
                    trained[name].update(values)
    for name, axis in FAMILIES[family].knobs.items():
        for value in _values(axis, trained[name]):
            yield name, value, _is_inside(value, trained[name])


def _values(axis: Axis, trained: set[Knob]) -> list[Knob]:
    if axis.choices:
        return list(axis.choices)
    numbers = sorted(float(value) for value in trained)
    kind = type(axis.default)
    wanted = {numbers[0], numbers[-1], min(2 * numbers[-1], axis.high), min(4 * numbers[-1], axis.high)}
    return [kind(number) for number in sorted(wanted)]


def _is_inside(value: Knob, trained: set[Knob]) -> bool:
    if isinstance(value, str | bool):
        return value in trained
    numbers = [float(number) for number in trained]
    return min(numbers) <= value <= max(numbers)


class Bench:
    """A model, and what it needs to read programs."""

    def __init__(self, folder: Path) -> None:
        self.model = load_model(folder, dtype=torch.float32)
        self.model.set_attn_implementation("interval")
        self.tokens = read_tokens(folder / "tokenizer.json")
        self.frame_end = self.tokens.ids[Special.FRAME]

    def row(self, family: str, knob: str, value: Knob, trained: bool, programs: int) -> Row:
        """Ask for some programs of a setting."""
        tallies: list[Tally] = []
        lengths: list[int] = []
        copied: list[tuple[int, int]] = []
        for number in range(2 * programs):  # a few end in a limit
            knobs = {knob: value} if knob else {}
            item = make_item(family, number, seed=SEED, split="test", knobs=knobs)
            trace = record(item)
            if trace is None:
                continue
            document = tokenize_trace(trace, self.tokens)
            lengths.append(len(document.ids))
            tally = Tally()
            read_document(self.model, document.cut(MOST_TOKENS), self.frame_end, tally)
            tallies.append(tally)
            copied.append(_copied(trace))
            if len(tallies) == programs:
                break
        names = ("frames", "changed_values")
        frames, changed = bootstrap_ratios(
            [[tally.right[name] for name in names] for tally in tallies],
            [[tally.total[name] for name in names] for tally in tallies],
            folds=2000,
        )
        traces = wilson(sum(tally.right["traces"] for tally in tallies), len(tallies))
        total = sum(total for _, total in copied)
        return Row(
            family,
            knob,
            value,
            trained,
            len(tallies),
            sum(lengths) / max(1, len(lengths)),
            frames,
            changed,
            traces,
            sum(right for right, _ in copied) / total if total else None,
        )


def _copied(trace: Trace) -> tuple[int, int]:
    """Frames that copying has right, of how many."""
    start = replace(trace, frames=trace.frames[:1])  # a script has no call
    copied = predict_execution(start, model="copy", mode="forced", history=trace)
    rate = compare_execution(trace, copied).frame_exact
    return rate.hits, rate.total


def shown(estimate: Estimate) -> str:
    """A share with its interval."""
    if estimate.value is None:
        return "-"
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, metavar="FOLDER")
    parser.add_argument("--programs", type=int, default=24, help="of a setting")
    parser.add_argument("--families", default=",".join(FAMILIES), help="or presets, as they are")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path, help="also write the rows there")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    bench = Bench(options.model)
    rows: list[Row] = []
    print("| family | knob | setting | tokens | frames right | changed values right | traces right | copy |")
    print("|---|---|--:|--:|--:|--:|--:|--:|")
    for family in options.families.split(","):
        for knob, value, trained in settings_of(family):
            row = bench.row(family, knob, value, trained, options.programs)
            rows.append(row)
            setting = f"{value}" if trained else f"**{value}**"
            copy = "-" if row.copy is None else f"{row.copy:.2f}"
            print(
                f"| {family} | {knob} | {setting} | {row.tokens:,.0f} | {shown(row.frames)}"
                f" | {shown(row.changed)} | {shown(row.traces)} | {copy} |",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
