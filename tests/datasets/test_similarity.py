"""Duplicates and copies are found; programs that only look alike are not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rensa")

from cwm_trace.datasets.builder import build_dataset, read_manifest
from cwm_trace.datasets.dataset_recipe import make_recipe
from cwm_trace.datasets.families import make_items
from cwm_trace.datasets.shards import read_rows
from cwm_trace.datasets.similarity import (
    Benchmark,
    Sketch,
    Sketches,
    key_of,
    rename_words,
    sketch,
    words_of,
)
from cwm_trace.datasets.twins import make_twin
from tests.cli.conftest import Cli

SOLUTION = '''def f(text, limit):
    """Count words."""
    counts = {}
    for word in text.split():  # every word
        counts[word] = counts.get(word, 0) + 1
    best = []
    for word, count in counts.items():
        if count >= limit:
            best.append((count, word))
    best.sort(reverse=True)
    return best
'''


def renamed_key(source: str) -> int:
    return key_of(rename_words(words_of(source)))


def test_names_layout_and_comments_do_not_count() -> None:
    other = (
        SOLUTION.replace("counts", "table")
        .replace("word", "w")
        .replace("  # every w", "")
        .replace("f(", "g(")
    )
    assert other != SOLUTION
    assert renamed_key(other.replace("Count ws", "Count words")) == renamed_key(SOLUTION)
    assert renamed_key(SOLUTION.replace("    best = []", "\n\n    best = [ ]")) == renamed_key(SOLUTION)
    assert renamed_key(SOLUTION.replace("+ 1", "+ 2")) != renamed_key(SOLUTION)
    assert renamed_key(SOLUTION.replace("append", "extend")) != renamed_key(SOLUTION)
    assert renamed_key(SOLUTION.replace("limit:", "word:")) != renamed_key(SOLUTION)


def test_renamed_twins_are_duplicates_of_their_programs() -> None:
    items = list(make_items("general-v1", 60))
    twins = [(item, make_twin(item, kind)) for item in items for kind in ("rename", "comment")]
    found = [(item, twin) for item, twin in twins if twin is not None]
    assert len(found) > 60
    for item, twin in found:
        assert renamed_key(twin.source) == renamed_key(item.source), twin.id


def likeness(one: Sketch, other: Sketch) -> float:
    return float((one == other).mean())


@pytest.mark.parametrize("threshold", [0.6, 0.9])
def test_finds_what_rensa_finds(threshold: float) -> None:
    """The oracle keeps its own index of its own sketches; near programs are made by leaving words out."""
    rensa: Any = pytest.importorskip("rensa")
    programs = [words_of(item.source) for item in make_items("general", 30, knobs={"lines": 120})]
    programs += [words[:cut] + words[cut + 1 :] for words in programs for cut in (7, len(words) // 2)]
    index = rensa.RMinHashLSH(threshold=threshold, num_perm=128, num_bands=32 if threshold < 0.8 else 16)
    sketches, found = Sketches(threshold), 0
    hashes: list[Any] = []
    for number, words in enumerate(programs):
        minhash = rensa.RMinHash(num_perm=128, seed=42)
        minhash.update([" ".join(words[at : at + 5]) for at in range(max(len(words) - 4, 1))])
        near = [each for each in sorted(index.query(minhash)) if hashes[each].jaccard(minhash) >= threshold]
        mine = sketch(words)
        assert sketches.find(mine) == (near[0] if near else None)
        assert [likeness(mine, sketch(programs[each])) for each in near] == [
            hashes[each].jaccard(minhash) for each in near
        ]
        found += bool(near)
        index.insert(number, minhash)
        hashes.append(minhash)
        sketches.add(mine)
    assert found > 30


def test_near_duplicates_by_threshold() -> None:
    near = SOLUTION.replace("reverse=True", "reverse=False")
    similarity = likeness(sketch(words_of(SOLUTION)), sketch(words_of(near)))
    assert 0.8 < similarity < 1
    for threshold, expected in ((0.8, 0), (0.999, None)):
        sketches = Sketches(threshold)
        sketches.add(sketch(words_of(SOLUTION)))
        assert sketches.find(sketch(words_of(near))) == expected
        assert sketches.find(sketch(words_of("import os\nprint(os.getcwd())\n"))) is None


@pytest.mark.parametrize(
    "copy",
    [
        SOLUTION,
        SOLUTION.replace("counts", "table").replace("text", "s").replace("best", "result"),
        SOLUTION.replace("    best = []", "\n    # collect\n    best = []").replace(
            "reverse=True", "reverse = True"
        ),
        SOLUTION.replace("reverse=True", "reverse=False"),
        "import math\n\n\ndef helper(x):\n    return math.sqrt(x)\n\n\n"
        + SOLUTION
        + "\n\nprint(f('a b a', 1))\n",
        "@staticmethod\n" + SOLUTION.replace("def f", "def solution"),
    ],
    ids=["as it is", "renamed", "reformatted", "slightly changed", "among others", "decorated"],
)
def test_planted_copies_are_found(copy: str) -> None:
    benchmark = Benchmark([SOLUTION, "def g(x):\n    return x\n"], 0.8)
    assert benchmark.has_copy_in(copy)


def test_other_programs_are_not_copies() -> None:
    benchmark = Benchmark([SOLUTION, "def g(x):\n    return x\n"], 0.8)
    assert not benchmark.has_copy_in("def h(x):\n    return x\n")  # too short to be anybody's
    assert not any(benchmark.has_copy_in(item.source) for item in make_items("general-v1", 200))


def test_decontamination_finds_what_was_planted(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    innocent = "def area(w, h):\n    size = w * h\n    return size\n\n\nprint(area(2, 3))\n"
    (tmp_path / "code" / "innocent.py").write_text(innocent)
    (tmp_path / "code" / "planted.py").write_text(SOLUTION.replace("word", "item") + "\nprint(f('a b', 1))\n")
    benchmark = tmp_path / "bench.jsonl"
    benchmark.write_text(json.dumps({"id": "1", "code": SOLUTION, "input": "'a', 1", "output": "[]"}) + "\n")
    arguments = [
        "--items",
        "python:code",
        "--against",
        f"cruxeval:{benchmark}",
        "-o",
        "out",
        "--workers",
        "1",
    ]
    result = cli("dataset", "build", *arguments)
    assert result.returncode == 0, result.stderr
    assert read_manifest(tmp_path / "out").failures == {"contaminated": 1}
    assert [row["id"] for _, row in read_rows(tmp_path / "out")] == ["python/innocent.py"]


def test_exact_near_and_other_calls(tmp_path: Path) -> None:
    programs = [
        ("def f(a):\n    b = a + 1\n    return b", "1", "2"),
        ("def f(a):\n    b = a + 1\n    return b", "1", "2"),  # the same
        ("def f(x):\n    y = x + 1\n    return y", "1", "2"),  # up to names
        ("def f(a):\n    b = a + 1\n    return b", "2", "3"),  # another call
        (SOLUTION, "'a a', 1", "[(2, 'a')]"),
        (SOLUTION.replace("reverse=True", "reverse=False"), "'a a', 1", "[(2, 'a')]"),  # nearly the same
    ]
    path = tmp_path / "c.jsonl"
    path.write_text(
        "".join(
            json.dumps({"id": str(number), "code": code, "input": given, "output": output}) + "\n"
            for number, (code, given, output) in enumerate(programs)
        )
    )
    source = {"items": f"cruxeval:{path}", "sandbox": False}
    for near, kept, dropped in (
        (0.8, ["0", "3", "4"], {"exact-duplicate": 2, "near-duplicate": 1}),
        (1, ["0", "3", "4", "5"], {"exact-duplicate": 2}),
    ):
        folder = tmp_path / f"near-{near}"
        build_dataset(make_recipe({"sources": [source], "duplicates": {"near": near}}), folder)
        assert [row["id"].split("/")[1] for _, row in read_rows(folder)] == kept
        assert read_manifest(folder).dropped == dropped
