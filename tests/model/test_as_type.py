"""`--as cwm`: a folder whose `config.json` says llama, as Meta's first upload did, predicts as a CWM."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cwm_trace.records import Decoding
from cwm_trace.storage import read_trace
from tests.cli.conftest import Cli, cli  # noqa: F401 (a fixture)
from tests.model.pairs import save_checkpoint


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A CWM, and the same weights with a configuration that says llama."""
    home = tmp_path_factory.mktemp("as-type")
    cwm = save_checkpoint(home / "cwm")
    llama = home / "llama"
    shutil.copytree(cwm, llama)
    path = llama / "config.json"
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters")
    config |= {"rope_theta": rope.pop("rope_theta"), "rope_scaling": rope}
    path.write_text(json.dumps({**config, "model_type": "llama", "architectures": ["LlamaForCausalLM"]}))
    return cwm, llama


def test_a_folder_that_says_llama_predicts_as_a_cwm(
    cli: Cli,  # noqa: F811
    folders: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    (tmp_path / "p.py").write_text("def f(n):\n    return n + 1\n")
    traces = []
    for folder, more in zip(folders, ([], ["--as", "cwm"]), strict=True):
        arguments = ["--model", str(folder), "--max-frames", "3", "--max-new-tokens", "60", *more]
        result = cli("predict", "p.py", "--call", "f(1)", "-o", "out.jsonl", *arguments)
        assert result.returncode == 0, result.stderr
        traces.append(read_trace(tmp_path / "out.jsonl"))
    cwm, llama = traces
    assert llama.frames == cwm.frames
    assert llama.outcome == cwm.outcome
    assert isinstance(cwm.guess.decoding, Decoding)
    assert isinstance(llama.guess.decoding, Decoding)
    assert (cwm.guess.decoding.as_type, llama.guess.decoding.as_type) == ("", "cwm")
    assert cwm.guess.decoding.fingerprint != llama.guess.decoding.fingerprint


@pytest.mark.ci
def test_bench_takes_it_too(cli: Cli, folders: tuple[Path, Path], tmp_path: Path) -> None:  # noqa: F811
    arguments = ["--tasks", "smoke", "--limit", "1", "--max-frames", "2", "--no-baselines", "-o", "logs"]
    result = cli("bench", *arguments, "--model", str(folders[1]), "--as", "cwm", "--max-new-tokens", "40")
    assert result.returncode == 0, result.stderr
    header = next((tmp_path / "logs").glob("*.jsonl")).read_text().splitlines()[0]
    assert json.loads(header)["decoding"]["as_type"] == "cwm"


def test_without_it_the_folder_is_refused_and_with_it_what_is_no_folder(
    cli: Cli,  # noqa: F811
    folders: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    (tmp_path / "p.py").write_text("def f(n):\n    return n + 1\n")
    for model, more, said in [
        (str(folders[1]), [], "says llama and has CWM's layer_types"),
        ("copy", ["--as", "cwm"], "--as cwm is for a checkpoint folder, and copy is none"),
        (
            "http://127.0.0.1:9",
            ["--as", "cwm"],
            "--as cwm is for a checkpoint folder, and http://127.0.0.1:9",
        ),
        (str(folders[0]), ["--as", "llama"], "'llama' is not 'cwm'"),
    ]:
        result = cli("predict", "p.py", "--call", "f(1)", "--model", model, *more)
        assert result.returncode == 2, (model, result.stderr)
        assert said in " ".join(result.stderr.split())
        assert "Traceback" not in result.stderr
