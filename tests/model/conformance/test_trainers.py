"""PEFT, transformers' Trainer and TRL's SFTTrainer take our class as they take transformers' own."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import Trainer, TrainingArguments

from cwm_trace.model.tokenizer import load_tokenizer
from tests.model.pairs import distance, pair, save_checkpoint, small_config, tokens

STEPS: dict[str, Any] = {
    "max_steps": 3,
    "per_device_train_batch_size": 2,
    "learning_rate": 1e-2,
    "logging_steps": 1,
    "report_to": "none",
    "save_strategy": "no",
    "use_cpu": True,
    "disable_tqdm": True,
    "seed": 1,
}


def test_lora_on_every_linear_layer() -> None:
    ours, oracle = pair(small_config(), attention="sdpa")
    adapted = []
    for model in (ours, oracle):
        torch.manual_seed(0)
        options: Any = {"r": 2, "target_modules": "all-linear", "init_lora_weights": False}
        adapted.append(get_peft_model(model, LoraConfig(**options)))
    first, second = (dict(model.named_parameters()) for model in adapted)
    assert first.keys() == second.keys()
    adapted[0].load_state_dict(adapted[1].state_dict())
    ids = tokens(2, 12)
    for model in adapted:
        model.train()(input_ids=ids, labels=ids).loss.backward()
    trained = [name for name, parameter in first.items() if parameter.requires_grad]
    assert len(trained) == 4 * 7 * 2
    for name in trained:
        got, want = first[name].grad, second[name].grad
        assert got is not None
        assert want is not None
        assert distance(got, want) <= 1e-4, name


def test_lora_without_target_modules_is_refused_alike() -> None:
    """PEFT knows the layers of model types by name, and `cwm` is not among them, whosever class it is."""
    said = []
    for model in pair(small_config()):
        with pytest.raises(ValueError, match="target_modules") as caught:
            get_peft_model(model, LoraConfig(r=2))
        said.append(str(caught.value))
    assert said[0] == said[1]


def rows_of(rows: list[dict[str, Any]]) -> Any:
    # Hugging Face's library, which type checkers take for the folder here; it makes fingerprints by pickling
    # pyarrow, which fails where that is found through a .pth file
    library: Any = import_module("datasets")
    table = import_module("datasets.table").InMemoryTable.from_pylist(rows)
    return library.Dataset(table, fingerprint="rows")


def losses(trainer: Any) -> list[float]:
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@pytest.mark.ci
def test_three_steps_of_the_trainer(tmp_path: Path) -> None:
    rows = rows_of([{"input_ids": row, "labels": row} for row in tokens(8, 16).tolist()])
    found = []
    for model in pair(small_config(), attention="sdpa"):
        arguments = TrainingArguments(str(tmp_path), gradient_accumulation_steps=2, **STEPS)
        found.append(losses(Trainer(model, arguments, train_dataset=rows)))
    assert found[0] == pytest.approx(found[1], abs=1e-3)
    assert len(found[0]) == 3
    assert found[0][-1] < found[0][0]


@pytest.mark.ci
@pytest.mark.parametrize("way", ["text", "packed", "replies only"])
def test_three_steps_of_trl(tmp_path: Path, way: str) -> None:
    trl = pytest.importorskip("trl")
    folder = save_checkpoint(tmp_path / "checkpoint")
    tokenizer = load_tokenizer(folder)
    texts = [{"text": f"def f(n):\n    return n + {n}\n" * (1 + n % 3)} for n in range(8)]
    chats = [
        {"messages": [{"role": "user", "content": f"f({n})?"}, {"role": "assistant", "content": str(n + 1)}]}
        for n in range(8)
    ]
    ways: dict[str, dict[str, Any]] = {
        "text": {},
        "packed": {"packing": True, "max_length": 64, "padding_free": False},
        "replies only": {"assistant_only_loss": True},
    }
    found = []
    config = small_config(vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id)
    for model in pair(config, attention="sdpa"):
        arguments = trl.SFTConfig(str(tmp_path), bf16=False, **STEPS, **ways[way])
        rows = rows_of(chats if way == "replies only" else texts)
        found.append(losses(trl.SFTTrainer(model, arguments, train_dataset=rows, processing_class=tokenizer)))
    assert found[0] == pytest.approx(found[1], abs=1e-3)
    assert len(found[0]) == 3
    assert found[0][-1] < found[0][0]  # replies alone: of a template without marks nothing would be learned
