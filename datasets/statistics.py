"""What is in a dataset: lengths, bytes or tokens per field, types, outcomes, and why something is missing."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cwm_trace.datasets.builder import read_manifest
from cwm_trace.datasets.rows import trace_of
from cwm_trace.datasets.shards import read_rows
from cwm_trace.datasets.tokenizing import TokenField, tokenize_trace
from cwm_trace.errors import CwmTraceError
from cwm_trace.wire.tokens import TraceTokens

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass
class DatasetStats:
    """Counts over the rows of a dataset.

    Args:
        rows: by split.
        families: rows by family.
        outcomes: rows by outcome.
        events: frames by event.
        types: values of variables by runtime type, each time one changes.
        unit: what is counted: `tokens` of a tokenizer, or `bytes` of the text, a special token's included.
        fields: tokens or bytes by the field that they belong to.
        frames: of each row.
        sizes: tokens or bytes of each row.
        value_chars: of values of variables, by the power of two that they reach.
        failures: items without a trace, by reason.
        dropped: traces that were left out, by reason.
    """

    rows: Counter[str] = field(default_factory=Counter)
    families: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    unit: str = "bytes"
    fields: Counter[str] = field(default_factory=Counter)
    frames: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    value_chars: Counter[int] = field(default_factory=Counter)
    failures: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """Plain data, with quantiles for what is counted row by row."""
        return {
            "rows": dict(self.rows),
            "families": dict(self.families.most_common()),
            "outcomes": dict(self.outcomes.most_common()),
            "events": dict(self.events.most_common()),
            "types": dict(self.types.most_common()),
            f"{self.unit}_per_field": dict(self.fields.most_common()),
            "frames": _quantiles(self.frames),
            self.unit: _quantiles(self.sizes),
            "value_chars": {f"< {2**power}": count for power, count in sorted(self.value_chars.items())},
            "failures": self.failures,
            "dropped": self.dropped,
        }


def describe_dataset(
    folder: str | Path, *, split: str | None = None, tokens: TraceTokens | None = None
) -> DatasetStats:
    """Count.

    Args:
        folder: of a finished dataset.
        split: only this one.
        tokens: of a tokenizer; None: bytes are counted.

    Raises:
        CwmTraceError: it is not finished, or damaged.
    """
    manifest = read_manifest(folder)
    stats = DatasetStats(
        failures=manifest.failures, dropped=manifest.dropped, unit="bytes" if tokens is None else "tokens"
    )
    mapping = tokens or TraceTokens.of_bytes()
    lengths = {} if tokens else {number: len(token.value) for token, number in mapping.ids.items()}
    fields: Counter[int] = Counter()
    for name, row in read_rows(folder, split):
        stats.rows[name] += 1
        stats.families[row["family"]] += 1
        stats.outcomes[row["outcome"]] += 1
        stats.frames.append(len(row["frames"]))
        for frame in row["frames"]:
            stats.events[frame["event"]] += 1
            for slot in frame["changed"]:
                if slot["value"] is not None:
                    stats.types[slot["type"]] += 1
                    stats.value_chars[len(slot["value"]).bit_length()] += 1
        document = tokenize_trace(trace_of(row), mapping)
        sizes = [lengths.get(number, 1) for number in document.ids]
        stats.sizes.append(sum(sizes))
        for kind, size in zip(document.fields, sizes, strict=True):
            fields[kind] += size
    stats.fields.update({TokenField(kind).name.lower(): size for kind, size in fields.items()})
    return stats


def _quantiles(values: list[int]) -> dict[str, float]:
    """Mean, extremes and five quantiles; empty for no values.

    >>> _quantiles([3, 1, 2])["50%"]
    2
    """
    if not values:
        return {}
    ordered = sorted(values)
    places = {f"{quantile:.0%}": ordered[int(quantile * (len(ordered) - 1) + 0.5)] for quantile in _QUANTILES}
    return {"mean": round(statistics.fmean(values), 1), "least": ordered[0], **places, "most": ordered[-1]}


def plot_stats(stats: DatasetStats, path: str | Path) -> None:
    """Four plots in one picture: frames, sizes, sizes per field, types.

    Args:
        stats: of a dataset.
        path: `.png`, `.svg` or `.pdf`.

    Raises:
        CwmTraceError: matplotlib is missing, or the file cannot be written.
    """
    try:
        import matplotlib
    except ImportError:
        raise CwmTraceError("plots need the matplotlib package: pip install 'cwm-trace[report]'") from None
    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(11, 7), layout="constrained")
    for axis, values, title in (
        (axes[0][0], stats.frames, "frames of a trace"),
        (axes[0][1], stats.sizes, f"{stats.unit} of a trace"),
    ):
        axis.hist(values, bins=60, color="tab:blue")
        axis.set(title=title, ylabel="traces", yscale="log")
    for axis, counts, title in (
        (axes[1][0], stats.fields, f"{stats.unit} by field"),
        (axes[1][1], stats.types, "changed values by type"),
    ):
        names = [name for name, _ in counts.most_common(12)][::-1]
        axis.barh(names, [counts[name] for name in names], color="tab:orange")
        axis.set(title=title, xscale="log")
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise CwmTraceError(f"cannot write {path}: {error}") from error
    finally:
        pyplot.close(figure)
