"""Conversion: whatever happens on the way, nothing is broken and the next run goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.convert import convert_checkpoint
from cwm_trace.progress import Progress
from tests.effort import rest_in_ci
from tests.model.checkpoints import (
    contents,
    meta_params,
    meta_state,
    save_meta,
)

KILLED = """
import sys, time
from pathlib import Path
from cwm_trace.model.convert import convert_checkpoint
def report(progress):
    print(progress.what, flush=True)
    time.sleep(0.02)
source, target, to_meta = sys.argv[1:]
convert_checkpoint(Path(source), Path(target), to_meta=bool(to_meta), shard_bytes=40_000, report=report)
"""


@pytest.mark.parametrize("to_meta", rest_in_ci([False, True]))
def test_kill_9_leaves_nothing_broken_and_the_next_run_goes_on(
    hub: Path, meta: Path, tmp_path: Path, to_meta: bool
) -> None:
    source = hub if to_meta else meta
    whole = convert_checkpoint(source, tmp_path / "whole", to_meta=to_meta, shard_bytes=40_000)
    target = tmp_path / "target"
    command = [sys.executable, "-c", KILLED, str(source), str(target), "yes" if to_meta else ""]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == whole.files[2]:  # two files are done and the third is half written
                process.send_signal(signal.SIGKILL)
                break
        assert process.wait() == -signal.SIGKILL
    expected = contents(tmp_path / "whole")
    left = contents(target)
    finished = {name for name in left if not name.startswith(".")}
    assert set(whole.files[:2]) <= finished
    assert all(left[name] == expected[name] for name in finished)
    assert not {"config.json", "params.json", ".metadata"} & left.keys()
    again = convert_checkpoint(source, target, to_meta=to_meta, shard_bytes=40_000)
    assert 2 <= again.resumed < len(again.files)
    assert contents(target) == expected


@pytest.mark.parametrize("to_meta", [False, True])
def test_stopped_at_any_tensor_it_goes_on(hub: Path, meta: Path, tmp_path: Path, to_meta: bool) -> None:
    source = hub if to_meta else meta
    convert_checkpoint(source, tmp_path / "whole", to_meta=to_meta, shard_bytes=40_000)
    expected = contents(tmp_path / "whole")
    for stop in range(1, 31):
        steps: list[Progress] = []

        def report(progress: Progress, steps: list[Progress] = steps, stop: int = stop) -> None:
            steps.append(progress)
            if len(steps) == stop:
                raise KeyboardInterrupt

        target = tmp_path / f"stopped-at-{stop}"
        with pytest.raises(KeyboardInterrupt):
            convert_checkpoint(source, target, to_meta=to_meta, shard_bytes=40_000, report=report)
        left = contents(target)
        assert left.pop(".conversion.json")
        assert left.items() <= expected.items()
        again = convert_checkpoint(source, target, to_meta=to_meta, shard_bytes=40_000)
        assert again.resumed == len(left)
        assert contents(target) == expected


def test_an_unfinished_conversion_is_only_continued_with_the_same_options(meta: Path, tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_checkpoint(meta, tmp_path / "target", report=stop)
    with pytest.raises(CwmTraceError, match="unfinished conversion of another source or with other options"):
        convert_checkpoint(meta, tmp_path / "target", dtype=torch.bfloat16)
    convert_checkpoint(meta, tmp_path / "target")
    with pytest.raises(CwmTraceError, match=r"is not empty \(it holds config\.json\)"):
        convert_checkpoint(meta, tmp_path / "target")


def test_two_conversions_do_not_write_to_one_folder(meta: Path, tmp_path: Path) -> None:
    def start_another(progress: Progress) -> None:
        with pytest.raises(CwmTraceError, match="another conversion is writing to"):
            convert_checkpoint(meta, tmp_path / "target")

    convert_checkpoint(meta, tmp_path / "target", report=start_another)
    assert (tmp_path / "target" / "config.json").exists()


def test_a_shortened_shard_is_written_again(meta: Path, tmp_path: Path) -> None:
    whole = convert_checkpoint(meta, tmp_path / "whole", shard_bytes=40_000)

    def stop(progress: Progress) -> None:
        if progress.what == whole.files[2]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_checkpoint(meta, tmp_path / "target", shard_bytes=40_000, report=stop)
    with (tmp_path / "target" / whole.files[0]).open("r+b") as file:
        file.truncate(1000)
    assert convert_checkpoint(meta, tmp_path / "target", shard_bytes=40_000).resumed == 1
    assert contents(tmp_path / "target") == contents(tmp_path / "whole")


def test_progress_adds_up(meta: Path, tmp_path: Path) -> None:
    steps: list[Progress] = []
    done = convert_checkpoint(meta, tmp_path / "hub", report=steps.append)
    assert len(steps) == done.tensors == 30
    assert steps[-1].done == steps[-1].total == done.bytes
    assert steps == sorted(steps, key=lambda step: step.done)


MEMORY = r"""
import json, re, sys
from pathlib import Path
from cwm_trace.model.convert import convert_checkpoint
source, hub, back = map(Path, sys.argv[1:])
def peak():  # not ru_maxrss, which a child inherits
    return 1024 * int(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1])
before = peak()
convert_checkpoint(source, hub)
there = peak()
convert_checkpoint(hub, back, to_meta=True)
print(json.dumps([there - before, peak() - before]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_holds_a_few_tensors_not_the_model(tmp_path: Path) -> None:
    params = meta_params(dim=768, n_layers=8, n_heads=8, n_kv_heads=8, head_dim=128)
    tensors = meta_state(params, torch.bfloat16)
    total = sum(tensor.nbytes for tensor in tensors.values())
    save_meta(tmp_path / "meta", params, tensors)
    largest = max(tensor.nbytes for tensor in tensors.values())
    command = [sys.executable, "-c", MEMORY, *(str(tmp_path / name) for name in ("meta", "hub", "back"))]
    peaks = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    print(peaks)
    assert largest < 2e6
    assert total > 80e6
    assert max(peaks) < 40e6
