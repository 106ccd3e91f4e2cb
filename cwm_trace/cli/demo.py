"""`cwm-trace demo`: record an example, predict it, compare."""

from __future__ import annotations

import click


@click.command()
@click.option("--model", help="Who predicts.  [default: mini, or copy where its packages are missing]")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers and the first divergence as JSON.")
def demo(model: str | None, as_json: bool) -> None:
    """Record a small program, predict every step from the true steps before it, and show both."""
    import cwm_trace.demo_program
    from cwm_trace.api import compare_execution, predict_execution, trace_execution
    from cwm_trace.predict.registry import DEFAULT, has_mini_packages
    from cwm_trace.tracer.program import read_source

    if model is None:
        model = DEFAULT if has_mini_packages() else "copy"
    text = read_source(cwm_trace.demo_program.__file__)
    call = "best_run([3, -5, 4, -1, 2])"
    real = trace_execution(text, call=call)
    predicted = predict_execution(text, call=call, model=model, mode="forced", history=real)
    comparison = compare_execution(real, predicted)
    if as_json:
        from cwm_trace.rendering.as_json import comparison_json

        click.echo(comparison_json(comparison))
    else:
        from cwm_trace.rendering.frames import comparison_table
        from cwm_trace.rendering.terminal import print_tables

        print_tables([comparison_table(comparison)])
        click.echo("Next: cwm-trace run YOUR_SCRIPT.py, then cwm-trace show YOUR_SCRIPT.trace.jsonl")
