"""`cwm-trace bench`: run a benchmark, read its logs, compare them, score the generations of others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cwm_trace.cli.compare import MORE, frame_options
from cwm_trace.cli.predict import decode_options_of_levels, draw_options, model_arguments, split
from cwm_trace.errors import CwmTraceError
from cwm_trace.predict.registry import DEFAULT

if TYPE_CHECKING:
    from cwm_trace.eval.benchmark.results import Results
    from cwm_trace.records import Decoding
    from cwm_trace.rendering.tables import Table

_FORMATS = click.Choice(["table", "markdown", "json", "html"])


_format = click.option("--format", "form", type=_FORMATS, default="table", show_default=True)
_limit = click.option("--limit", type=click.IntRange(1), help="So many programs of each task at the most.")
_execute = click.option(
    "--execute-answers", "execute", is_flag=True, help="Run answers that are no literals, in the sandbox."
)
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
@click.option("--tasks", multiple=True, callback=split, metavar="TASK,…", help="What to run; see bench ls.")
@click.option(
    "--model",
    "models",
    multiple=True,
    callback=split,
    metavar="MODEL,…",
    help=f"Who predicts.  [{DEFAULT}]",
)
@click.option(
    "--mode", "modes", multiple=True, callback=split, metavar="MODE,…", help="How; all: every mode.  [free]"
)
@_limit
@click.option(
    "--batch-size", type=click.IntRange(1), default=8, show_default=True, help="Programs at a time."
)
@decode_options_of_levels
@model_arguments
@click.option(
    "--samples",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Predict each program this many times, for pass@k and majority.",
)
@click.option("--ids", multiple=True, callback=split, metavar="ID,…", help="These programs only.")
@click.option("--shuffle-seed", type=click.IntRange(0), help="Shuffle the programs before --limit.")
@click.option(
    "--workers", type=click.IntRange(1), default=1, show_default=True, help="Real executions at a time."
)
@_execute
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
    decodings: list[Decoding],
    arguments: dict[str, str],
    samples: int,
    ids: list[str],
    shuffle_seed: int | None,
    workers: int,
    execute: bool,
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
    from cwm_trace.cli.reporter import Reporter

    with Reporter("predictions") as report:
        results = evaluate(
            models or DEFAULT,
            tasks,
            modes=modes or ["free"],
            limit=limit,
            ids=ids,
            shuffle_seed=shuffle_seed,
            samples=samples,
            batch_size=batch_size,
            workers=workers,
            seed=decodings[0].seed,
            decoding=decodings,
            model_arguments=arguments,
            execute_answers=execute,
            max_frames=max_frames,
            output=output,
            resume=resume,
            cache=cache,
            baselines=baselines,
            report=report,
        )
    click.echo(f"logs: {output}", err=True)
    _show(results, form)
    _require_answers(results)


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
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Write pages there: the numbers, and every program real beside predicted.",
)
@_format
def report(places: tuple[Path, ...], plots: Path | None, folder: Path | None, form: str) -> None:
    """Report what is logged, finished or not."""
    from cwm_trace.eval.benchmark.results import read_results

    results = read_results(places)
    if folder is not None:
        from cwm_trace.cli.reporter import Reporter
        from cwm_trace.viewer.report import write_report

        with Reporter("programs") as say:
            page = write_report(results, folder, report=say)
        click.echo(f"open {page}")
        return
    if plots is not None:
        from cwm_trace.rendering.plots import draw_plots

        for path in draw_plots(results, plots):
            click.echo(f"drew {path}", err=True)
    _show(results, form)


@bench.command()
@click.argument("log", metavar="LOG", type=click.Path(path_type=Path))
@click.argument("name", metavar="[ID]", required=False)
@click.option("--sample", type=click.IntRange(0), default=0, help="Which prediction of the program.")
@click.option(
    "--outcome",
    "outcomes",
    multiple=True,
    callback=split,
    metavar="OUTCOME,…",
    help="Only programs that ended so: wrong, right, truncated, excluded, failed, or as the list says.",
)
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Rows at the most.")
@frame_options
@_format
def show(
    log: Path,
    name: str | None,
    sample: int,
    outcomes: list[str],
    limit: int,
    around: int,
    everything: bool,
    chars: int,
    form: str,
) -> None:
    """List the programs of a LOG, wrong ones first; or show one, real beside predicted."""
    from cwm_trace.eval.benchmark.drill import compare_program, list_programs, read_one_log

    run = read_one_log(log)
    if name is None:
        from cwm_trace.rendering.benchmark import program_table

        rows = list_programs(run, outcomes)
        if form == "json":
            click.echo(json.dumps([asdict(row) for row in rows[:limit]], indent=2, ensure_ascii=False))
        else:
            _show_tables([program_table(run.header, rows, limit)], form)
        return
    comparison = compare_program(run, name, sample)
    if form == "json":
        from cwm_trace.rendering.as_json import comparison_json

        click.echo(comparison_json(comparison))
        return
    from cwm_trace.rendering.frames import comparison_table

    _show_tables([comparison_table(comparison, None if everything else around, chars=chars, more=MORE)], form)


@bench.command()
@click.argument("file", metavar="FILE")
@click.option("--model", default="", help="Who generated.  [default: the file's name]")
@click.option(
    "--profile", default="cwm", show_default=True, help="How to read the format: cwm, kth, a .json file."
)
@click.option(
    "--tasks", multiple=True, callback=split, metavar="TASK,…", help="Whose programs the rows name by id."
)
@_execute
@click.option("--inputs", "are_inputs", is_flag=True, help="The answers are inputs (CRUXEval-I): run them.")
@_limit
@_output
@_resume
@_format
def rescore(
    file: str,
    model: str,
    profile: str,
    tasks: list[str],
    execute: bool,
    are_inputs: bool,
    limit: int | None,
    output: Path,
    resume: bool,
    form: str,
) -> None:
    """Score finished generations: rows of id, code, input, expected, generation; or prompt, completion.

    FILE may also be samples of lm-evaluation-harness, a batch file of OpenAI or vLLM, or a JSON object of
    texts by id (--tasks says whose ids they are), any of them with several texts for a program, or with bare
    output values; or a log of ours, whose predictions are scored again.
    """
    from cwm_trace.cli.reporter import Reporter
    from cwm_trace.eval.benchmark.rescore import is_log, rescore_log
    from cwm_trace.eval.benchmark.rescore import rescore as rescore_file
    from cwm_trace.eval.benchmark.results import Results, require_programs
    from cwm_trace.wire.profile import get_profile

    with Reporter("predictions") as report:
        if are_inputs:
            from cwm_trace.eval.benchmark.generations import read_rows
            from cwm_trace.eval.benchmark.inputs import rescore_inputs
            from cwm_trace.eval.benchmark.tasks import find_tasks

            programs = [case for task in find_tasks(tasks) for case in task.cases] if tasks else []
            rows = read_rows(file, programs)[:limit]
            run = rescore_inputs(rows, file, output, model=model, resume=resume, report=report)
        elif is_log(file):
            run = rescore_log(Path(file), output, execute=execute, resume=resume, report=report)
        else:
            run = rescore_file(
                file,
                output,
                model=model,
                profile=get_profile(profile),
                tasks=tasks,
                execute=execute,
                resume=resume,
                limit=limit,
                report=report,
            )
    require_programs([run])
    _show(Results((run,)), form)


@bench.command()
@click.option("--tasks", multiple=True, callback=split, metavar="TASK,…", help="Whose inputs are asked for.")
@click.option("--model", required=True, metavar="MODEL", help="http://HOST:PORT#NAME, or chat:URL#NAME.")
@draw_options
@model_arguments
@click.option(
    "--samples", type=click.IntRange(1), default=1, show_default=True, help="Ask this many times a program."
)
@_limit
@_output
@_resume
@_format
def inputs(
    tasks: list[str],
    model: str,
    decoding: Decoding,
    arguments: dict[str, str],
    samples: int,
    limit: int | None,
    output: Path,
    resume: bool,
    form: str,
) -> None:
    """Ask a served model for inputs that give an output (CRUXEval-I); each is run, in the sandbox."""
    from cwm_trace.cli.reporter import Reporter
    from cwm_trace.eval.benchmark.inputs import run_inputs
    from cwm_trace.eval.benchmark.results import Results, require_numpy, require_programs
    from cwm_trace.eval.benchmark.tasks import find_tasks
    from cwm_trace.predict.registry import find_writer

    require_numpy()
    if samples > 1 and not decoding.temperature:
        raise CwmTraceError("every sample would be the same: give a --temperature above 0")
    found = find_tasks(tasks, limit=limit)
    writer = find_writer(model, decoding, arguments)
    with Reporter("predictions") as report:
        runs = [
            run_inputs(
                task,
                writer,
                output,
                samples=samples,
                concurrency=int(arguments.get("concurrency", 8)),
                resume=resume,
                report=report,
            )
            for task in found
        ]
    require_programs(runs)
    results = Results(tuple(runs), decoding.seed)
    _show(results, form)
    _require_answers(results)


@bench.command("compare")
@click.argument("first", metavar="A", type=click.Path(path_type=Path))
@click.argument("others", metavar="B...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--flips", type=click.IntRange(0), default=10, show_default=True, help="Programs to name.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of resampling.")
@_format
@click.option("--json", "form", flag_value="json", help="Short for --format json.")
def compare_runs(first: Path, others: tuple[Path, ...], flips: int, seed: int, form: str) -> None:
    """Compare runs on the programs that both have: differences with interval and test, and what flipped.

    A and B are logs, or folders of logs with one model each (baselines beside it are left out).
    """
    from cwm_trace.eval.benchmark.contrasts import contrast_places

    found = contrast_places(first, others, seed=seed)
    if form == "json":
        click.echo(json.dumps([contrast.to_dict() for contrast in found], indent=2))
        return
    from cwm_trace.rendering.benchmark import contrast_table

    _show_tables([contrast_table(contrast, flips) for contrast in found], form)


def _show_tables(tables: Sequence[Table], form: str) -> None:
    if form == "table":
        from cwm_trace.rendering.terminal import print_tables

        print_tables(tables)
    elif form == "markdown":
        from cwm_trace.rendering.markdown import markdown

        click.echo(markdown(tables))
    else:
        from cwm_trace.rendering.html import html_page

        click.echo(html_page(tables))


def _require_answers(results: Results) -> None:
    """Say so in the end if a server refused to answer for some programs."""
    failed = [(run, line) for run in results.runs for line in run.failed]
    if failed:
        run, line = failed[0]
        count = "one prediction" if len(failed) == 1 else f"{len(failed)} predictions"
        raise CwmTraceError(
            f"{count} of {run.header.model} could not be made ({line.reason}): --resume asks for them again"
        )


def _show(results: Results, form: str) -> None:
    if form == "json":
        click.echo(results.to_json())
    elif form == "html":
        click.echo(results.to_html())  # with plots
    else:
        from cwm_trace.rendering.benchmark import result_tables

        _show_tables(result_tables(results), form)
