"""`load_model`: what it loads, and what it says about a folder that cannot be loaded."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from cwm_trace.cli.main import main
from cwm_trace.errors import CwmTraceError
from cwm_trace.model.loading import load_model
from cwm_trace.model.modeling import CwmForCausalLM
from tests.model.pairs import distance, pair, small_config, tokens

INDEX = "model.safetensors.index.json"
FULL, WINDOW = "full_attention", "sliding_attention"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """In several shards."""
    ours, _ = pair(small_config())
    ours.save_pretrained(tmp_path / "model", max_shard_size="20KB")
    return tmp_path / "model"


def edit(**changes: Any) -> Callable[[Path], None]:
    """Change `config.json`."""

    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def shard(folder: Path) -> Path:
    return sorted(folder.glob("*.safetensors"))[1]


def cut(count: int) -> Callable[[Path], None]:
    """Keep the first bytes of a shard, or leave off the last ones."""
    return lambda folder: (shard(folder).write_bytes(shard(folder).read_bytes()[:count]), None)[1]


def overwrite(data: bytes) -> Callable[[Path], None]:
    return lambda folder: (shard(folder).write_bytes(data + shard(folder).read_bytes()[len(data) :]), None)[1]


def change_tensors(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Rewrite a shard with other tensors."""

    def rewrite(folder: Path) -> None:
        held = load_file(shard(folder))
        change(held)
        save_file(held, shard(folder), {"format": "pt"})

    return rewrite


def drop_from_index(folder: Path) -> None:
    index = json.loads((folder / INDEX).read_text())
    index["weight_map"].pop("model.norm.weight")
    (folder / INDEX).write_text(json.dumps(index))
    name = next(path for path in folder.glob("*.safetensors") if "model.norm.weight" in load_file(path))
    held = load_file(name)
    held.pop("model.norm.weight")
    save_file(held, name, {"format": "pt"})


def leave_a_pickle(folder: Path) -> None:
    """Weights as they were saved before safetensors."""
    for path in (*folder.glob("*.safetensors"), folder / INDEX):
        path.unlink()
    torch.save({}, folder / "pytorch_model.bin")


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "unknown layer type": (edit(layer_types=[FULL, "global", FULL, FULL]), r"layer_types\.1.*'global'"),
    "too few layer types": (edit(layer_types=[FULL, WINDOW]), "2 layer_types for 4 layers"),
    "too many layer types": (edit(layer_types=[FULL] * 5), "5 layer_types for 4 layers"),
    "layer types no list": (edit(layer_types=7), "layer_types should be a list"),
    "no window": (edit(sliding_window=None), "window layers and no sliding_window"),
    "window of nothing": (edit(sliding_window=0), "sliding_window: .*greater than 0, not 0"),
    "another model": (edit(model_type="gemma"), "model_type.*'gemma'"),
    "a llama that is a CWM": (edit(model_type="llama"), "says llama and has CWM's layer_types.*--as cwm"),
    "another width": (edit(hidden_size=64), "has the shape .*; config.json asks for"),
    "more layers": (edit(num_hidden_layers=5, layer_types=[FULL] * 5), r"have no model\.layers\.4"),
    "heads that do not divide": (edit(num_key_value_heads=3), "4 heads, not a multiple of its 3"),
    "unknown rope": (edit(rope_parameters={"rope_type": "spiral"}), "cannot load .*spiral"),
    "config cut short": (
        lambda f: (f / "config.json").write_text((f / "config.json").read_text()[:40]),
        r"config\.json is not JSON",
    ),
    "no config": (lambda f: (f / "config.json").unlink(), r"there is no config\.json"),
    "missing shard": (lambda f: os.remove(shard(f)), r"model-00002-of-\d+\.safetensors is missing"),
    "shard cut in its data": (cut(-1), "bytes where its header promises"),
    "shard cut in its header": (cut(50), "not a safetensors file"),
    "empty shard": (cut(0), "not a safetensors file"),
    "header length": (overwrite(b"\xff" * 8), "not a safetensors file"),
    "header no JSON": (overwrite((8).to_bytes(8, "little") + b"notjson!"), "not a safetensors file"),
    "renamed tensor": (
        change_tensors(lambda held: held.update(other=held.pop(next(iter(held))))),
        "the index of .* says that .* it is not",
    ),
    "transposed tensor": (
        change_tensors(lambda held: held.update({n: t[:-1].contiguous() for n, t in held.items()})),
        "has the shape",
    ),
    "tensor in no shard": (drop_from_index, r"have no model\.norm\.weight"),
    "index no JSON": (lambda f: (f / INDEX).write_text("{"), r"index\.json is not JSON"),
    "a pickle": (leave_a_pickle, "pytorch_model.bin is a pickle: convert it by python -c"),
    "no weights": (
        lambda f: [path.rename(f"{path}.gone") for path in (*f.glob("*.safetensors"), f / INDEX)],
        "there is neither model.safetensors nor",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_folder_is_one_sentence(folder: Path, name: str) -> None:
    fault, message = FAULTS[name]
    fault(folder)
    with pytest.raises(CwmTraceError, match=message) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)
    assert not str(caught.value).endswith(".")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", [name for name in FAULTS if name != "unknown rope"])
def test_the_command_line_says_so_with_exit_code_2(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if name in ("no window", "no weights", "a pickle"):
        pytest.skip("`model info` counts what it would be with CWM's window, and without weights")
    FAULTS[name][0](folder)
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["cwm-trace", "model", "info", str(folder)])
    with pytest.raises(SystemExit, match=r"^2$"):
        main()
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("cwm-trace: ")
    assert said.err.count("\n") == 1


def test_a_sound_folder_loads_ready_to_predict(folder: Path) -> None:
    model: Any = load_model(folder, attn_implementation="interval")
    reference: Any = CwmForCausalLM.from_pretrained(folder)
    assert not model.training
    assert model.config._attn_implementation == "interval"
    assert model.dtype is torch.float32
    with torch.no_grad():
        assert distance(model(tokens(1, 20)).logits, reference(tokens(1, 20)).logits) <= 1e-5
    assert load_model(folder, dtype=torch.bfloat16).dtype is torch.bfloat16


def test_no_folder_and_bad_options_are_one_sentence(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CwmTraceError, match="is not a folder"):
        load_model(tmp_path / "none")
    with pytest.raises(CwmTraceError, match=r"cannot load .*bright.* is not supported"):
        load_model(folder, attn_implementation="bright")


def test_a_folder_that_says_llama_loads_as_cwm(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As Meta's first upload: `rope_theta` and `rope_scaling` where transformers 5 has `rope_parameters`."""
    want = load_model(folder)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters")
    config |= {"rope_theta": rope.pop("rope_theta"), "rope_scaling": rope}
    path.write_text(json.dumps({**config, "model_type": "llama", "architectures": ["LlamaForCausalLM"]}))
    model: Any = load_model(folder, as_type="cwm")
    assert model.config.model_type == "cwm"
    assert model.config.layer_types == want.config.layer_types
    with torch.no_grad():
        assert torch.equal(model(tokens(1, 20)).logits, want(tokens(1, 20)).logits)
    monkeypatch.setattr(sys, "argv", ["cwm-trace", "model", "info", str(folder), "--as", "cwm"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert "2 global (G)" in capsys.readouterr().out


def save_pickles(tensors: dict[str, torch.Tensor], folder: Path, shards: int) -> None:
    """As `torch.save` wrote checkpoints: one file, or several and an index."""
    if shards == 1:
        torch.save(tensors, folder / "pytorch_model.bin")
        return
    files = [f"pytorch_model-{number + 1:05}-of-{shards:05}.bin" for number in range(shards)]
    for number, file in enumerate(files):
        torch.save({name: tensors[name] for name in list(tensors)[number::shards]}, folder / file)
    index = {"metadata": {}, "weight_map": {name: files[at % shards] for at, name in enumerate(tensors)}}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("shards", [1, 2])
def test_the_command_for_a_pickle_converts_it(tmp_path: Path, shards: int) -> None:
    ours, _ = pair(small_config())
    folder = tmp_path / "old"
    ours.save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    save_pickles(ours.state_dict(), folder, shards)
    said = "pytorch_model.bin is a pickle" if shards == 1 else "pytorch_model.bin.index.json names pickles"
    with pytest.raises(CwmTraceError, match=said) as caught:
        load_model(folder)
    program = re.search(r'python -c "(.*)"', str(caught.value))
    assert program is not None
    exec(program[1], {})
    model: Any = load_model(tmp_path / "old-safetensors")
    with torch.no_grad():
        assert distance(model(tokens(1, 9)).logits, ours(tokens(1, 9)).logits) <= 1e-5
