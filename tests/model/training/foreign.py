"""Small models of transformers whose tokenizer knows nothing of traces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from cwm_trace.model.training.recipe import Recipe, make_recipe
from cwm_trace.model.training.stream import texts_of
from tests.model.training.runs import MIX

WORDS = 400
SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 1024,
    "eos_token_id": 0,
    "bos_token_id": 0,
}


def save_llama(folder: Path) -> Path:
    """A Llama with a head of its own, and more rows than its tokenizer has tokens."""
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=WORDS + 4, tie_word_embeddings=False, **SIZES)
    return _save(LlamaForCausalLM(config), folder)


def save_qwen(folder: Path) -> Path:
    """A Qwen2 whose head is its embedding."""
    torch.manual_seed(0)
    config = Qwen2Config(vocab_size=WORDS, tie_word_embeddings=True, **SIZES)
    return _save(Qwen2ForCausalLM(config), folder)


def finetuning_recipe(steps: int = 12, **changes: Any) -> Recipe:
    """Short programs in fp32, without a word about the model."""
    table: dict[str, Any] = {
        "seed": 3,
        "precision": "fp32",
        "save_every": 3,
        "data": {"mix": {"composition": 1.0}},
        "evaluation": {"every": 6, "mix": {"composition": 1.0}, "programs": 1},
        "phases": [{"steps": steps, "rate": [0.01, 0.01], "length": 256, "rows": 2}],
    }
    return make_recipe({**table, **changes})


def _save(model: Any, folder: Path) -> Path:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=WORDS,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(list(texts_of(map(MIX.item, range(12)))), trainer)
    tokenizer: Any = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|endoftext|>")  # type: ignore[no-untyped-call]
    assert len(tokenizer) == WORDS
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
