"""The `cwm-trace` command: collects the commands and turns errors into one line and an exit code."""

from __future__ import annotations

import logging
import os
import sys

import click

from cwm_trace import __version__
from cwm_trace.cli.bench import bench
from cwm_trace.cli.compare import compare
from cwm_trace.cli.convert import convert
from cwm_trace.cli.dataset import dataset
from cwm_trace.cli.demo import demo
from cwm_trace.cli.format import format_
from cwm_trace.cli.model import model
from cwm_trace.cli.predict import predict
from cwm_trace.cli.run import run
from cwm_trace.cli.show import show
from cwm_trace.cli.train import train
from cwm_trace.errors import CwmTraceError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="cwm-trace")
def cli() -> None:
    """Record what Python programs do, predict it, and compare the two step by step.

    Traces are in the format of Meta's Code World Model (CWM).
    """


for command in (demo, run, show, convert, predict, compare, bench, dataset, model, train, format_):
    cli.add_command(command)


def main() -> None:
    """Run the command line; errors of ours are one sentence on standard error and exit code 2."""
    for chatty in ("torchao", "torch.utils._pytree"):  # what transformers imports speaks of what it lacks
        logging.getLogger(chatty).setLevel(logging.ERROR)
    try:
        sys.exit(cli.main(prog_name="cwm-trace", standalone_mode=False))
    except CwmTraceError as error:
        _fail(str(error))
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.ClickException as error:
        _fail(error.format_message())
    except click.Abort:
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output went away: nothing is left to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def _fail(sentence: str) -> None:
    click.echo(f"cwm-trace: {' '.join(sentence.split())}", err=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
