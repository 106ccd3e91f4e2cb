"""`cwm-trace model`: what it prints, what it needs, what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import save_file
from torch.distributed.checkpoint.state_dict_saver import save as torch_save_checkpoint

from cwm_trace.cli.model import model
from cwm_trace.errors import CwmTraceError
from cwm_trace.model.shape import read_shape
from cwm_trace.predict.registry import find_mini

CONFIG = {
    "model_type": "cwm",
    "vocab_size": 520,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "sliding_window": 8,
}


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    folder = tmp_path / "hub"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    sizes = read_shape(CONFIG, "test").tensor_shapes()
    save_file({name: torch.ones(size) for name, size in sizes.items()}, folder / "model.safetensors")
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(model, [str(argument) for argument in arguments])


def test_the_bundled_model_has_a_name() -> None:
    named = run("info", "mini", "--json").output
    assert named == run("info", find_mini(), "--json").output
    assert json.loads(named)["shape"]["hidden_size"] > 0


def refuse(*arguments: object) -> str:
    """Run a command that fails, and return the sentence that the main command prints with exit code 2."""
    result = run(*arguments)
    assert isinstance(result.exception, CwmTraceError)
    assert "\n" not in str(result.exception)
    return str(result.exception)


def python(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout


def test_info_prints_a_page_or_json(hub: Path) -> None:
    page = run("info", hub, "--context", 32)
    assert page.exit_code == 0
    assert "layers     2: 1 global (G), 1 with a window of 8 (·)" in page.output
    numbers = json.loads(run("info", hub, "--context", 32, "--batch", 3, "--json").output)
    assert numbers["cache_bytes"] == {"full": 3 * 64 * 32, "rings": 3 * 40 * 32}
    assert numbers["stored"]["bytes"] == {"F32": numbers["weight_bytes"]["fp32"]}


def test_info_of_the_known_id() -> None:
    output = run("info", "facebook/cwm").output
    assert "34.4 GB full, 10.2 GB with rings" in output
    assert "gated" in output


def test_there_and_back(hub: Path, tmp_path: Path) -> None:
    there = run("convert", hub, tmp_path / "meta", "--to-meta")
    assert there.exit_code == 0
    assert f"wrote 21 tensors (0.00 GB) to 1 file in {tmp_path / 'meta'}\n" in there.output
    assert "wrote no tokenizer.model" in there.output
    back = run(
        "convert", tmp_path / "meta", tmp_path / "back", "--shard-size", 0.00002, "--dtype", "bfloat16"
    )
    assert back.exit_code == 0
    assert len(list((tmp_path / "back").glob("*.safetensors"))) > 1
    assert json.loads((tmp_path / "back" / "config.json").read_text())["dtype"] == "bfloat16"
    assert (
        json.loads(run("info", tmp_path / "back", "--json").output)["shape"]
        == json.loads(run("info", hub, "--json").output)["shape"]
    )


def test_what_is_wrong_is_one_sentence(hub: Path, tmp_path: Path) -> None:
    assert "is not a folder" in refuse("convert", tmp_path / "none", tmp_path / "target")
    assert "there is no params.json" in refuse("convert", hub, tmp_path / "target")
    assert "hub id has the form" in refuse("info", tmp_path / "none")
    (hub / "model.safetensors").write_bytes(b"")
    assert "not a safetensors file" in refuse("convert", hub, tmp_path / "target", "--to-meta")
    assert "not a safetensors file" in refuse("info", hub)


def test_a_bad_option_is_clicks_own_error(hub: Path, tmp_path: Path) -> None:
    for options in (["--dtype", "int8"], ["--shard-size", "0"]):
        assert run("convert", hub, tmp_path / "target", *options).exit_code == 2
    assert run("info", hub, "--context", "0").exit_code == 2


def test_info_needs_none_of_the_extras(hub: Path) -> None:
    blocked = ["torch", "transformers", "tokenizers", "safetensors", "numpy", "huggingface_hub", "jinja2"]
    program = (
        "import sys\n"
        f"for name in {blocked}: sys.modules[name] = None\n"
        "from cwm_trace.cli.model import model\n"
        f"model(['info', {str(hub)!r}])"
    )
    assert "parameters" in python(program)


def test_the_group_imports_nothing_heavy() -> None:
    loaded = python("import sys, cwm_trace.cli.model; print(*sys.modules)").split()
    heavy = {"torch", "transformers", "tokenizers", "safetensors", "numpy", "pydantic", "rich"}
    assert not heavy.intersection(loaded)


def test_a_missing_extra_names_the_command_that_brings_it(hub: Path, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "from cwm_trace.cli.model import model\n"
        "from cwm_trace.errors import CwmTraceError\n"
        f"try: model(['convert', {str(hub)!r}, {str(tmp_path / 'target')!r}], standalone_mode=False)\n"
        "except CwmTraceError as error: print(error)"
    )
    assert python(program) == "converting needs torch: pip install 'cwm-trace[model]'\n"
    assert not (tmp_path / "target").exists()


def test_a_checkpoint_as_torch_saves_it(tmp_path: Path) -> None:
    params = {"dim": 16, "n_layers": 1, "n_heads": 2, "vocab_size": 520, "multiple_of": 8, "max_seq_len": 64}
    parts: dict[str, tuple[int, ...]] = {f"attention.{part}": (16, 16) for part in ("wq", "wk", "wv", "wo")}
    parts |= {"feed_forward.w1": (48, 16), "feed_forward.w3": (48, 16), "feed_forward.w2": (16, 48)}
    parts |= {"attention_norm": (16,), "ffn_norm": (16,)}
    sizes = {f"layers.0.{part}": size for part, size in parts.items()}
    sizes |= {"tok_embeddings": (520, 16), "output": (520, 16), "norm": (16,)}
    state = {"model": {f"{name}.weight": torch.ones(size) for name, size in sizes.items()}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch_save_checkpoint(state, checkpoint_id=tmp_path / "meta", no_dist=True)
    (tmp_path / "meta" / "params.json").write_text(json.dumps({"model": params}))
    assert run("convert", tmp_path / "meta", tmp_path / "hub").exit_code == 0
    assert "layers     1: 1 global (G)" in run("info", tmp_path / "hub").output
