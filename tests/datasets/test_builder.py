"""The same recipe gives the same bytes, however often the build was killed and whoever did the work."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from cwm_trace import CWM, Trace, TraceTokens, parse_trace, render_trace, trace_execution
from cwm_trace.datasets.builder import build_dataset, plan_units, read_manifest
from cwm_trace.datasets.dataset_recipe import make_recipe
from cwm_trace.datasets.families import make_item
from cwm_trace.datasets.item import Item, Knob
from cwm_trace.datasets.rows import trace_of
from cwm_trace.datasets.shards import read_rows
from cwm_trace.errors import CwmTraceError
from cwm_trace.wire.context import MAIN
from cwm_trace.wire.render import FrameRenderer
from tests.cli.conftest import Cli
from tests.effort import rest_in_ci

TABLE = {
    "sources": [{"preset": "general-v1", "count": 120, "twins": ["rename", "comment"]}],
    "splits": {"train": 0.6, "dev": 0.2, "test": 0.2},
    "unit": 10,
    "shard_rows": 50,
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "built"
    build_dataset(make_recipe(TABLE), folder, workers=1)
    return folder


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def build_killed(table: object, folder: Path, kills: int, seconds: Callable[[], float]) -> int:
    """Build in a process that is killed again and again, and then finish. Gives the kills that hit."""
    program = (
        "import json, sys\nfrom cwm_trace.datasets.builder import build_dataset\n"
        "from cwm_trace.datasets.dataset_recipe import make_recipe\n"
        "if __name__ == '__main__':\n"
        "    build_dataset(make_recipe(json.loads(sys.argv[1])), sys.argv[2], workers=2)\n"
    )
    script = folder.with_suffix(".py")
    script.write_text(program)
    hits = 0
    for attempt in range(kills + 1):
        process = subprocess.Popen(
            [sys.executable, str(script), json.dumps(table), str(folder)], start_new_session=True
        )
        if attempt == kills:
            assert process.wait(timeout=3600) == 0
            break
        time.sleep(seconds())
        if process.poll() is None:
            hits += 1
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return hits


def item_of(row: Mapping[str, Any], split: str) -> Item:
    """The item of a row."""
    text: str = row["files"][0]["text"]
    if row["call"]:
        text = text.removesuffix(f"{MAIN}\n    return {row['call'].strip()}\n")
    knobs: dict[str, Knob] = {knob["name"]: json.loads(knob["value"]) for knob in row["knobs"]}
    return Item(row["id"], text, row["call"], row["family"], knobs, split, twin_of=row["twin_of"])


def test_rows_are_the_traces_of_their_items(built: Path) -> None:
    rows = list(read_rows(built))
    assert len(rows) > 200
    for split, row in rows[:: max(1, len(rows) // 40)]:
        item = item_of(row, split)
        if item.twin_of is None:
            name, seed, where, index = item.id.split("/")
            again = make_item(name, int(index), seed=int(seed), split=where)
            assert (item.source, item.call, item.split) == (again.source, again.call, again.split)
        plain = trace_execution(item.source, call=item.call, capture_output=True)
        trace = trace_of(row)
        assert (trace.frames, trace.files, trace.outcome, trace.run.output) == (
            plain.frames,
            plain.files,
            plain.outcome,
            plain.run.output,
        )


@pytest.mark.parametrize("kills", rest_in_ci([1, 5]))
def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(built: Path, tmp_path: Path, kills: int) -> None:
    draw = random.Random(5)
    folder = tmp_path / "killed"
    build_killed(TABLE, folder, kills, lambda: draw.uniform(0.3, 3.0))
    assert digests(folder) == digests(built)


def test_damage_of_a_kill_is_mended(built: Path, tmp_path: Path) -> None:
    """Half a file under its temporary name, a unit without its keys, a build without its manifest."""
    folder = tmp_path / "damaged"
    shutil.copytree(built, folder)
    (folder / "manifest.json").unlink()
    (folder / "data" / ".train-00000-of-00003.parquet.part").write_bytes(b"half")
    (folder / ".work").mkdir()
    (folder / ".work" / "000000.jsonl.zst").write_bytes(b"half")
    build_dataset(make_recipe(TABLE), folder)
    assert digests(folder) == digests(built)


def test_a_finished_dataset_is_left_alone(built: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in built.rglob("*")}
    assert build_dataset(make_recipe(TABLE), built) == read_manifest(built)
    assert {path: path.stat().st_mtime_ns for path in built.rglob("*")} == before


def test_a_finished_dataset_keeps_no_units(built: Path, tmp_path: Path) -> None:
    """Its process may have been killed after the last file was written."""
    folder = tmp_path / "finished"
    shutil.copytree(built, folder)
    (folder / ".work").mkdir()
    (folder / ".work" / "000000.json").write_text("{}")
    build_dataset(make_recipe(TABLE), folder)
    assert digests(folder) == digests(built)


@pytest.mark.slow
def test_ten_thousand_rows_killed_five_times(tmp_path: Path) -> None:
    table = {"sources": [{"preset": "general-v1", "count": 10_000}]}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    start = time.monotonic()
    build_dataset(make_recipe(table), whole, workers=2)
    share = (time.monotonic() - start) / 6
    draw = random.Random(1)
    assert build_killed(table, killed, 5, lambda: share * draw.uniform(0.5, 1.2)) == 5
    assert digests(killed) == digests(whole)


def visible(trace: Trace) -> list[tuple[object, ...]]:
    """All that the wire shows, lines and depths; which of two like generators resumes, it does not say."""
    renderer = FrameRenderer(trace, CWM)
    lines = Counter(line for file in trace.files for line in file.text.split("\n"))
    return [  # the wire has no line numbers: of a line that occurs twice either is as good
        (frame.event, *renderer.texts(frame), frame.line if lines[frame.source] == 1 else 0, frame.depth)
        for frame in trace.frames
    ]


def check_round_trip(folder: Path) -> int:
    """Shard to ids to frames; gives the number of rows."""
    tokens = TraceTokens.of_bytes()
    count = 0
    for _, row in read_rows(folder):
        trace = trace_of(row)
        ids = render_trace(trace, tokens=tokens)
        parsed = parse_trace(ids, tokens=tokens)
        assert parsed.guess.problems == ()
        assert render_trace(parsed, tokens=tokens) == ids
        assert visible(parsed) == visible(trace)
        count += 1
    return count


def test_ids_give_the_frames_back(built: Path) -> None:
    assert check_round_trip(built) > 200


@pytest.mark.slow
def test_ids_of_ten_thousand_rows_give_the_frames_back(tmp_path: Path) -> None:
    table = {"sources": [{"preset": "general-v1", "count": 10_700}], "duplicates": {"near": 1}}
    build_dataset(make_recipe(table), tmp_path / "data", workers=2)
    assert check_round_trip(tmp_path / "data") >= 10_000


def test_parquet_holds_the_same_rows(built: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    lines = [row for split, row in read_rows(built) if split == "train"]
    tables = [
        parquet.read_table(path).to_pylist() for path in sorted((built / "data").glob("train-*.parquet"))
    ]
    assert [row for table in tables for row in table] == lines


def test_hugging_face_reads_it(built: Path, tmp_path: Path) -> None:
    hub = pytest.importorskip("datasets")
    table = hub.load_dataset(str(built), cache_dir=str(tmp_path))
    assert {name: len(split) for name, split in table.items()} == read_manifest(built).rows
    first = next(row for split, row in read_rows(built) if split == "train")
    assert table["train"][0] == first


def test_no_program_or_twin_is_in_two_splits(built: Path) -> None:
    places: dict[str, set[str]] = {}
    programs: dict[str, set[str]] = {}
    twins = 0
    for split, row in read_rows(built):
        places.setdefault(row["twin_of"] or row["id"], set()).add(split)
        programs.setdefault(row["program"], set()).add(split)
        twins += row["twin_of"] is not None
    assert twins > 50
    assert all(len(splits) == 1 for splits in places.values())
    assert all(len(splits) == 1 for splits in programs.values())


def test_calls_apart_keeps_what_a_family_never_varies(tmp_path: Path) -> None:
    source = {"family": "sorting", "count": 60}
    table = {"sources": [source], "splits": {"train": 0.5, "test": 0.5}, "parquet": False}
    strict = build_dataset(make_recipe(table), tmp_path / "strict")
    loose = build_dataset(make_recipe({**table, "duplicates": {"apart": "call"}}), tmp_path / "loose")
    assert strict.rows["train"] < loose.rows["train"]
    calls = {
        split: {(row["program"], row["call"]) for name, row in read_rows(tmp_path / "loose") if name == split}
        for split in ("train", "test")
    }
    assert not calls["train"] & calls["test"]
    assert len(calls["train"]) > 20


def test_the_counts_add_up(built: Path) -> None:
    manifest = read_manifest(built)
    left_out = sum(manifest.failures.values()) + sum(manifest.dropped.values())
    assert sum(manifest.rows.values()) + left_out == manifest.tried
    for file in manifest.files:
        assert hashlib.sha256((built / file["name"]).read_bytes()).hexdigest() == file["sha256"]


def test_hostile_items_are_counted_and_the_rest_goes_on(tmp_path: Path) -> None:
    programs = {
        "a_good": "x = 1\ny = x + 1\n",
        "b_hang": "import time\nx = 1\ntime.sleep(60)\n",
        "c_exit": "import os\nx = 1\nos._exit(0)\n",
        "d_kill": "import os\nx = 1\nos.kill(os.getpid(), 9)\n",
        "e_syntax": "x = (\n",
        "f_endless": "x = 1\nwhile True:\n    x += 1\n",
        "g_output": "x = 1\nwhile True: print('endless' * 1000)\n",
        "h_memory": "x = 1\ny = bytearray(2**40)\n",
        "i_raises": "x = 1\ny = x / 0\n",
    }
    for name, text in programs.items():
        (tmp_path / f"{name}.py").write_text(text)
    recipe = make_recipe(
        {"sources": [{"items": f"python:{tmp_path}"}], "limits": {"seconds": 2}, "duplicates": {"near": 1}}
    )
    manifest = build_dataset(recipe, tmp_path / "data")
    assert manifest.failures == {
        "does-not-compile": 1,
        "frame-limit": 1,
        "killed": 1,
        "left": 1,
        "memory-limit": 1,
        "output-limit": 1,
        "timed-out": 1,
    }
    assert {row["id"] for _, row in read_rows(tmp_path / "data")} == {
        "python/a_good.py",
        "python/i_raises.py",
    }


def test_wrong_outputs_are_not_kept(tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").write_text(
        '{"id": "1", "code": "def f(x):\\n    return x + 1", "input": "1", "output": "2"}\n'
        '{"id": "2", "code": "def f(x):\\n    return x - 1", "input": "1", "output": "2"}\n'
    )
    recipe = make_recipe({"sources": [{"items": f"cruxeval:{tmp_path / 'c.jsonl'}", "sandbox": False}]})
    assert build_dataset(recipe, tmp_path / "data").failures == {"wrong-output": 1}


def test_units_do_not_depend_on_how_many_there_are() -> None:
    small = list(plan_units(make_recipe({**TABLE, "unit": 7})))
    assert sum(unit.stop - unit.start for unit in small) == 120
    assert {unit.number for unit in small} == set(range(len(small)))


@pytest.mark.slow
def test_ray_on_two_nodes_gives_the_same_bytes(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray: Any = pytest.importorskip("ray")
    cluster_utils: Any = pytest.importorskip("ray.cluster_utils")
    services = "ray._private.services.node_ip_address_from_perspective"
    monkeypatch.setattr(services, lambda *_: "127.0.0.1")  # it would take 127.0.0.1 for another address
    node = {"num_cpus": 1, "include_dashboard": False}
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=node)
    try:
        cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        seed = {"env_vars": {"PYTHONHASHSEED": "0"}}
        ray.init(address=cluster.address, log_to_driver=False, runtime_env=seed)
        assert {each["NodeManagerAddress"] for each in ray.nodes()} == {"127.0.0.1"}
        assert len([each for each in ray.nodes() if each["Alive"]]) == 2
        build_dataset(make_recipe(TABLE), tmp_path / "ray", engine="ray")
        ray.shutdown()
    finally:
        cluster.shutdown()
    assert digests(tmp_path / "ray") == digests(built)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tiny disk needs root")
def test_a_full_disk_is_one_sentence_and_nothing_is_lost(cli: Cli, built: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("tmpfs cannot be mounted here")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        'unit = 10\nshard_rows = 50\n[[sources]]\npreset = "general-v1"\ncount = 120\n'
        'twins = ["rename", "comment"]\n[splits]\ntrain = 0.6\ndev = 0.2\ntest = 0.2\n'
    )
    try:
        result = cli("dataset", "build", str(recipe), "-o", str(disk / "data"), "--workers", "1")
        assert result.returncode == 2
        last = result.stderr.splitlines()[-1]
        assert last.startswith("cwm-trace: cannot write")
        assert "No space left on device" in last
        assert "Traceback" not in result.stderr
        left = digests(disk / "data")
        assert any(name.endswith(".json") for name in left)
        assert not any(name.endswith(".part") for name in left)
        subprocess.run(["mount", "-o", "remount,size=50m", str(disk)], check=True)
        assert cli("dataset", "build", str(recipe), "-o", str(disk / "data")).returncode == 0
        assert digests(disk / "data") == digests(built)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_folder_of_another_dataset(built: Path) -> None:
    with pytest.raises(CwmTraceError, match="another recipe"):
        build_dataset(make_recipe({**TABLE, "seed": 1}), built)
