"""The bundled model by its name; and the real one, in checkouts that have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import cwm_trace.predict.registry
from cwm_trace.api import compare_execution, predict_execution, trace_execution
from cwm_trace.datasets.families import make_item
from cwm_trace.errors import CwmTraceError
from cwm_trace.model.loading import load_model
from cwm_trace.model.tokenizer import CHAT_TEMPLATE, load_tokenizer
from cwm_trace.predict.registry import check_name, find_mini, find_predictor
from cwm_trace.records import Decoding
from tests.model.pairs import save_checkpoint

PROGRAM = "def f(n):\n    return n + 1\n"
HOME = Path(cwm_trace.predict.registry.__file__).parents[1] / "model" / "pretrained" / "cwm-mini"
needs_weights = pytest.mark.skipif(not HOME.exists(), reason="this checkout has no bundled model")


@pytest.fixture
def installation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the bundled model of an installation would be."""
    monkeypatch.setattr(cwm_trace.predict.registry, "__file__", str(tmp_path / "predict" / "registry.py"))
    return tmp_path / "model" / "pretrained" / "cwm-mini"


@pytest.mark.parametrize("dtype", ["", "bfloat16"])
def test_mini_is_the_model_of_the_installation(installation: Path, dtype: str) -> None:
    installation.parent.mkdir(parents=True)
    save_checkpoint(installation, torch.bfloat16)
    check_name("mini")
    mini = find_predictor("mini", Decoding(dtype=dtype, max_new_tokens=60))
    trace = predict_execution(PROGRAM, call="f(2)", model=mini, max_frames=3)
    assert trace.guess.decoding is not None
    assert trace.guess.decoding.model == "cwm-mini"
    assert trace.guess.decoding.dtype == (dtype or "float32")
    assert trace.guess.decoding.engine == ("torch" if dtype else "numpy")
    assert {problem.grade for problem in trace.guess.problems} <= {"truncated"}, "the grammar was on"


@pytest.mark.parametrize("find", [find_predictor, check_name])
def test_without_it_there_is_a_clear_sentence(installation: Path, find: Any) -> None:
    with pytest.raises(
        CwmTraceError, match=r"no bundled model \(.*cwm-mini has no model.safetensors\): give"
    ):
        find("mini")
    assert not installation.exists()


@needs_weights
def test_the_real_one_is_small_and_whole() -> None:
    folder = find_mini()
    assert (folder / "model.safetensors").stat().st_size <= 16_000_000
    parameters = [*load_model(folder).parameters()]
    assert sum(parameter.numel() for parameter in parameters) <= 6_000_000
    assert {parameter.dtype for parameter in parameters} == {torch.bfloat16}
    names = {path.name for path in folder.iterdir()}
    assert {"README.md", "chat_template.jinja", "generation_config.json", "tokenizer_config.json"} <= names


@needs_weights
def test_the_real_one_loads_in_transformers() -> None:
    folder = find_mini()
    ours = load_model(folder, dtype=torch.float32)
    theirs: Any = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32)
    theirs.eval()
    ids = torch.tensor([AutoTokenizer.from_pretrained(str(folder)).encode(PROGRAM)])
    with torch.no_grad():
        assert float((ours(ids).logits - theirs(ids).logits).abs().max()) < 1e-3


@needs_weights
def test_the_real_one_knows_more_than_to_copy() -> None:
    """On programs whose constants it has never seen; who predicts is not said."""
    hits = {"mini": 0, "copy": 0}
    changes = 0.0
    for number in range(4):
        item = make_item("general-v1", number, seed=77, split="test")
        real = trace_execution(item.source, call=item.call)
        guesses = {
            "mini": predict_execution(item.source, call=item.call, mode="forced", history=real),
            "copy": predict_execution(item.source, call=item.call, model="copy", mode="forced", history=real),
        }
        for name, guess in guesses.items():
            comparison = compare_execution(real, guess)
            hits[name] += comparison.frame_exact.hits
            if name == "mini":
                assert guess.guess.decoding is not None
                assert guess.guess.decoding.model == "cwm-mini"
                changes += comparison.changed_slots.recall or 0.0
    assert hits["mini"] > hits["copy"]
    assert changes / 4 > 0.2, "copying finds none"


@needs_weights
def test_the_real_one_says_the_same_on_numpy_and_on_torch() -> None:
    real = trace_execution(PROGRAM, call="f(2)")
    for mode in ("free", "forced"):
        traces = [
            predict_execution(
                PROGRAM,
                call="f(2)",
                model=find_predictor("mini", Decoding(engine=engine, max_new_tokens=60), grammar="flow"),
                mode=mode,
                history=real if mode == "forced" else None,
            )
            for engine in ("numpy", "torch")
        ]
        assert traces[0].frames == traces[1].frames


@needs_weights
def test_its_tokenizer_is_what_build_tokenizer_makes_today() -> None:
    folder = find_mini()
    assert (folder / "chat_template.jinja").read_text(encoding="utf-8") == CHAT_TEMPLATE
    assert load_tokenizer(folder).padding_side == "left"
