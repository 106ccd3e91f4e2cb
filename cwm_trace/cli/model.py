"""`cwm-trace model`: look at a checkpoint, convert one."""

from __future__ import annotations

import json
from pathlib import Path

import click

from cwm_trace.extras import require


@click.group("model")
def model() -> None:
    """Look at checkpoints and convert them."""


@model.command()
@click.argument("name", metavar="MODEL")
@click.option(
    "--context", type=click.IntRange(min=1), help="Tokens in the cache.  [default: all the model takes]"
)
@click.option(
    "--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Sequences side by side."
)
@click.option("--as", "as_type", type=click.Choice(["cwm"]), help="What it is where config.json says llama.")
@click.option("--gpus", type=click.IntRange(min=1), help="What each of so many cards takes that share it.")
@click.option(
    "--dtype",
    type=click.Choice(["fp32", "bf16", "fp8", "int4"]),
    default="bf16",
    show_default=True,
    help="Of the weights, with --gpus.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, sizes in bytes.")
def info(
    name: str,
    context: int | None,
    batch: int,
    as_type: str | None,
    gpus: int | None,
    dtype: str,
    as_json: bool,
) -> None:
    """Show what a CWM model takes: parameters, layers, bytes, cards, licence.

    MODEL is mini, a folder with a config.json, or a hub id; no weights are loaded. facebook/cwm is known
    without a network.
    """
    from cwm_trace.model.info import describe_model, list_numbers, render_info
    from cwm_trace.model.placement import list_placement, place_model, render_placement
    from cwm_trace.predict.registry import find_checkpoint

    found = describe_model(find_checkpoint(name), context=context, batch=batch, as_type=as_type)
    placed = place_model(found.shape, gpus, dtype, found.context) if gpus is not None else None
    if as_json:
        numbers = list_numbers(found)
        if placed is not None:
            numbers["placement"] = list_placement(placed)
        click.echo(json.dumps(numbers, indent=2, ensure_ascii=False))
    else:
        click.echo(render_info(found))
        if placed is not None:
            click.echo(render_placement(placed))


@model.command()
@click.argument("source", metavar="SRC", type=click.Path(path_type=Path))
@click.argument("target", metavar="DST", type=click.Path(path_type=Path))
@click.option("--to-meta", is_flag=True, help="From Hugging Face's form to Meta's.")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    help="Store weights in.  [default: as they are]",
)
@click.option(
    "--shard-size",
    type=click.FloatRange(min=0, min_open=True),
    default=5.0,
    show_default=True,
    help="GB of tensors in one file.",
)
def convert(source: Path, target: Path, to_meta: bool, dtype: str | None, shard_size: float) -> None:
    """Convert Meta's checkpoint in SRC to Hugging Face's form in DST, or back.

    SRC is a PyTorch Distributed Checkpoint with its params.json. Run again after an interruption, the command
    goes on where it stopped.
    """
    require("model", "converting", "torch", "transformers")
    import torch

    from cwm_trace.cli.reporter import Reporter
    from cwm_trace.model.convert import convert_checkpoint

    with Reporter("bytes") as report:
        done = convert_checkpoint(
            source,
            target,
            to_meta=to_meta,
            dtype=getattr(torch, dtype) if dtype else None,
            shard_bytes=int(shard_size * 1e9),
            report=report,
        )
    files = f"{len(done.files)} file{'s' * (len(done.files) != 1)}"
    earlier = f", {done.resumed} of them by an earlier run" if done.resumed else ""
    click.echo(f"wrote {done.tensors} tensors ({done.bytes / 1e9:,.2f} GB) to {files} in {target}{earlier}")
    tokenizer = "tokenizer.model" if to_meta else "tokenizer.json"
    if not (target / tokenizer).exists():
        click.echo(f"wrote no {tokenizer}: {source} has no tokenizer of Meta's")
