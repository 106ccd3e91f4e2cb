from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cwm_trace.api import evaluate
from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.benchmark.log import read_logs
from cwm_trace.eval.benchmark.results import Results, read_results
from cwm_trace.predict.modes import ALL_MODES
from cwm_trace.predict.protocol import Predictor
from cwm_trace.progress import Progress
from tests.eval.predictors import BatchedPredictor, DyingPredictor, EndingPredictor, NoisyPredictor


def run(model: Predictor | str, folder: Path, **more: object) -> Results:
    options: dict[str, object] = {
        "limit": 6,
        "modes": ["free", "forced"],
        "baselines": False,
        "batch_size": 2,
    }
    return evaluate(model, "smoke", output=folder, **{**options, **more})  # type: ignore[arg-type]


def numbers(results: Results) -> object:
    """The report without what differs between two runs of the same: wall-clock time."""
    found = json.loads(results.to_json())
    for entry in found["runs"]:
        entry["metrics"].pop("seconds_per_frame")
    return found


def test_a_run_is_a_log_for_each_mode(tmp_path: Path) -> None:
    progress: list[Progress] = []
    results = run(NoisyPredictor(), tmp_path, report=progress.append)
    assert [run.header.mode for run in results.runs] == ["free", "forced"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "general-v1-smoke--forced--noisy.jsonl",
        "general-v1-smoke--free--noisy.jsonl",
    ]
    for entry in results.runs:
        assert (len(entry.programs), entry.is_complete, entry.header.items) == (6, True, 6)
        assert entry.header.decoding.dtype == "float32"
        for line in entry.programs:
            assert line.stored is not None
            assert len(line.stored["frames"]) == line.real_frames - 1
    assert [(p.done, p.total) for p in progress] == [(n, 12) for n in range(1, 13)]
    assert numbers(read_results([tmp_path])) == {**numbers(results), "runs": numbers(results)["runs"][::-1]}  # type: ignore[dict-item, index]


def test_batches_in_any_order_give_the_same_report(tmp_path: Path) -> None:
    batched = BatchedPredictor()
    one = run(NoisyPredictor(), tmp_path / "one")
    many = run(batched, tmp_path / "many")
    assert set(batched.sizes) == {2}
    assert numbers(one) == numbers(many)


def test_a_dead_server_ends_in_one_sentence_and_a_log_that_resumes(tmp_path: Path) -> None:
    with pytest.raises(CwmTraceError, match="does not answer"):
        run(DyingPredictor(answers=5), tmp_path / "a")
    assert sum(len(entry.programs) for entry in read_logs(tmp_path / "a")) == 5
    with pytest.raises(CwmTraceError, match="is there already: add --resume"):
        run(NoisyPredictor(), tmp_path / "a")
    rest = NoisyPredictor()
    resumed = run(rest, tmp_path / "a", resume=True)
    assert rest.asked == 7
    assert numbers(resumed) == numbers(run(NoisyPredictor(), tmp_path / "b"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"limit": 5}, "its items is 6, now 5"),
        ({"batch_size": 3}, "its batch_size is 2, now 3"),
        ({"max_frames": 9}, "its max_frames is 1000, now 9"),
        ({"seed": 1}, "its seed is 0, now 1"),
    ],
)
def test_a_log_of_another_run_is_not_gone_on_with(
    tmp_path: Path, change: dict[str, object], words: str
) -> None:
    run(NoisyPredictor(), tmp_path)
    with pytest.raises(CwmTraceError, match=f"the log of another run: {words}"):
        run(NoisyPredictor(), tmp_path, resume=True, **change)


def test_every_way_to_end_is_counted_and_none_is_dropped(tmp_path: Path) -> None:
    results = run(EndingPredictor(), tmp_path, modes="free", limit=10)
    (report,) = results.reports
    ended = dict.fromkeys(["complete", "truncated", "timed-out", "unparsable", "no-end"], 2)
    assert report.results == {**ended, "no-trace": 0, "not-comparable": 0}
    assert report.programs == 10
    assert report.metrics["output_accuracy"].n == 10


def test_what_was_paid_for_is_not_asked_again(tmp_path: Path) -> None:
    first, second, other = NoisyPredictor(), NoisyPredictor(), NoisyPredictor(name="other")
    cache = tmp_path / "cache"
    one = run(first, tmp_path / "a", cache=cache)
    two = run(second, tmp_path / "b", cache=cache)
    run(other, tmp_path / "c", cache=cache)
    assert (first.asked, second.asked, other.asked) == (12, 0, 12)
    assert numbers(one) == numbers(two)
    longer = NoisyPredictor()
    run(longer, tmp_path / "d", cache=cache, max_frames=900)
    assert longer.asked == 12


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: evaluate("copy", "dream"), "there is no task 'dream': choose one of smoke, core"),
        (lambda: evaluate("copy", "smoke:big"), "there is no task|no size"),
        (lambda: evaluate("copy", "general-v1:big"), "has no size 'big': choose one of smoke, core, full"),
        (lambda: evaluate("copy", "file"), r"needs a path: file:PATH\[::CALL\]"),
        (lambda: evaluate("copy", "quixbugs"), "quixbugs"),
        (lambda: evaluate("copy", "cruxeval:nowhere"), "cannot read nowhere"),
        (lambda: evaluate("copy", "folder:nowhere"), "is not a folder"),
        (lambda: evaluate("copy", "file:nowhere.py"), "cannot read nowhere.py"),
        (lambda: evaluate("dream", "smoke"), "there is no model 'dream'"),
        (lambda: evaluate("copy", "smoke", modes="dream"), "there is no mode 'dream'"),
        (lambda: evaluate("copy", []), "there is no task to run"),
        (lambda: evaluate([], "smoke", baselines=False), "there is no model to run"),
    ],
)
def test_bad_input_is_one_sentence(call: Callable[[], object], words: str) -> None:
    with pytest.raises(CwmTraceError, match=words) as raised:
        call()
    assert "\n" not in str(raised.value)


def test_all_modes_stand_side_by_side(tmp_path: Path) -> None:
    results = run("copy", tmp_path, modes="all", limit=2)
    assert [entry.header.mode for entry in results.runs] == list(ALL_MODES)
