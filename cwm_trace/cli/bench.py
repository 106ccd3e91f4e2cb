"""`cwm-trace bench`: run a benchmark, read its logs, compare them, score the generations of others."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cwm_trace.cli.predict import decode_options
from cwm_trace.predict.registry import DEFAULT

if TYPE_CHECKING:
    from cwm_trace.records import Decoding

FORMATS = click.Choice(["table", "markdown", "json", "html"])


def _split(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> list[str]:
    """The texts of an option that may be repeated, and that may hold several with commas between them."""
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


_format = click.option("--format", "form", type=FORMATS, default="table", show_default=True)
_limit = click.option("--limit", type=click.IntRange(1), help="So many programs of each task at the most.")
_resume = click.option("--resume", is_flag=True, help="Go on with the logs that are there.")
_output = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("bench.logs"),
    show_default=True,
    help="Folder of the logs.",
)


@click.group("bench", invoke_without_command=True)
@click.option("--tasks", multiple=True, callback=_split, metavar="TASK,…", help="What to run; see bench ls.")
@click.option(
    "--model",
    "models",
    multiple=True,
    callback=_split,
    metavar="MODEL,…",
    help=f"Who predicts.  [{DEFAULT}]",
)
@click.option(
    "--mode", "modes", multiple=True, callback=_split, metavar="MODE,…", help="How; all: every mode.  [free]"
)
@_limit
@click.option(
    "--batch-size", type=click.IntRange(1), default=8, show_default=True, help="Programs at a time."
)
@decode_options
@click.option(
    "--max-frames", type=click.IntRange(1), default=1000, show_default=True, help="Stop a prediction there."
)
@_output
@_resume
@click.option("--cache", type=click.Path(path_type=Path), help="Folder of responses to use again.")
@click.option(
    "--baselines/--no-baselines", default=True, show_default=True, help="The floors, and the oracle."
)
@_format
@click.pass_context
def bench(
    context: click.Context,
    tasks: list[str],
    models: list[str],
    modes: list[str],
    limit: int | None,
    batch_size: int,
    decoding: Decoding,
    max_frames: int,
    output: Path,
    resume: bool,
    cache: Path | None,
    baselines: bool,
    form: str,
) -> None:
    """Predict many programs, compare with what really happens, and report with intervals.

    Every program is logged as it is done; after an interruption, --resume goes on where it stopped. Modes
    stand side by side and are never averaged.
    """
    if context.invoked_subcommand is not None:
        return
    from cwm_trace.api import evaluate
    from cwm_trace.cli.progress import BenchReporter

    with ExitStack() as stack:
        results = evaluate(
            models or DEFAULT,
            tasks,
            modes=modes or ["free"],
            limit=limit,
            batch_size=batch_size,
            seed=decoding.seed,
            decoding=decoding,
            max_frames=max_frames,
            output=output,
            resume=resume,
            cache=cache,
            baselines=baselines,
            report=BenchReporter(stack),
        )
    click.echo(f"logs: {output}", err=True)
    _show(results, form)


@bench.command("ls")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_tasks(as_json: bool) -> None:
    """List the tasks."""
    from cwm_trace.eval.benchmark.tasks import list_kinds

    kinds = list_kinds()
    if as_json:
        rows = [{"name": kind.name, "argument": kind.argument, "about": kind.about} for kind in kinds]
        click.echo(json.dumps(rows, indent=2))
        return
    names = [f"{kind.name}:{kind.argument}" if kind.argument else kind.name for kind in kinds]
    names = [name.replace(":[", "[:") for name in names]
    width = max(map(len, names))
    for name, kind in zip(names, kinds, strict=True):
        click.echo(f"{name:{width}}  {kind.about}")


@bench.command()
@click.argument("places", metavar="FOLDER|LOG...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--plots", type=click.Path(path_type=Path), metavar="FOLDER", help="Draw plots there.")
@_format
def report(places: tuple[Path, ...], plots: Path | None, form: str) -> None:
    """Report what is logged, finished or not."""
    from cwm_trace.eval.benchmark.results import read_results

    results = read_results(places)
    if plots is not None:
        from cwm_trace.rendering.plots import draw_plots

        for path in draw_plots(results, plots):
            click.echo(f"drew {path}", err=True)
    _show(results, form)


@bench.command()
@click.argument("file", metavar="FILE")
@click.option("--model", default="", help="Who generated.  [default: the file's name]")
@click.option(
    "--profile", default="cwm", show_default=True, help="How to read the format: cwm, kth, a .json file."
)
@_limit
@_output
@_resume
@_format
def rescore(
    file: str, model: str, profile: str, limit: int | None, output: Path, resume: bool, form: str
) -> None:
    """Score finished generations: rows of id, code, input, expected, generation; or prompt, completion.

    FILE may also be a log of ours, whose predictions are scored again.
    """
    from cwm_trace.cli.progress import BenchReporter
    from cwm_trace.eval.benchmark.rescore import is_log, rescore_log
    from cwm_trace.eval.benchmark.rescore import rescore as rescore_file
    from cwm_trace.eval.benchmark.results import Results
    from cwm_trace.wire.profile import get_profile

    with ExitStack() as stack:
        reporter = BenchReporter(stack)
        if is_log(file):
            run = rescore_log(Path(file), output, resume=resume, report=reporter)
        else:
            reading = get_profile(profile)
            run = rescore_file(
                file, output, model=model, profile=reading, resume=resume, limit=limit, report=reporter
            )
    _show(Results((run,)), form)


@bench.command("compare")
@click.argument("first", metavar="A", type=click.Path(path_type=Path))
@click.argument("others", metavar="B...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--flips", type=click.IntRange(0), default=10, show_default=True, help="Programs to name.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of resampling.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compare_runs(first: Path, others: tuple[Path, ...], flips: int, seed: int, as_json: bool) -> None:
    """Compare runs on the programs that both have: differences with interval and test, and what flipped.

    A and B are logs, or folders of logs with one model each (baselines beside it are left out).
    """
    from cwm_trace.eval.benchmark.contrasts import contrast_places

    found = contrast_places(first, others, seed=seed)
    if as_json:
        click.echo(json.dumps([contrast.to_dict() for contrast in found], indent=2))
        return
    from cwm_trace.rendering.benchmark import print_contrast

    for contrast in found:
        print_contrast(contrast, flips)


def _show(results: object, form: str) -> None:
    from cwm_trace.eval.benchmark.results import Results

    assert isinstance(results, Results)
    if form == "table":
        from cwm_trace.rendering.benchmark import print_results

        print_results(results)
    elif form == "json":
        click.echo(results.to_json())
    elif form == "markdown":
        click.echo(results.to_markdown())
    else:
        click.echo(results.to_html())
