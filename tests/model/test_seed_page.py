"""The snippets of the CWM page of transformers' documentation, on a small checkpoint saved by ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline
from transformers import CwmForCausalLM as Oracle

from cwm_trace.model.chat import SYSTEM_PROMPT
from cwm_trace.model.decoding import generate
from cwm_trace.model.modeling import CwmForCausalLM
from tests.model.pairs import save_checkpoint

MESSAGES = [
    {"role": "system", "content": SYSTEM_PROMPT},
    {"role": "user", "content": "Write a haiku about recursion in programming."},
]
CLASSES: list[Any] = [CwmForCausalLM, Oracle, AutoModelForCausalLM]


@pytest.fixture(scope="module", params=[torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A folder and the dtype its weights are stored in, which is what `dtype="auto"` should give."""
    return save_checkpoint(tmp_path_factory.mktemp("seed"), dtype=request.param), request.param


def ask(tokenizer: Any) -> str:
    return str(
        tokenizer.apply_chat_template(
            MESSAGES,
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=True,
            preserve_previous_think=True,
        )
    )


def test_the_folder_holds_what_a_hub_repository_does(checkpoint: tuple[Path, Any]) -> None:
    assert {path.name for path in checkpoint[0].iterdir()} == {
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }


@pytest.mark.parametrize("cls", CLASSES)
def test_the_snippet_with_the_chat_template(checkpoint: tuple[Path, Any], cls: Any) -> None:
    folder, dtype = checkpoint
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model = cls.from_pretrained(folder, dtype="auto")
    assert model.dtype is dtype
    text = ask(tokenizer)
    assert text.endswith("<|start_header_id|>assistant<|end_header_id|>\n\n<think>\n")
    model_inputs = tokenizer([text], return_tensors="pt").to(model.device)
    generated_ids = model.generate(**model_inputs, max_new_tokens=24, do_sample=False)
    output_ids = generated_ids[0][len(model_inputs.input_ids[0]) :].tolist()
    assert 0 < len(output_ids) <= 24
    assert isinstance(tokenizer.decode(output_ids), str)
    oracle: Any = Oracle.from_pretrained(folder, dtype="auto")
    want = oracle.generate(**model_inputs, max_new_tokens=24, do_sample=False)
    assert torch.equal(generated_ids, want)
    if dtype is torch.float32:  # the loop of ours adds in another order, which bfloat16 shows
        assert generate(model, model_inputs.input_ids.tolist(), 24)[0] == output_ids


@pytest.mark.parametrize("cls", CLASSES)
def test_the_snippet_as_it_stands_samples_from_a_seed(checkpoint: tuple[Path, Any], cls: Any) -> None:
    """`generate(max_new_tokens=…)` alone, with whatever `generation_config.json` says."""
    folder, _ = checkpoint
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model = cls.from_pretrained(folder, dtype="auto")
    inputs = tokenizer([ask(tokenizer)], return_tensors="pt")
    rows = []
    for _ in range(2):
        torch.manual_seed(0)
        rows.append(model.generate(**inputs, max_new_tokens=8))
    assert torch.equal(*rows)
    assert rows[0].shape[1] <= inputs.input_ids.shape[1] + 8


def test_the_pipeline_snippet(checkpoint: tuple[Path, Any]) -> None:
    folder, dtype = checkpoint
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    ours: Any = CwmForCausalLM.from_pretrained(folder, dtype="auto")
    pipes = [
        pipeline(task="text-generation", model=str(folder), dtype="auto"),
        pipeline(task="text-generation", model=ours, tokenizer=tokenizer),
    ]
    assert isinstance(pipes[0].model, Oracle)
    assert pipes[1].model is ours
    assert {pipe.model.dtype for pipe in pipes} == {dtype}
    options: dict[str, Any] = {"max_new_tokens": 12, "do_sample": False}
    texts = [pipe("def f(n):\n    return", **options) for pipe in pipes]
    assert texts[0] == texts[1]
    assert texts[0][0]["generated_text"].startswith("def f(n):\n    return")
    chats = [pipe(MESSAGES, **options) for pipe in pipes]
    assert chats[0] == chats[1]
    assert chats[0][0]["generated_text"][:2] == MESSAGES
    assert chats[0][0]["generated_text"][2]["role"] == "assistant"
