"""`cwm-trace view`: a trace, and predictions of it, as a page for the browser."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("trace")
@click.argument("guesses", nargs=-1, metavar="[GUESS]...")
@click.option("-o", "--output", metavar="FILE", help="Write the page here.  [default: beside the trace]")
@click.option("--open", "is_opened", is_flag=True, help="Open it in the browser.")
@click.option("--title", default="", help="Title of the page.  [default: the program's name]")
def view(trace: str, guesses: tuple[str, ...], output: str | None, is_opened: bool, title: str) -> None:
    """Write a trace, with predictions of it beside it, as one HTML page to step through.

    The page asks for no network. `?` lists its keys; `n` goes to the next wrong step. `-o -` prints it.
    """
    from cwm_trace.files import write_whole
    from cwm_trace.storage import read_trace
    from cwm_trace.viewer import view_page

    real = read_trace(trace)
    page = view_page(real, [read_trace(guess) for guess in guesses], title=title)
    if output == "-":
        click.echo(page)
        return
    path = Path(output) if output else page_path(trace)
    write_whole(path, page)
    count = f"{len(real.frames):,} frame{'s' * (len(real.frames) != 1)}"
    click.echo(f"{path}: {count}, {_size(path.stat().st_size)}")
    if is_opened:
        import webbrowser

        webbrowser.open(path.resolve().as_uri())


def page_path(trace: str) -> Path:
    """Where the page of a trace file goes: `x.html` beside `x.trace.jsonl` or anything like it."""
    if trace == "-":
        return Path("trace.html")
    path = Path(trace)
    stem = path.name.removesuffix(".gz").removesuffix(".zst").removesuffix(".jsonl").removesuffix(".trace")
    return path.with_name(f"{stem}.html")


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
