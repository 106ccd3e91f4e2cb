"""`cwm-trace debug`: step through an execution, and through what a model believes of it."""

from __future__ import annotations

import sys

import click

from cwm_trace.cli.predict import MODEL_HELP


@click.command()
@click.argument("program", metavar="[FILE]", required=False, default="")
@click.argument("arguments", metavar="[ARGUMENTS]...", nargs=-1)
@click.option(
    "--call", metavar="CALL", default="", help="Debug one call, such as 'f(3)', of a function in FILE."
)
@click.option(
    "--trace", metavar="TRACE", default="", help="The real execution, recorded before: nothing is run."
)
@click.option(
    "--model",
    metavar="MODEL",
    default="",
    help=f"{MODEL_HELP}  [default: mini, or flow-copy where its packages are missing]",
)
@click.option("--both", "shown", flag_value="both", default="both", help="Truth and prediction; the default.")
@click.option("--real", "shown", flag_value="real", help="The truth alone: nothing is predicted.")
@click.option("--predicted", "shown", flag_value="predicted", help="The prediction alone: nothing is run.")
@click.option(
    "--script", metavar="SCRIPT", help="Say every line of this file, then end; - is standard input."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Answer each line of standard input with a line of JSON."
)
@click.option(
    "--sandbox/--no-sandbox",
    default=True,
    help="Record in a child process that cannot harm the rest, or as run does.  [default: sandbox]",
)
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Seconds for the recording.")
@click.option("--max-frames", type=click.IntRange(1), help="Record so many frames.")
@click.option(
    "--temperature", type=click.FloatRange(0), default=0.0, help="The model's; 0, the default: greedy."
)
@click.option("--seed", type=int, default=0, help="Seed of the model's draws.")
def debug(
    program: str,
    arguments: tuple[str, ...],
    call: str,
    trace: str,
    model: str,
    shown: str,
    script: str | None,
    as_json: bool,
    sandbox: bool,
    timeout: float | None,
    max_frames: int | None,
    temperature: float,
    seed: int,
) -> None:
    """Step through what FILE does, and what a model believes that it does, forward and back.

    FILE is recorded first, in the sandbox; then step, next, return, back, rnext, break, watch, set and more
    move through the recording and the prediction: help lists them. Nothing of a trace is ever run.
    """
    from cwm_trace.debug import prompt
    from cwm_trace.debug.opening import open_console
    from cwm_trace.debug.running import Opening
    from cwm_trace.debug.verbs.sessions import read_script
    from cwm_trace.errors import CwmTraceError

    if shown == "predicted" and trace:
        raise CwmTraceError("--trace is the truth, --predicted leaves it out: give one of them")
    if script is not None and as_json:
        raise CwmTraceError("--json answers the lines of standard input: give it the script there")
    lines = None if script is None else _lines() if script == "-" else read_script(script)
    console = open_console(
        Opening(
            file=program,
            call=call,
            arguments=arguments,
            trace=trace,
            model=model,
            temperature=temperature,
            seed=seed,
            real=shown != "predicted",
            predicted=shown != "real",
            sandbox=sandbox,
            timeout=timeout,
            max_frames=max_frames,
        )
    )
    if as_json:
        prompt.answer_lines(console, sys.stdin, click.echo)
    elif lines is not None:
        click.echo(prompt.first_reply(console).text)
        prompt.run_script(console, lines, script or "", click.echo)
    else:
        prompt.talk(console, sys.stdout)


def _lines() -> list[str]:
    return sys.stdin.read().splitlines()
