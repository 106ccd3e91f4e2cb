"""The `cwm-trace` command: collects the commands and turns errors into one line and an exit code."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click

from cwm_trace.cli.commands import LazyGroup
from cwm_trace.versions import VERSION


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option("-v", "--verbose", is_flag=True, help="Let the packages that are used log and warn as well.")
@click.version_option(VERSION, prog_name="cwm-trace")
@click.pass_context
def cli(context: click.Context, verbose: bool) -> None:
    """Record what Python programs do, predict it, and compare the two step by step.

    Traces are in the format of Meta's Code World Model (CWM).
    """
    if not verbose and context.invoked_subcommand != "run":
        from cwm_trace.cli.silence import silence_packages

        silence_packages()


def main() -> None:
    """Run the command line; errors of ours are one sentence on standard error and exit code 2."""
    from cwm_trace.errors import CwmTraceError

    try:
        sys.exit(cli.main(prog_name="cwm-trace", standalone_mode=False))
    except CwmTraceError as error:
        fail(str(error))
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.ClickException as error:
        fail(error.format_message())
    except click.Abort:
        sys.exit(130)
    except ModuleNotFoundError as error:
        from cwm_trace.extras import explain_missing

        if not (sentence := explain_missing(error)):
            raise
        fail(sentence)
    except BrokenPipeError:  # the reader of our output went away: nothing is left to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def fail(sentence: str) -> NoReturn:
    """Say what is wrong, and end with exit code 2."""
    click.echo(f"cwm-trace: {' '.join(sentence.split())}", err=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
