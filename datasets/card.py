"""The card of a dataset: its README, with what Hugging Face's hub reads at the top."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cwm_trace.datasets.item import SPLITS


def make_card(manifest: Mapping[str, Any]) -> str:
    """The text; it says nothing that would differ between two builds of the same recipe."""
    recipe = manifest["recipe"]
    rows = manifest["rows"]
    splits = "".join(
        f"  - split: {split}\n    path: data/{split}-*.parquet\n" for split in SPLITS if rows[split]
    )
    sources = "".join(f"- {_describe(source)}\n" for source in recipe["sources"])
    against = ", ".join(f"`{spec}`" for spec in recipe["decontaminate"]["against"]) or "no benchmark"
    return f"""---
configs:
- config_name: default
  data_files:
{splits}---

# {recipe["name"]}

Execution traces of Python programs: what every variable is before every line. Made by `cwm-trace dataset
build`; `recipe.json` builds the same bytes again.

| split | rows |
|---|--:|
{"".join(f"| {split} | {rows[split]:,} |{chr(10)}" for split in SPLITS)}
## Where it comes from

{sources}
Seed {recipe["seed"]}; {manifest["tried"]:,} programs were run.

## What was left out

{_table(manifest["failures"], "no trace because of")}
{_table(manifest["dropped"], "dropped as")}
Near-duplicates from a similarity of {recipe["duplicates"]["near"]} on; copies from {against}. A program,
its calls and its rewrites are in one split only. Traces of more than {recipe["limits"]["max_frames"]:,}
frames or {recipe["limits"]["max_bytes"]:,} characters of values are left out whole.

## Fields

`id`, `program` (hash of the source), `family`, `knobs`, `twin_of`, `call`, `files` (the first holds the
entry), `entry`, `entry_line`, `python`, `profile`, `outcome`, `exit_code`, `output`, `skipped`, `frames`. A
frame has `event` (call, line, return, exception), `line`, `activation`, `depth`, `thread`, `file`,
`changed` (variables that differ from the last frame of the same activation; without a `value`: no longer
bound), `value` (returned or raised), `message`. Values are `repr` texts with the type and size of the object.

## License

The generated programs are free of anybody's rights. Programs from elsewhere keep the licence that they came
with: look at the sources above before passing the dataset on.
"""


def _describe(source: Mapping[str, Any]) -> str:
    if source["items"] or source["pytest"]:
        return f"`{source['items'] or 'pytest:' + source['pytest']}`"
    kind = "preset" if source["preset"] else "family"
    knobs = ", ".join(f"{name} = {value}" for name, value in source["knobs"].items())
    return f"{kind} `{source[kind]}`, {source['count']:,} programs" + (f" ({knobs})" if knobs else "")


def _table(counts: Mapping[str, int], title: str) -> str:
    if not counts:
        return ""
    rows = "".join(f"| {reason} | {count:,} |\n" for reason, count in counts.items())
    return f"| {title} | programs |\n|---|--:|\n{rows}"
