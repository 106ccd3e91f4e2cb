"""`cwm-trace format`: which reading of the format a model, or a file of generations, agrees with."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cwm_trace.errors import CwmTraceError
from cwm_trace.extras import require

if TYPE_CHECKING:
    from cwm_trace.eval.format.readings import Finding
    from cwm_trace.eval.format.roundtrip import RoundTrip


@click.group("format")
def format_() -> None:
    """Settle the open points of CWM's format by what a model says."""


@format_.command()
@click.option(
    "--model", default="mini", show_default=True, metavar="MODEL", help="mini, a folder, or hf:FOLDER_OR_ID."
)
@click.option("--dtype", default="auto", help="Of the weights: float32, bfloat16, …  [default: the files']")
@click.option("--as", "as_type", type=click.Choice(["cwm"]), help="What it is where config.json says llama.")
@click.option(
    "--base", default="cwm", show_default=True, help="The profile to begin with: cwm, kth, a .json file."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="PROFILE.json", help="Write the profile found."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def probe(model: str, dtype: str, as_type: str | None, base: str, output: Path | None, as_json: bool) -> None:
    """Find the reading of each open point that MODEL finds likeliest.

    Twelve real traces a point are written in every reading; where the readings part, the model is asked how
    likely each is. Printed: nats behind the likeliest, with the 95 % interval over programs. A point is
    settled where all of that is above 3.00 (twenty times as likely), else it stays as it is in --base.
    """
    from cwm_trace.predict.registry import find_checkpoint
    from cwm_trace.wire.profile import get_profile, write_profile

    if output is not None and output.suffix != ".json":
        raise CwmTraceError(f"a profile's file ends in .json, {output} does not: commands know it by that")
    if output is not None and not output.parent.is_dir():
        raise CwmTraceError(f"there is no folder {output.parent} to write {output.name} into")
    if model.startswith(("http://", "https://", "chat:")):
        raise CwmTraceError(
            f"{model} is a server, and the probe needs log-probabilities of given texts: give mini, the "
            "model's folder, or hf:FOLDER_OR_ID"
        )
    reading = get_profile(base)
    require("model", "scoring texts", "torch", "transformers")
    from cwm_trace.eval.format.readings import probe_format
    from cwm_trace.model.scoring import load_scorer

    score, tokens = load_scorer(find_checkpoint(model), dtype=dtype, as_type=as_type)
    profile, findings = probe_format(
        score,
        tokens,
        base=reading,
        name=output.stem if output is not None else "probed",
        report=(lambda _: None) if as_json else _print_finding,
    )
    if output is not None:
        write_profile(profile, output)
    if as_json:
        found = {"profile": asdict(profile), "findings": [asdict(finding) for finding in findings]}
        click.echo(json.dumps(found, indent=2))
    elif output is not None:
        click.echo(f"wrote {output}; use it as --profile {output}")


def _print_finding(finding: Finding) -> None:
    if not finding.readings:
        click.echo(f"{finding.field}: no program shows a difference; {finding.chosen} stays")
        return
    verdict = "settled" if finding.settled else f"not settled, {finding.chosen} stays"
    click.echo(f"{finding.field}: {verdict} ({finding.programs} programs)")
    for place, reading in enumerate(finding.readings):
        names = " = ".join(reading.readings)
        behind = f"{reading.behind:.2f} nats behind, {reading.low:.2f} to {reading.high:.2f}"
        click.echo(f"  {names:<28}{behind if place else 'likeliest'}")


@format_.command()
@click.argument("file", metavar="FILE")
@click.option("--profile", default="cwm", show_default=True, help="The reading: cwm, kth, a .json file.")
@click.option("--limit", type=click.IntRange(1), help="So many rows at the most.")
@click.option("--show", type=click.IntRange(0), default=5, show_default=True, help="Differences to show.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def roundtrip(file: str, profile: str, limit: int | None, show: int, as_json: bool) -> None:
    """Parse the generations in FILE and render them again: is every byte the same?

    Rows are those of `bench rescore`: id, code, input, generation; or prompt, completion. The exit code is 1
    if one differs.
    """
    from cwm_trace.eval.format.roundtrip import check_file
    from cwm_trace.wire.profile import get_profile

    found = check_file(file, profile=get_profile(profile), limit=limit)
    if not found:
        raise CwmTraceError(f"{file} is empty: there is no generation in it")
    others = [trip for trip in found if not trip.is_same]
    if as_json:
        rows = [asdict(trip) for trip in others]
        click.echo(
            json.dumps(
                {"generations": len(found), "same": len(found) - len(others), "others": rows}, indent=2
            )
        )
    else:
        click.echo(f"{len(found) - len(others)} of {len(found)} generations come back byte for byte")
        for trip in others[:show]:
            _print_difference(trip)
    if others:
        raise SystemExit(1)


def _print_difference(trip: RoundTrip) -> None:
    said = f" ({trip.problem})" if trip.problem else ""
    click.echo(f"{trip.id}: parts at character {trip.at}{said}")
    click.echo(f"  wrote     {trip.wrote!r}")
    click.echo(f"  rendered  {trip.rendered!r}")
