"""What a benchmark found as tables: the runs, the programs of one, how two differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cwm_trace.eval.benchmark.published import PUBLISHED
from cwm_trace.eval.benchmark.results import FLOOR
from cwm_trace.eval.statistics.estimates import Estimate
from cwm_trace.rendering.tables import Table, figure_table, text_table

if TYPE_CHECKING:
    from cwm_trace.eval.benchmark.contrasts import Contrast
    from cwm_trace.eval.benchmark.drill import ProgramRow
    from cwm_trace.eval.benchmark.log import Header
    from cwm_trace.eval.benchmark.results import Report, Results

SHOWN = {
    "output_accuracy": "output right, by ==",
    "output_no_literal": "output that is no literal, so not judged (lower is better)",
    "trace_exact": "whole trace right",
    "frame_exact": "frames right",
    "event_accuracy": "events right",
    "next_line_accuracy": "next line right, at branches",
    "next_line_all": "next line right, everywhere",
    "state_exact": "states right",
    "changed_slot_f1": "changed variables, F1",
    "stale": "changes missed (lower is better)",
    "spurious": "changes invented (lower is better)",
    "local_step_accuracy": "steps right, from its own states",
    "local_step_coverage": "share of steps that can be judged so",
    "rmst_32": "frames right before the first wrong one, counted to 32",
    "rmst_128": "the same, counted to 128",
    "reval_coverage": "REval, is a line executed",
    "reval_path": "REval, the next line",
    "reval_state": "REval, the value of a variable",
    "reval_consistency": "REval, answers build on each other",
    "halting_right": "end at the right frame",
    "valid_format": "valid format",
}
"""Metrics that the tables show, and what they call them; JSON has all."""

_INPUTS = {
    "output_accuracy": "the input that is found gives the output",
    "output_no_literal": "the input is no literal, so not run (lower is better)",
}
"""The same of input prediction."""

_RESULT_WORDS = {
    "truncated": "cut by a budget",
    "timed-out": "stopped by a time-out",
    "unparsable": "with a frame that lacks its parts",
    "no-end": "without an end",
    "no-trace": "with no trace in them",
    "not-comparable": "of another program",
}
"""How predictions end, where they do not end by themselves."""

_CAUSES, _REASONS = 12, 5
_IF_ANY = ("output_no_literal",)
_NONE = Estimate(None)


def result_tables(results: Results) -> list[Table]:
    """A table for each task and mode, one for others' results, one that says what was run."""
    reports = results.reports
    tables = []
    groups = list(dict.fromkeys((report.header.task, report.header.mode) for report in reports))
    for task, mode in groups:
        group = [r for r in reports if (r.header.task, r.header.mode) == (task, mode)]
        group.sort(key=lambda report: report.header.is_floor)  # models first, in their order
        tables.append(_group_table(task, mode, group))
        if any(report.causes for report in group):
            tables.append(_cause_table(task, mode, group))
    published = dict.fromkeys(report.header.published for report in reports if report.programs)
    others = [_published_table(name) for name in published if name in PUBLISHED]
    return [*tables, *others, _provenance_table(reports)]


def contrast_table(contrast: Contrast, flips: int = 10) -> Table:
    """How one run differs from another: what got better or worse, how surely, and what flipped."""
    first, second = contrast.first.header, contrast.second.header
    rows = [
        [words, _signed(found.value), f"[{_signed(found.low)}, {_signed(found.high)}]", _p_text(found.p)]
        for name, words in SHOWN.items()
        if (found := contrast.differences[name]).value is not None
        and not (name in _IF_ANY and found.value == 0)
    ]
    notes = [f"A: {first.model}", f"B: {second.model}"]
    if contrast.left_out:
        notes.append(f"{contrast.left_out} programs are in one of the two only, and left out")
    for name in contrast.lost:
        for verb, ids in (("lost", contrast.lost[name]), ("won", contrast.won[name])):
            if ids:
                more = f" and {len(ids) - flips} more" if len(ids) > flips else ""
                notes.append(f"{SHOWN[name]}, {verb} by B: {len(ids)}: {', '.join(ids[:flips])}{more}")
    title = f"{first.task}, mode {first.mode}: B minus A on {len(contrast.programs)} programs"
    return figure_table(title, ["", "B minus A", "95 % interval", "p (of no difference)"], rows, notes)


def program_table(header: Header, rows: Sequence[ProgramRow], limit: int) -> Table:
    """A row for each prediction of a log."""
    has_samples = any(row.sample for row in rows)
    cells = [
        [
            f"{row.id} #{row.sample}" if has_samples else row.id,
            row.outcome,
            row.output or "-",
            f"{row.frames[0]} of {row.frames[1]}" if row.frames[1] else "-",
            row.reason or row.first_wrong or "-",
        ]
        for row in rows[:limit]
    ]
    notes = [f"{len(rows) - limit} more: give --limit"] if len(rows) > limit else []
    title = f"{header.task}, mode {header.mode}, {header.model}: what is most wrong first"
    return text_table(title, ["program", "outcome", "output", "frames right", "first wrong"], cells, notes)


def _group_table(task: str, mode: str, reports: Sequence[Report]) -> Table:
    """A row for each metric, a column for each model; baselines beside a model show no intervals."""
    has_model = not all(report.header.is_floor for report in reports)
    rows = [["programs", *(str(report.programs) for report in reports)]]
    if any(report.predictions != report.programs for report in reports):
        rows.append(["predictions", *(str(report.predictions) for report in reports)])
    shown = _INPUTS if mode == "input" else SHOWN
    for name, words in {**shown, **_sample_words(reports)}.items():
        found = [report.metrics.get(name, _NONE) for report in reports]
        if any(estimate.value is not None for estimate in found) and not (
            name in _IF_ANY and not any(estimate.value for estimate in found)
        ):
            cells = []
            for report, estimate in zip(reports, found, strict=True):
                text = _estimate_text(estimate, with_skill=report.header.model != FLOOR)
                cells.append(_value_text(estimate) if has_model and report.header.is_floor else text)
            rows.append([words, *cells])
    for result, words in _RESULT_WORDS.items():
        counts = [report.results[result] for report in reports]
        if any(counts):
            rows.append([f"predictions {words}", *map(str, counts)])
    return figure_table(
        f"{task}, mode {mode}", ["", *(report.header.model for report in reports)], rows, _notes(reports)
    )


def _sample_words(reports: Sequence[Report]) -> dict[str, str]:
    """What the metrics of several samples are called."""
    names = sorted(
        {name for report in reports for name in report.metrics if name.startswith("pass_at_")},
        key=lambda name: int(name.removeprefix("pass_at_")),
    )
    words = {name: f"pass@{name.removeprefix('pass_at_')}" for name in names}
    return {**words, "majority": "the most frequent output is right"} if names else {}


def _notes(reports: Sequence[Report]) -> list[str]:
    """What was left out, what did not go as it should, and what is not finished."""
    notes = ["In brackets: 95 % intervals, over programs."]
    if any(estimate.skill is not None for report in reports for estimate in report.metrics.values()):
        notes.append("Skill: 1 is perfect, 0 no better than the floor copy, which says that nothing changes.")
    if any(report.header.model == "oracle" for report in reports):
        notes.append("The oracle repeats the truth; the other floors have no model either.")
    notes += [
        f"excluded: {_programs(count)}: {reason}"
        for reason, count in {r: c for report in reports for r, c in report.excluded.items()}.items()
    ]
    for report in reports:
        name = report.header.model
        notes += [
            f"{name}: {_predictions(count)} could not be read or compared: {reason}"
            for reason, count in _most(report.faults)
        ]
        notes += [f"{name}: {what} passed over in {_predictions(n)}" for what, n in report.skipped.items()]
        notes += [
            f"{name}: {_predictions(count)} refused, and asked for again by --resume: {reason}"
            for reason, count in _most(report.failed)
        ]
        if report.compares_texts:
            notes.append(
                f"{name}: an older log, which compares outputs as texts; bench rescore compares by =="
            )
        if not report.is_complete:
            done = report.programs + len(report.run.excluded)
            notes.append(f"unfinished: {name} has come to {done} of {report.header.items} programs")
    return notes


def _most(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The most frequent ones, and how many more there are."""
    found = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rest = sum(count for _, count in found[_REASONS:])
    return [*found[:_REASONS], ("other reasons", rest)] if rest else found


def _programs(count: int) -> str:
    return "1 program" if count == 1 else f"{count} programs"


def _predictions(count: int) -> str:
    return "1 prediction" if count == 1 else f"{count} predictions"


def _cause_table(task: str, mode: str, reports: Sequence[Report]) -> Table:
    """What was wrong first, and in how many programs, the most frequent causes."""
    causes = list(dict.fromkeys(cause for report in reports for cause in report.causes))
    rows = [[cause, *(str(report.causes.get(cause, 0)) for report in reports)] for cause in causes]
    heads = ["", *(report.header.model for report in reports)]
    title = f"{task}, mode {mode}: what is wrong first, in how many predictions"
    return figure_table(title, heads, rows[:_CAUSES])


def _published_table(name: str) -> Table:
    rows = [[p.system, SHOWN.get(p.metric, p.metric), p.text, p.source, p.note] for p in PUBLISHED[name]]
    title = f"Published by others for {name} (all 800 programs, greedy; not measured here)"
    return text_table(title, ["system", "metric", "percent", "source", "note"], rows)


def _provenance_table(reports: Sequence[Report]) -> Table:
    """A row for everything that makes results comparable, with the models and modes that share it."""
    shared: dict[tuple[str, ...], tuple[list[str], list[str]]] = {}
    for report in reports:
        h = report.header
        tokens = "" if h.max_new_tokens is None else f", {h.max_new_tokens} tokens"
        key = (
            *(h.task, str(h.items), h.item_hash, report.prompts or "-", h.prompt_hash or "-"),
            *(f"{h.profile} {h.profile_hash}", h.python, h.cwm_trace, h.decoding.dtype or "-"),
            *(str(h.batch_size), f"{h.max_frames} frames{tokens}" if h.max_frames else "-", str(h.seed)),
        )
        models, modes = shared.setdefault(key, ([], []))
        models += [h.model] if h.model not in models else []
        modes += [h.mode] if h.mode not in modes else []
    heads = ["task", "programs", "item hash", "prompts", "prompt hash", "profile", "Python", "cwm-trace"]
    heads += ["dtype", "batch", "cap of a prediction", "seed", "models", "modes"]
    rows = [[*key, ", ".join(models), ", ".join(modes)] for key, (models, modes) in shared.items()]
    turned = [[head, *(row[index] for row in rows)] for index, head in enumerate(heads)]
    turned = [row for row in turned if set(row[1:]) != {"-"}]
    return text_table("What was run", turned[0], turned[1:])


def _signed(value: float | None) -> str:
    return "n/a" if value is None else f"{value:+.3f}"


def _p_text(value: float | None) -> str:
    return "n/a" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _value_text(estimate: Estimate) -> str:
    """A value alone."""
    return "n/a" if estimate.value is None else f"{estimate.value:.3f}"


def _estimate_text(estimate: Estimate, *, with_skill: bool = True) -> str:
    """A value with its interval, and with its skill over copying where that is known."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return _value_text(estimate)
    text = f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
    return f"{text} skill {estimate.skill:+.3f}" if with_skill and estimate.skill is not None else text
