"""Print the tables of a model's card from a benchmark's report and a sweep over families and knobs.

cwm-trace bench --tasks core,methods:smoke,scripts-v1:smoke,cruxeval:cruxeval-dev.jsonl --mode all -o logs
cwm-trace bench report logs --format json > report.json
python benchmarks/skills.py FOLDER --programs 8 --json skills.json
python benchmarks/card.py report.json skills.json [--model cwm-mini]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

METRICS = {
    "forced": (
        "frame_exact",
        "event_accuracy",
        "next_line_accuracy",
        "state_exact",
        "changed_slot_f1",
        "output_accuracy",
    ),
    "forced-event": ("frame_exact", "state_exact", "changed_slot_f1"),
    "forced-state": ("frame_exact", "next_line_all"),
    "reground-8": ("frame_exact", "changed_slot_f1"),
    "free": (
        "frame_exact",
        "trace_exact",
        "path_exact",
        "output_accuracy",
        "rmst_32",
        "valid_format",
        "local_step_accuracy",
        "truncated",
    ),
    "output": ("output_accuracy",),
    "step-over-1": ("frame_exact", "output_accuracy"),
}
"""What is shown of every mode."""

TASKS = {
    "general-v1": "general-v1",
    "methods": "methods",
    "scripts-v1": "scripts-v1",
    "cruxeval": "CRUXEval",
}
"""What is shown of the tasks, by the beginning of their names; those that the report has."""

KNOBS = {
    "general": ("statements",),
    "counters": ("steps", "modulus"),
    "composition": ("depth",),
    "recursion": ("depth",),
    "permutations": ("length",),
    "sorting": ("length",),
    "exceptions": ("items",),
    "generators": ("items",),
    "closures": ("calls",),
    "halting": ("fuel",),
    "library": ("calls",),
    "methods": ("statements", "rounds"),
    "scripts": ("sections", "rounds"),
}
"""The knobs that say how much there is to do; for families that are not here it is `steps`."""


def find(runs: list[dict[str, Any]], task: str, mode: str, model: str, metric: str) -> dict[str, Any] | None:
    """An estimate; of the task and the model the beginnings of their names."""
    for run in runs:
        if run["mode"] == mode and run["task"].startswith(task) and run["model"].startswith(model):
            estimate: dict[str, Any] | None = run["metrics"].get(metric)
            return estimate
    return None


def modes_table(runs: list[dict[str, Any]], model: str) -> list[str]:
    """A row for each mode and metric: the model, the copy baseline and the skill on each task."""
    tasks = {
        start: shown for start, shown in TASKS.items() if any(run["task"].startswith(start) for run in runs)
    }
    rows = ["| mode | metric |" + "".join(f" {shown} | copy | skill |" for shown in tasks.values())]
    rows.append("|---|---|" + "--:|" * 3 * len(tasks))
    for mode, metrics in METRICS.items():
        for place, metric in enumerate(metrics):
            cells = [f"`{mode}`" if place == 0 else "", f"`{metric}`"]
            for task in tasks:
                ours = find(runs, task, mode, model, metric)
                skill = None if ours is None else ours["skill"]
                cells += [shown_estimate(ours), shown_value(find(runs, task, mode, "copy", metric))]
                cells.append("-" if skill is None else f"{skill:.2f}")
            rows.append(f"| {' | '.join(cells)} |")
    return rows


def shown_value(estimate: dict[str, Any] | None) -> str:
    """The number alone."""
    return "-" if estimate is None or estimate["value"] is None else f"{estimate['value']:.3f}"


def shown_estimate(estimate: dict[str, Any] | None) -> str:
    """The number with its interval."""
    if estimate is None or estimate["value"] is None or estimate["low"] is None:
        return shown_value(estimate)
    return f"{estimate['value']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"


def knobs_table(rows: list[dict[str, Any]]) -> list[str]:
    """Frames right at the ends of the trained range of a family's main knobs, and beyond."""
    table = ["| family, knob | low | high | beyond | further | copy, low |", "|---|--:|--:|--:|--:|--:|"]
    for family in dict.fromkeys(row["family"] for row in rows):
        for knob in KNOBS.get(family, ("steps",)):
            of_knob = [row for row in rows if (row["family"], row["knob"]) == (family, knob)]
            inside = [row for row in of_knob if row["trained"]]
            beyond = [row for row in of_knob if not row["trained"]]
            shown = [inside[0], inside[-1] if len(inside) > 1 else None, *beyond[:2], None, None][:4]
            cells = ["" if row is None else f"{row['value']}: {row['frames']['value']:.2f}" for row in shown]
            copied = inside[0]["copy"]
            cells.append("-" if copied is None else f"{copied:.2f}")
            table.append(f"| {family}, `{knob}` | {' | '.join(cells)} |")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("report", type=Path, help="of `cwm-trace bench report --format json`")
    parser.add_argument("skills", type=Path, help="of `benchmarks/skills.py --json`")
    parser.add_argument("--model", default="cwm-mini", help="beginning of its name in the report")
    options = parser.parse_args()
    report = json.loads(options.report.read_text("utf-8"))
    print("\n".join(modes_table(report["runs"], options.model)), end="\n\n")
    print("\n".join(knobs_table(json.loads(options.skills.read_text("utf-8")))))


if __name__ == "__main__":
    main()
