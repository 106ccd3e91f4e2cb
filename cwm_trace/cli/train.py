"""`cwm-trace train`: train a model by a recipe, or go on where a run was stopped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from cwm_trace.errors import CwmTraceError


@click.command()
@click.argument("recipe", metavar="RECIPE.toml")
@click.option(
    "-o", "--output", metavar="DIR", required=True, type=click.Path(path_type=Path), help="The run's folder."
)
@click.option(
    "--from",
    "start_from",
    metavar="FOLDER_OR_ID",
    help="Begin with the weights and the tokenizer of this model: any causal one of transformers.",
)
@click.option("--threads", type=click.IntRange(1), help="Of the arithmetic.  [default: one for each core]")
@click.option(
    "--workers",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Processes that make programs, for each that trains; 0: none but that one.",
)
@click.option("--every", type=click.IntRange(1), default=20, show_default=True, help="Steps between lines.")
def train(
    recipe: str, output: Path, start_from: str | None, threads: int | None, workers: int, every: int
) -> None:
    """Train a model by a recipe.

    Ctrl-C stops a run after its step. The same command goes on where a run was stopped or killed. The model
    is in DIR/model, the log in DIR/log.jsonl.

    A GPU is used if there is one; several, or several processes on CPUs, by
    torchrun --nproc_per_node N -m cwm_trace train ..., which share the rows of every batch.

    --from with a recipe without [model] fine-tunes a checkpoint; a [lora] table in it trains an adapter only.
    """
    try:
        from cwm_trace.model.training.loop import train as train_model
        from cwm_trace.model.training.processes import join_processes, set_threads
        from cwm_trace.model.training.recipe import read_recipe
    except ModuleNotFoundError as error:
        raise CwmTraceError(
            f"training needs {error.name}, which is not installed: pip install 'cwm-trace[model]'"
        ) from error

    def report(line: Mapping[str, Any]) -> None:
        if "held_out" in line:
            figures = line["held_out"]
            shown = ", ".join(
                f"{name} {figures[name]:.1%}" for name in ("frames", "changed_values", "traces")
            )
            click.echo(f"step {line['step']:,}: held out, right: {shown}")
        elif line["step"] % every == 0:
            click.echo(
                f"step {line['step']:,}: loss {line['loss']:.3f}, {line['tokens']:,} tokens,"
                f" {line['seconds']:,.0f} s"
            )

    plan = read_recipe(recipe)
    set_threads(threads)
    with join_processes() as processes:
        ended = train_model(
            plan, output, start_from=start_from, workers=workers, report=report, processes=processes
        )
        if not processes.is_first:
            return
    what = "finished" if ended.finished else "stopped; the same command goes on"
    click.echo(f"{output}: {ended.steps:,} of {plan.steps:,} steps, {ended.tokens:,} tokens: {what}")
