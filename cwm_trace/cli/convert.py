"""`cwm-trace convert`: trace file to CWM text and back."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command()
@click.argument("source")
@click.argument("target")
@click.option(
    "--profile", default="cwm", show_default=True, help="Which reading of the format: cwm, kth, a .json file."
)
@click.option("--json", "as_json", is_flag=True, help="Print what was converted as JSON.")
def convert(source: str, target: str, profile: str, as_json: bool) -> None:
    """Convert a trace file (JSON Lines) to CWM text, or CWM text to a trace file.

    What SOURCE is, its name tells: .jsonl, .jsonl.gz and .jsonl.zst are trace files, anything else is text.
    `-` is standard input or output, as text.
    """
    import json

    from cwm_trace.errors import CwmTraceError
    from cwm_trace.storage import read_trace, write_trace
    from cwm_trace.wire import get_profile, parse_trace, render_trace, text_is_ambiguous

    reading = get_profile(profile)
    if _is_trace_file(source) == _is_trace_file(target):
        kind = "trace files" if _is_trace_file(source) else "text"
        raise CwmTraceError(f"{source} and {target} are both {kind}: name one .jsonl and the other .txt")
    if _is_trace_file(source):
        trace = read_trace(source)
        _write(target, render_trace(trace, profile=reading))
        if text_is_ambiguous(trace, profile=reading):
            click.echo(
                "cwm-trace: ambiguous text: the program or a value contains the name of a special token",
                err=True,
            )
    else:
        trace = parse_trace(_read(source), profile=reading)
        if not trace.files[0].text.strip() and not trace.frames:
            raise CwmTraceError(f"{source} has no trace in it: it should start with <|trace_context_start|>")
        write_trace(trace, target)
        for problem in trace.guess.problems:
            click.echo(f"cwm-trace: frame {problem.frame}: {problem.message}", err=True)
    if as_json:
        summary = {"target": target, "frames": len(trace.frames), "problems": len(trace.guess.problems)}
        click.echo(json.dumps(summary), err=target == "-")


def _is_trace_file(name: str) -> bool:
    """Whether a file name is that of a trace file, compressed or not."""
    return name.removesuffix(".gz").removesuffix(".zst").endswith(".jsonl")


def _read(name: str) -> str:
    from cwm_trace.errors import CwmTraceError

    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return data.decode("utf-8")
    except OSError as error:
        raise CwmTraceError(f"cannot read {name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CwmTraceError(f"{name} is not UTF-8 text: {error.reason}") from error


def _write(name: str, text: str) -> None:
    from cwm_trace.files import write_whole

    if name == "-":
        click.echo(text, nl=False)
    else:
        write_whole(name, text.encode("utf-8", "backslashreplace"))
