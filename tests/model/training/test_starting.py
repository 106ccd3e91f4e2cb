"""Any causal model can be fine-tuned: tokens are added, documents kept apart, adapters merged."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from cwm_trace.api import predict_execution
from cwm_trace.datasets.tokenizing import TokenField
from cwm_trace.errors import CwmTraceError
from cwm_trace.model.loading import load_model
from cwm_trace.model.tokenizer import TRACE_TOKENS, extend_tokenizer, load_tokenizer, read_tokenizer
from cwm_trace.model.training.document_rows import Batch, Packer
from cwm_trace.model.training.loop import train
from cwm_trace.model.training.lora import add_adapter, merge_adapter
from cwm_trace.model.training.recipe import Lora
from cwm_trace.model.training.starting import add_tokens, keeps_documents_apart
from cwm_trace.model.training.stream import Mix, Stream
from cwm_trace.predict.registry import find_predictor
from cwm_trace.records import Decoding
from tests.model.training.foreign import WORDS, finetuning_recipe, save_llama, save_qwen
from tests.model.training.runs import log_of, tiny_recipe


def losses_of(folder: Path) -> list[float]:
    return [line["loss"] for line in log_of(folder) if "loss" in line]


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return save_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return save_qwen(tmp_path_factory.mktemp("qwen"))


@pytest.fixture(scope="module")
def tuned(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tuned") / "run"
    assert train(finetuning_recipe(24), folder, start_from=llama, workers=0).finished
    return folder


@pytest.mark.parametrize("name", ["llama", "qwen"])
def test_new_tokens_begin_at_the_mean(name: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(name)
    tokenizer: Any = read_tokenizer(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    before = [layer.weight.clone() for layer in (model.get_input_embeddings(), model.get_output_embeddings())]
    new = extend_tokenizer(tokenizer, "it")
    padding = int(name == "llama")  # Qwen2's tokenizer has a token for it
    assert new == list(range(WORDS, WORDS + len(TRACE_TOKENS) + padding))
    assert all(tokenizer.added_tokens_decoder[number].special for number in new)
    add_tokens(model, WORDS, new)
    assert extend_tokenizer(tokenizer, "it") == []
    after = [layer.weight for layer in (model.get_input_embeddings(), model.get_output_embeddings())]
    for old, grown in zip(before, after, strict=True):
        assert grown.shape[0] == len(tokenizer)
        assert torch.equal(grown[:WORDS], old[:WORDS])
        assert torch.allclose(grown[new], old[:WORDS].mean(0).expand(len(new), -1), atol=1e-6)
    assert (after[0] is after[1]) == (name == "qwen")


@pytest.mark.parametrize("name", ["llama", "qwen"])
def test_packed_documents_do_not_see_each_other(
    name: str, request: pytest.FixtureRequest, words: Path
) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(request.getfixturevalue(name), dtype=torch.float32)
    model.eval()
    assert keeps_documents_apart(model)
    packer = Packer(Stream(Mix({"composition": 1.0}, 2, "train"), words, workers=0), 1)
    batch = Batch.of(packer.batch(1, 1000))
    starts = [place for place, position in enumerate(batch.positions[0].tolist()) if position == 0]
    assert len(starts) >= 2
    with torch.no_grad():
        packed = model(batch.ids, position_ids=batch.positions, use_cache=False).logits[0]
        for start, stop in zip(starts, [*starts[1:], 1000], strict=True):
            alone = model(batch.ids[:, start:stop], use_cache=False).logits[0]
            assert float((packed[start:stop] - alone).abs().max()) < 1e-4


class _Leaky(torch.nn.Module):
    """Adds up all that it has read."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(get_text_config=lambda: SimpleNamespace(vocab_size=64))
        self.words = torch.nn.Embedding(64, 8)

    def forward(self, ids: Any, position_ids: Any, use_cache: bool) -> Any:
        return SimpleNamespace(logits=self.words(ids).cumsum(1))


def test_a_model_that_mixes_documents_gets_one_to_a_row(words: Path) -> None:
    assert not keeps_documents_apart(_Leaky())
    stream = Stream(Mix({"composition": 1.0}, 2, "train"), words, workers=0)
    batch = Batch.of(Packer(stream, 1, alone=True).batch(4, 900))
    for positions, fields in zip(batch.positions.tolist(), batch.fields.tolist(), strict=True):
        starts = [place for place, position in enumerate(positions) if position == 0]
        assert [fields[start] == TokenField.PADDING for start in starts] in ([False], [False, True])


def test_a_foreign_model_learns(tuned: Path, llama: Path) -> None:
    losses = losses_of(tuned)
    assert len(losses) == 24
    assert sum(losses[-4:]) < sum(losses[:4]) - 4
    assert json.loads((tuned / "start.json").read_text()) == {"from": str(llama.resolve())}


def test_the_saved_model_loads_in_transformers_and_predicts(tuned: Path) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(tuned / "model")
    tokenizer = load_tokenizer(tuned / "model")
    end = tokenizer.get_vocab()["<|end_of_text|>"]
    assert model.dtype is torch.bfloat16
    assert model.config.vocab_size == len(tokenizer)
    assert model.generation_config.eos_token_id == [0, end]
    predictor = find_predictor(f"hf:{tuned / 'model'}", Decoding(max_new_tokens=4))
    trace = predict_execution("def f(a):\n    return a\n", call="f(1)", model=predictor)
    assert [frame.event for frame in trace.frames[:1]] == ["call"]


def test_a_killed_run_goes_on_without_saying_where_it_began(tuned: Path, llama: Path, tmp_path: Path) -> None:
    class KilledError(Exception):
        pass

    def die(line: Any) -> None:
        if line["step"] == 5:
            raise KilledError

    with pytest.raises(KilledError):
        train(finetuning_recipe(24), tmp_path, start_from=llama, workers=0, report=die)
    with pytest.raises(CwmTraceError, match=r"holds a run that began with .*llama.*, not with elsewhere"):
        train(finetuning_recipe(24), tmp_path, start_from="elsewhere", workers=0)
    train(finetuning_recipe(8), tmp_path, workers=0)
    assert losses_of(tmp_path) == losses_of(tuned)[:8]


@pytest.mark.parametrize("name", ["llama", "qwen"])
def test_lora_trains_the_adapter_and_new_tokens_only(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    pytest.importorskip("peft")
    folder = request.getfixturevalue(name)
    recipe = finetuning_recipe(10, lora={"rank": 4, "dropout": 0.1})

    class KilledError(Exception):
        pass

    def die(line: Any) -> None:
        if line["step"] == 5:
            raise KilledError

    train(recipe, tmp_path / "whole", start_from=folder, workers=0)
    with pytest.raises(KilledError):
        train(recipe, tmp_path / "killed", start_from=folder, workers=0, report=die)
    train(recipe, tmp_path / "killed", start_from=folder, workers=0)
    losses = losses_of(tmp_path / "whole")
    assert losses_of(tmp_path / "killed") == losses, "dropout included"
    assert sum(losses[-3:]) < sum(losses[:3]) - 1
    state = torch.load(tmp_path / "whole" / "state.pt", weights_only=True)["model"]
    trained = {weight.split(".")[-3] for weight in state}
    assert trained <= {"lora_A", "lora_B", "token_adapter"}
    assert (tmp_path / "whole" / "adapter" / "adapter_model.safetensors").exists()
    before, after = (load_file(home / "model.safetensors") for home in (folder, tmp_path / "whole" / "model"))
    frame, action = (
        load_tokenizer(tmp_path / "whole" / "model").get_vocab()[token]
        for token in ("<|frame_sep|>", "<|action_sep|>")
    )
    for weight, old in before.items():
        if "embed" in weight or "lm_head" in weight:
            assert torch.equal(after[weight][:WORDS], old[:WORDS].to(torch.bfloat16)), weight
            assert not torch.equal(after[weight][frame], after[weight][action]), "each learnt its own"
        elif "proj" not in weight:
            assert torch.equal(after[weight], old.to(torch.bfloat16)), weight
        elif "weight" in weight:
            assert not torch.equal(after[weight], old.to(torch.bfloat16)), weight


@pytest.mark.parametrize("name", ["llama", "qwen"])
def test_merging_changes_no_logit(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    model: Any = AutoModelForCausalLM.from_pretrained(request.getfixturevalue(name), dtype=torch.float32)
    new = list(range(WORDS, WORDS + 8))
    add_tokens(model, WORDS, new)
    adapted = add_adapter(model, Lora(rank=2), new)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn_like(parameter)
    ids = torch.tensor([[3, 7, *new, 11]])
    adapted.eval()
    with torch.no_grad():
        want = adapted(ids).logits
        merged = merge_adapter(adapted, tmp_path)
        assert type(merged).__name__ in ("LlamaForCausalLM", "Qwen2ForCausalLM")
        assert float((merged(ids).logits - want).abs().max()) < 1e-4
    assert not any("lora" in weight or "token_adapter" in weight for weight in merged.state_dict())


def test_lora_on_a_cwm_whose_shape_the_recipe_does_not_say(tmp_path: Path) -> None:
    pytest.importorskip("peft")
    train(tiny_recipe(2), tmp_path / "first", workers=0)
    recipe = finetuning_recipe(2, lora={"targets": ["q_proj", "v_proj"]}, precision="bf16")
    train(recipe, tmp_path / "second", start_from=tmp_path / "first" / "model", workers=0)
    before, after = (load_model(tmp_path / run / "model") for run in ("first", "second"))
    assert torch.equal(before.model.layers[0].mlp.up_proj.weight, after.model.layers[0].mlp.up_proj.weight)
    q = [model.model.layers[0].self_attn.q_proj.weight for model in (before, after)]
    assert not torch.equal(q[0], q[1])
    assert torch.equal(before.lm_head.weight, after.lm_head.weight)


def test_what_cannot_be_fine_tuned_is_said_in_a_sentence(llama: Path, tmp_path: Path) -> None:
    def fails(recipe: Any, start_from: Path | None, sentence: str) -> None:
        with pytest.raises(CwmTraceError, match=sentence) as caught:
            train(recipe, tmp_path / sentence.replace("/", ""), start_from=start_from, workers=0)
        assert "\n" not in str(caught.value)

    fails(finetuning_recipe(lora={}), None, "LoRA trains a model that is there: give one with --from")
    fails(finetuning_recipe(), tmp_path / "none", "no tokenizer can be loaded from")
    fails(tiny_recipe(), llama, r"is a llama, and the recipe's \[model\] describes a CWM")
    longer = [{"steps": 1, "rate": [0.0, 0.0], "length": 2048}]
    fails(
        finetuning_recipe(phases=longer), llama, "phase 1 has rows of 2048 tokens, and the model reads 1024"
    )
    fails(finetuning_recipe(lora={"targets": ["nothing"]}), llama, "LoRA cannot be added: Target modules")


def test_lora_needs_peft(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(CwmTraceError, match=r"LoRA needs peft, .* pip install 'cwm-trace\[finetune\]'"):
        add_adapter(None, Lora(), [])
