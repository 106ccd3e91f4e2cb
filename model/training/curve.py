"""The picture of a run: losses by field, and held-out shares, over the tokens read. Needs matplotlib."""

from __future__ import annotations

import io
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cwm_trace.datasets.tokenizing import LEARNT
from cwm_trace.files import read_objects, write_whole

CURVE = "curve.svg"
_SHARES = ("frames", "traces", "changed_values")
"""Held-out figures that are drawn: wholes; a single token is nearly always right."""

_SMOOTH = 50
"""Each point is the mean over this part of the run, before it."""


def plot_log(folder: Path) -> Path | None:
    """Draw the log of a run into its folder.

    Args:
        folder: of the run.

    Returns:
        The picture; None if matplotlib (extra `report`) is not installed, or no step was taken yet.

    Raises:
        CwmTraceError: there is no log.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        return None
    lines = list(read_objects(folder / "log.jsonl"))
    losses = curves(line for line in lines if "loss" in line)
    if not losses:
        return None
    held = [line for line in lines if "held_out" in line]
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name in ("loss", *(field.name.lower() for field in LEARNT)):
        if name in losses:
            style = {"color": "black", "linewidth": 2.0} if name == "loss" else {"linewidth": 1.2}
            left.plot(*smooth(*losses[name]), label="minimised" if name == "loss" else name, **style)
    left.set(title="Loss by field", xlabel="tokens read", ylabel="nats", ylim=(0, None))
    left.legend(fontsize="small")
    for name in _SHARES:
        if any(name in line["held_out"] for line in held):
            points = [(line["tokens"], line["held_out"][name]) for line in held if name in line["held_out"]]
            right.plot(*zip(*points, strict=True), marker="o", markersize=3, label=name.replace("_", " "))
    right.set(title="Held out", xlabel="tokens read", ylabel="right", ylim=(-0.02, 1.02))
    if held:
        right.legend(fontsize="small")
    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "cwm-trace", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    path = folder / CURVE
    write_whole(path, buffer.getvalue())
    return path


def curves(lines: Iterable[Mapping[str, Any]]) -> dict[str, tuple[list[int], list[float]]]:
    """Tokens read and losses of the steps that have one, by what the loss is of.

    >>> curves([{"step": 1, "tokens": 9, "loss": 2.0}, {"step": 2, "tokens": 20, "loss": 1.0, "value": 3.0}])
    {'loss': ([9, 20], [2.0, 1.0]), 'value': ([20], [3.0])}
    """
    found: defaultdict[str, tuple[list[int], list[float]]] = defaultdict(lambda: ([], []))
    names = ("loss", *(field.name.lower() for field in LEARNT))
    for line in lines:
        for name in names:
            if name in line:
                found[name][0].append(line["tokens"])
                found[name][1].append(line[name])
    return dict(found)


def smooth(tokens: list[int], losses: list[float]) -> tuple[list[int], list[float]]:
    """Running means, of as many points.

    >>> smooth([1, 2], [4.0, 2.0])
    ([1, 2], [4.0, 2.0])
    """
    window: deque[float] = deque(maxlen=max(1, len(losses) // _SMOOTH))
    means = []
    for loss in losses:
        window.append(loss)
        means.append(sum(window) / len(window))
    return tokens, means
