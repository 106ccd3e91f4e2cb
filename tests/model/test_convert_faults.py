"""Conversion: what is wrong with a source is one sentence."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributed.checkpoint.metadata import MetadataIndex

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.convert import convert_checkpoint
from tests.model.checkpoints import (
    GLOBAL,
    WINDOW,
)


def cut(path: Path, keep: float = 0.5) -> None:
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * keep))


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def shorten_a_chunk(folder: Path) -> None:
    metadata = pickle.loads((folder / ".metadata").read_bytes())
    chunk = metadata.state_dict_metadata["model.output.weight"].chunks[0]
    chunk.sizes = torch.Size([chunk.sizes[0] - 1, chunk.sizes[1]])
    (folder / ".metadata").write_bytes(pickle.dumps(metadata))


def move_a_chunk(folder: Path) -> None:
    metadata = pickle.loads((folder / ".metadata").read_bytes())
    chunk = metadata.state_dict_metadata["model.output.weight"].chunks[0]
    place = next(
        place for index, place in metadata.storage_data.items() if index.fqn == "model.output.weight"
    )
    chunk.offsets = torch.Size([1, 0])
    metadata.storage_data[MetadataIndex("model.output.weight", chunk.offsets)] = place
    (folder / ".metadata").write_bytes(pickle.dumps(metadata))


def model(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "params.json", lambda params: params["model"].update(changes))


META_FAULTS: list[tuple[str, Callable[[Path], object], str]] = [
    ("no params", lambda f: (f / "params.json").unlink(), r"no params\.json"),
    ("no metadata", lambda f: (f / ".metadata").unlink(), r"no \.metadata"),
    ("no shard", lambda f: (f / "__0_0.distcp").unlink(), r"__0_0\.distcp is missing"),
    ("short shard", lambda f: cut(f / "__0_0.distcp"), "was cut short"),
    ("short metadata", lambda f: cut(f / ".metadata"), "not the metadata"),
    ("text for metadata", lambda f: (f / ".metadata").write_text("hello"), "not the metadata"),
    ("damaged shard", lambda f: overwrite(f / "__0_0.distcp", 0, b"\xff" * 70_000), "is damaged"),
    ("a gap between chunks", shorten_a_chunk, "do not make up its shape"),
    ("a chunk that sticks out", move_a_chunk, "do not make up its shape"),
    ("params no JSON", lambda f: (f / "params.json").write_text("{"), "is not JSON"),
    ("params no object", lambda f: (f / "params.json").write_text("[]"), "holds a list"),
    ("unknown key", model(qk_scale=2), r"model\.qk_scale: extra inputs are not permitted"),
    ("unknown window key", model(window_attn={"windows": 2}), r"window_attn\.windows"),
    (
        "no vocabulary",
        lambda f: edit(f / "params.json", lambda p: p["model"].pop("vocab_size")),
        "vocab_size",
    ),
    ("a word for a number", model(dim="wide"), r"model\.dim.*'wide'"),
    ("biases", model(qkv_biases=True), "qkv_biases"),
    ("tied", model(weight_tying=True), "weight_tying"),
    ("latent attention", model(kv_lora_rank=8), "kv_lora_rank"),
    (
        "short global window",
        model(window_attn={"local_window": 2, "global_window": 9}),
        "window of 9, shorter",
    ),
    ("no local window", model(window_attn={"window_pattern": 4}), "no local_window"),
    ("heads", model(n_kv_heads=3), "4 heads, not a multiple of its 3"),
    ("another width", model(dim=64), r"has the shape \[.*\]; the configuration asks for"),
    ("more layers", model(n_layers=4), r"has no layers\.3\.attention_norm\.weight"),
    ("fewer layers", model(n_layers=2), r"layers\.2\.\S+, for which a CWM model has no place"),
]

HUB_FAULTS: list[tuple[str, Callable[[Path], object], str]] = [
    ("no config", lambda f: (f / "config.json").unlink(), r"no config\.json"),
    ("no weights", lambda f: (f / "model.safetensors.index.json").unlink(), "neither model.safetensors nor"),
    ("no shard", lambda f: next(f.glob("model-00002*")).unlink(), r"model-00002\S+ is missing"),
    ("short shard", lambda f: cut(next(f.glob("model-00002*"))), "header promises"),
    ("very short shard", lambda f: cut(next(f.glob("model-00002*")), 0.0), "not a safetensors file"),
    ("long shard", lambda f: next(f.glob("model-00002*")).open("ab").write(b"x"), "header promises"),
    ("damaged header", lambda f: overwrite(next(f.glob("model-00002*")), 9, b"??"), "not a safetensors file"),
    (
        "huge header",
        lambda f: overwrite(next(f.glob("model-00002*")), 0, b"\xff" * 8),
        "not a safetensors file",
    ),
    (
        "another model",
        lambda f: edit(f / "config.json", lambda c: c.update(model_type="llama")),
        "says llama and has CWM's layer_types",
    ),
    (
        "a wrong layer type",
        lambda f: edit(f / "config.json", lambda c: c.update(layer_types=["global"] * 3)),
        r"layer_types\.0.*'global'",
    ),
    (
        "too few layer types",
        lambda f: edit(f / "config.json", lambda c: c.update(layer_types=[GLOBAL])),
        "1 layer_types for 3 layers",
    ),
    (
        "no period",
        lambda f: edit(f / "config.json", lambda c: c.update(layer_types=[WINDOW, GLOBAL, GLOBAL])),
        "layer_types without a period",
    ),
    (
        "tied",
        lambda f: edit(f / "config.json", lambda c: c.update(tie_word_embeddings=True)),
        "ties the head",
    ),
    (
        "another scaling",
        lambda f: edit(f / "config.json", lambda c: c.update(rope_parameters={"rope_type": "yarn"})),
        "by 'yarn'",
    ),
    (
        "quantised",
        lambda f: edit(f / "config.json", lambda c: c.update(quantization_config={"bits": 4})),
        "quantised",
    ),
    (
        "an index that lies",
        lambda f: edit(
            f / "model.safetensors.index.json", lambda i: i["weight_map"].update(x="model-00001-of-00003")
        ),
        "is missing from",
    ),
    (
        "a tensor the index misplaces",
        lambda f: edit(
            f / "model.safetensors.index.json",
            lambda i: i["weight_map"].update(
                {"lm_head.weight": i["weight_map"]["model.embed_tokens.weight"]}
            ),
        ),
        r"says that lm_head\.weight is in",
    ),
    (
        "another width",
        lambda f: edit(f / "config.json", lambda c: c.update(hidden_size=64)),
        r"has the shape .*; the configuration asks for",
    ),
]


def assert_refused(source: Path, target: Path, message: str, *, to_meta: bool) -> None:
    with pytest.raises(CwmTraceError, match=message) as caught:
        convert_checkpoint(source, target, to_meta=to_meta)
    text = str(caught.value)
    assert "\n" not in text
    assert not text.endswith(".")
    assert not (target / "config.json").exists()
    assert not (target / "params.json").exists()


@pytest.mark.parametrize(
    ("fault", "message"), [fault[1:] for fault in META_FAULTS], ids=[f[0] for f in META_FAULTS]
)
def test_a_faulty_meta_checkpoint_is_one_sentence(
    meta: Path, tmp_path: Path, fault: Callable[[Path], object], message: str
) -> None:
    fault(meta)
    assert_refused(meta, tmp_path / "target", message, to_meta=False)


@pytest.mark.parametrize(
    ("fault", "message"), [fault[1:] for fault in HUB_FAULTS], ids=[f[0] for f in HUB_FAULTS]
)
def test_a_faulty_hugging_face_checkpoint_is_one_sentence(
    hub: Path, tmp_path: Path, fault: Callable[[Path], object], message: str
) -> None:
    fault(hub)
    assert_refused(hub, tmp_path / "target", message, to_meta=True)


def test_a_missing_source_is_one_sentence(tmp_path: Path) -> None:
    assert_refused(tmp_path / "none", tmp_path / "target", "is not a folder", to_meta=False)


def test_metadata_runs_no_code(meta: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
            return os.system, (f"touch {tmp_path / 'sprung'}",)

    (meta / ".metadata").write_bytes(pickle.dumps(Trap()))
    assert_refused(meta, tmp_path / "target", "not the metadata", to_meta=False)
    assert not (tmp_path / "sprung").exists()


def test_metadata_does_not_lead_out_of_the_folder(meta: Path, tmp_path: Path) -> None:
    shutil.copy(meta / "__0_0.distcp", tmp_path / "outside")
    data = (meta / ".metadata").read_bytes()
    assert len("__0_0.distcp") == len("../outside.p")
    (tmp_path / "outside").rename(tmp_path / "outside.p")
    (meta / ".metadata").write_bytes(data.replace(b"__0_0.distcp", b"../outside.p"))
    assert_refused(meta, tmp_path / "target", "outside the folder", to_meta=False)


def test_a_target_that_cannot_be_made_is_one_sentence(meta: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert_refused(meta, tmp_path / "file" / "target", "cannot write to", to_meta=False)
