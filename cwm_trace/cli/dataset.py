"""`cwm-trace dataset`: build datasets of traces, describe them, pack them for training."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cwm_trace.wire.tokens import TraceTokens


@click.group()
def dataset() -> None:
    """Build datasets of traces, describe them, pack them for training."""


@dataset.command()
@click.argument("recipe", metavar="[RECIPE.toml]", required=False)
@click.option("-o", "--output", metavar="DIR", required=True, help="The folder of the dataset.")
@click.option("--preset", metavar="NAME", help="Without a recipe: generated programs of this preset.")
@click.option("--family", metavar="NAME", help="Without a recipe: generated programs of this family.")
@click.option("--knob", "knobs", multiple=True, metavar="NAME=VALUE", help="Of the family.")
@click.option("--items", metavar="LOADER:WHAT", help="Without a recipe: programs from a loader.")
@click.option("--pytest", "project", metavar="DIR", help="Without a recipe: functions that tests call.")
@click.option("--count", type=click.IntRange(1), help="Programs to generate.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of what is generated.")
@click.option("--near", type=click.FloatRange(0.5, 1), help="Similarity of near-duplicates; 1: keep them.")
@click.option("--against", multiple=True, metavar="LOADER:WHAT", help="Leave out copies of these programs.")
@click.option("--workers", type=click.IntRange(1), default=os.cpu_count() or 1, help="Processes.")
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", help="Who does the work.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON.")
def build(
    recipe: str | None,
    output: str,
    preset: str | None,
    family: str | None,
    knobs: tuple[str, ...],
    items: str | None,
    project: str | None,
    count: int | None,
    seed: int,
    near: float | None,
    against: tuple[str, ...],
    workers: int,
    engine: str,
    as_json: bool,
) -> None:
    """Build a dataset from a recipe, or from options.

    A build that was killed goes on where it was when the same command is run again.
    """
    from cwm_trace.cli.reporter import Reporter
    from cwm_trace.datasets.builder import build_dataset
    from cwm_trace.datasets.dataset_recipe import make_recipe, read_recipe
    from cwm_trace.errors import CwmTraceError

    sources = {"preset": preset, "family": family, "items": items, "pytest": project}
    given = {name: value for name, value in sources.items() if value is not None}
    if recipe is not None:
        if given or count or knobs or near or against or seed:
            raise CwmTraceError("a recipe says everything: leave the options out that it stands for")
        plan = read_recipe(recipe)
    else:
        if not given:
            raise CwmTraceError(
                "there is nothing to build: give a RECIPE.toml, --preset, --family, --items or --pytest"
            )
        source = {**given, **({"count": count} if count else {}), "knobs": dict(map(_knob, knobs))}
        table = {"name": os.path.basename(os.path.normpath(output)), "seed": seed, "sources": [source]}
        if near is not None:
            table["duplicates"] = {"near": near}
        plan = make_recipe({**table, "decontaminate": {"against": list(against)}}, "the command line")
    with Reporter("programs") as report:
        manifest = build_dataset(
            plan, output, workers=workers, engine="ray" if engine == "ray" else "local", report=report
        )
    if as_json:
        click.echo(json.dumps(asdict(manifest)))
        return
    rows = ", ".join(f"{name} {count:,}" for name, count in manifest.rows.items())
    click.echo(f"{output}: {rows} rows of {manifest.tried:,} programs")
    for reason, number in {**manifest.failures, **manifest.dropped}.items():
        click.echo(f"  {number:>9,}  {reason}")


def _knob(text: str) -> tuple[str, int | float | str | bool]:
    from cwm_trace.errors import CwmTraceError

    name, separator, value = text.partition("=")
    if not separator:
        raise CwmTraceError(f"{text!r} is not NAME=VALUE: write a knob as --knob steps=8")
    if re.fullmatch(r"[+-]?\d+", value):
        return name, int(value)
    if re.fullmatch(r"[+-]?\d*\.\d+(e[+-]?\d+)?", value):
        return name, float(value)
    return name, {"true": True, "false": False}.get(value, value)


@dataset.command()
@click.argument("folder", metavar="DIR")
@click.option("--split", type=click.Choice(["train", "dev", "test"]), help="Only this split.")
@click.option(
    "--tokenizer", metavar="FOLDER", help="Count its tokens (mini: the bundled model's); without it, bytes."
)
@click.option("--plots", metavar="FILE", help="Plots of it, as .png, .svg or .pdf.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def stats(folder: str, split: str | None, tokenizer: str | None, plots: str | None, as_json: bool) -> None:
    """Say what is in a dataset: frames, bytes or tokens per field, types, lengths, failures."""
    from cwm_trace.datasets.statistics import describe_dataset, plot_stats
    from cwm_trace.rendering.tables import count_tables
    from cwm_trace.rendering.terminal import print_tables

    found = describe_dataset(folder, split=split, tokens=_tokens(tokenizer) if tokenizer else None)
    if plots is not None:
        plot_stats(found, plots)
    if as_json:
        click.echo(json.dumps(found.summary()))
    else:
        print_tables(count_tables(found.summary()))


@dataset.command()
@click.argument("folder", metavar="DIR")
@click.option("-o", "--output", metavar="OUT", required=True, help="The folder of the sequences.")
@click.option("--split", type=click.Choice(["train", "dev", "test"]), default="train", show_default=True)
@click.option(
    "--length", type=click.IntRange(16), default=2048, show_default=True, help="Tokens of a sequence."
)
@click.option(
    "--tokenizer", metavar="FOLDER", help="Of a checkpoint, or mini; without it, a token for each byte."
)
@click.option(
    "--long", type=click.Choice(["cut", "drop"]), default="cut", show_default=True, help="Longer documents."
)
@click.option("--profile", default="cwm", show_default=True, help="The format profile.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON.")
def pack(
    folder: str,
    output: str,
    split: str,
    length: int,
    tokenizer: str | None,
    long: str,
    profile: str,
    as_json: bool,
) -> None:
    """Tokenize a split and pack it into sequences of one length, ready to train on.

    The tokenizer goes along, into OUT/tokenizer, so that OUT is all that `cwm-trace train` needs.
    """
    from cwm_trace.cli.reporter import Reporter
    from cwm_trace.errors import CwmTraceError
    from cwm_trace.wire.tokens import TraceTokens

    try:
        from cwm_trace.datasets.packing import pack_dataset
    except ModuleNotFoundError as error:
        raise CwmTraceError(
            f"packing needs the package {error.name}: pip install 'cwm-trace[data]'"
        ) from None
    tokens, pad, loaded = TraceTokens.of_bytes(), 0, None
    if tokenizer:
        from cwm_trace.model.tokenizer import TOKENIZER_FOLDER, load_tokenizer, save_tokenizer
        from cwm_trace.predict.registry import find_checkpoint

        loaded = load_tokenizer(find_checkpoint(tokenizer))
        tokens, pad = TraceTokens.from_tokenizer(loaded), loaded.pad_token_id or 0
    with Reporter("documents") as report:
        info = pack_dataset(
            folder,
            output,
            tokens,
            pad=pad,
            length=length,
            split=split,
            long="drop" if long == "drop" else "cut",
            profile=profile,
            tokenizer=tokenizer or "bytes",
            report=report,
        )
    if loaded is not None:
        save_tokenizer(loaded, Path(output) / TOKENIZER_FOLDER)
    if as_json:
        click.echo(json.dumps(asdict(info)))
        return
    full = info.tokens / max(info.sequences * length, 1)
    click.echo(
        f"{output}: {info.sequences:,} sequences of {length:,} tokens, {full:.1%} full,"
        f" {info.documents:,} documents ({info.cut:,} cut, {info.dropped:,} dropped)"
    )


def _tokens(folder: str) -> TraceTokens:
    from cwm_trace.model.tokenizer import load_tokenizer
    from cwm_trace.predict.registry import find_checkpoint
    from cwm_trace.wire.tokens import TraceTokens

    return TraceTokens.from_tokenizer(load_tokenizer(find_checkpoint(folder)))
