"""`cwm-trace train`: train a model by a recipe, or go on where a run was stopped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from cwm_trace.extras import require


@click.command()
@click.argument("recipe", metavar="RECIPE.toml")
@click.option(
    "-o", "--output", metavar="DIR", required=True, type=click.Path(path_type=Path), help="The run's folder."
)
@click.option(
    "--from",
    "start_from",
    metavar="MODEL",
    help="Begin with the weights and the tokenizer of this model: mini, a folder or a hub id.",
)
@click.option("--threads", type=click.IntRange(1), help="Of the arithmetic.  [default: one for each core]")
@click.option(
    "--workers",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Processes that make programs, for each that trains; 0: none but that one.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(0, min_open=True),
    help="That training may take in all; the recipe's steps are then the shares that its phases have.",
)
@click.option("--every", type=click.IntRange(1), default=20, show_default=True, help="Steps between lines.")
def train(
    recipe: str,
    output: Path,
    start_from: str | None,
    threads: int | None,
    workers: int,
    minutes: float | None,
    every: int,
) -> None:
    """Train a model by a recipe.

    Ctrl-C stops a run after its step. The same command goes on where a run was stopped or killed. The model
    is in DIR/model, the log in DIR/log.jsonl.

    A GPU is used if there is one; several, or several processes on CPUs, by
    torchrun --nproc_per_node N -m cwm_trace train ..., which share the rows of every batch.

    With --minutes the whole schedule, its decay too, is gone through in that time, on any machine.

    --from with a recipe without [model] fine-tunes a checkpoint; a [lora] table in it trains an adapter only.
    """
    require("model", "training", "torch", "transformers")
    from cwm_trace.model.training.loop import train as train_model
    from cwm_trace.model.training.processes import join_processes, set_threads
    from cwm_trace.model.training.recipe import read_recipe
    from cwm_trace.predict.registry import find_checkpoint

    def report(line: Mapping[str, Any]) -> None:
        held = next((name for name in ("held_out", "held_out_average") if name in line), None)
        if held is not None:
            figures = line[held]
            shown = ", ".join(
                f"{name} {figures[name]:.1%}" for name in ("frames", "changed_values", "traces")
            )
            of = "held out, right" if held == "held_out" else "held out, right with averaged weights"
            click.echo(f"step {line['step']:,}: {of}: {shown}")
        elif line["step"] % every == 0:
            click.echo(
                f"step {line['step']:,}: loss {line['loss']:.3f}, {line['tokens']:,} tokens,"
                f" {line['seconds']:,.0f} s"
            )

    plan = read_recipe(recipe)
    set_threads(threads)
    with join_processes() as processes:
        ended = train_model(
            plan,
            output,
            start_from=start_from and find_checkpoint(start_from),
            workers=workers,
            report=report,
            processes=processes,
            minutes=minutes,
        )
        if not processes.is_first:
            return
    what = "finished" if ended.finished else "stopped; the same command goes on"
    steps = f"{ended.steps:,} steps" if minutes else f"{ended.steps:,} of {plan.steps:,} steps"
    click.echo(f"{output}: {steps}, {ended.tokens:,} tokens: {what}")
