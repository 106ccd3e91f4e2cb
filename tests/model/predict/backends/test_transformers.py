"""`TransformersPredictor` says what `model.generate` does on every prompt of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.predict.backends.continuer import Ask
from cwm_trace.model.predict.backends.transformers import TransformersContinuer, TransformersPredictor
from cwm_trace.predict.protocol import Request
from cwm_trace.records import Decoding, Event, Outcome
from cwm_trace.wire import TraceTokens, render_prompt
from tests.model.predict.backends.programs import small_traces
from tests.model.predict.backends.reference import OWN, TRUE, Reference

CAP = 30
MODES = [*OWN, *TRUE]


def continuer(folder: Path) -> TransformersContinuer:
    return TransformersContinuer(load(folder))


def load(folder: Path) -> Any:
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    return model.eval()


def reference(model: Any, tokens: TraceTokens, cap: int = CAP) -> Reference:
    def complete(prompt: list[int], limit: int, stops: list[int]) -> list[int]:
        ids = torch.tensor([prompt])
        options = {"max_new_tokens": limit, "do_sample": False, "eos_token_id": stops}
        row: list[int] = model.generate(ids, **options, pad_token_id=stops[0])[0, len(prompt) :].tolist()
        return row

    return Reference(complete, tokens, cap)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "count", [2, pytest.param(6, marks=pytest.mark.ci), pytest.param(60, marks=pytest.mark.slow)]
)
def test_every_mode_says_what_generate_does(folder: Path, tokens: TraceTokens, mode: str, count: int) -> None:
    predictor = TransformersPredictor(folder, decoding=Decoding(max_new_tokens=CAP))
    oracle = reference(load(folder), tokens)
    right, readable, frames = 0, 0, 0
    for trace in small_traces()[:count]:
        request = Request(replace(trace, frames=trace.frames[:1]), mode, trace, max_frames=4)
        got = predictor.predict(request)
        oracle.check(got, request)
        assert got.guess.cost is not None
        assert got.guess.cost.attention == "sdpa"
        frames += len(got.frames) - 1
        readable += sum(frame.event is not Event.END for frame in got.frames[1:])
        right += sum(a.source == b.source for a, b in zip(got.frames[1:], trace.frames[1:], strict=False))
    print(f"{mode}: {frames} frames, {readable} readable, {right} on the right line")
    assert readable > 0
    assert right < frames


@pytest.mark.parametrize("mode", ["free", "forced", "step-over", "reground-3"])
def test_another_architecture(tokens: TraceTokens, folder: Path, mode: str) -> None:
    torch.manual_seed(1)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        initializer_range=0.2,
        max_position_embeddings=700,
    )
    model: Any = LlamaForCausalLM(config)
    model.eval()
    predictor = TransformersPredictor(model, tokenizer, decoding=Decoding(max_new_tokens=CAP))
    assert (predictor.name, predictor.setup.length) == ("LlamaForCausalLM", 700)
    for trace in small_traces()[:4]:
        request = Request(replace(trace, frames=trace.frames[:1]), mode, trace, max_frames=4)
        reference(model, tokens).check(predictor.predict(request), request)


def test_the_cache_saves_passes_and_changes_nothing(folder: Path, tokens: TraceTokens) -> None:
    backend = continuer(folder)
    trace = small_traces()[0]
    prompts = [render_prompt(trace, given=given, tokens=tokens) for given in (1, 2, 3, 5, 2)]
    asks = [Ask(prompt, 20, frozenset({0})) for prompt in prompts]
    alone = []
    for ask in asks:
        alone += continuer(folder).continue_all([ask])
    together = backend.continue_all(asks)
    assert [answer.ids for answer in together] == [answer.ids for answer in alone]
    chain = backend.continue_all([replace(asks[0], max_new_tokens=9)])
    rest = replace(asks[0], ids=[*asks[0].ids, *chain[0].ids], max_new_tokens=11)
    more = backend.continue_all([rest])
    assert chain[0].ids + more[0].ids == alone[0].ids
    assert more[0].passes == 11  # nothing of the text is read again but its last token
    backend.continue_all([asks[3]])


def test_log_probabilities_are_those_of_a_pass(folder: Path, tokens: TraceTokens) -> None:
    predictor = TransformersPredictor(folder, decoding=Decoding(max_new_tokens=CAP, logprobs=True))
    trace = small_traces()[1]
    request = Request(replace(trace, frames=trace.frames[:1]), "forced", trace)
    drafted = predictor.predict(request)
    plain = TransformersPredictor(
        folder, decoding=Decoding(max_new_tokens=CAP, logprobs=True, drafts=False)
    ).predict(request)
    for one, other in zip(drafted.frames[1:], plain.frames[1:], strict=True):
        assert one.logprobs is not None
        assert other.logprobs is not None
        assert one.logprobs.keys() == other.logprobs.keys()
        for field, values in one.logprobs.items():
            assert values == pytest.approx(other.logprobs[field], abs=1e-4)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    prompt = render_prompt(trace, tokens=tokens)
    answer = continuer(folder).continue_all([Ask(prompt, 6, frozenset({0}))], logprobs=True)[0]
    with torch.no_grad():
        rows = model(torch.tensor([[*prompt, *answer.ids]])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
    want = [float(row[number]) for row, number in zip(rows, answer.ids, strict=True)]
    assert answer.logprobs == pytest.approx(want, abs=1e-4)


def test_samples_repeat_by_seed_and_differ_by_number(folder: Path) -> None:
    predictor = TransformersPredictor(
        folder, decoding=Decoding(temperature=1.0, top_p=0.9, seed=3, max_new_tokens=30)
    )
    start = replace(small_traces()[0], frames=small_traces()[0].frames[:1])
    state = torch.random.get_rng_state()
    drawn = [predictor.predict(Request(start, sample=n)) for n in (0, 1, 0)]
    assert torch.equal(state, torch.random.get_rng_state())  # the caller's own draws go on as before
    frames = [(trace.frames, trace.guess.problems) for trace in drawn]
    assert frames[0] == frames[2] != frames[1]
    assert drawn[1].guess.decoding == replace(predictor.decoding, sample=1)
    assert (predictor.decoding.temperature, predictor.decoding.seed) == (1.0, 3)


def test_the_models_own_generation_config_changes_nothing(folder: Path, tokens: TraceTokens) -> None:
    trace = small_traces()[2]
    request = Request(replace(trace, frames=trace.frames[:1]), "free", max_frames=9)
    plain = TransformersPredictor(folder, decoding=Decoding(max_new_tokens=40))
    want = plain.predict(request)
    model: Any = load(folder)
    model.generation_config.repetition_penalty = 5.0
    model.generation_config.eos_token_id = list(range(300))
    model.generation_config.do_sample = True
    odd = TransformersPredictor(
        model, AutoTokenizer.from_pretrained(folder), decoding=Decoding(max_new_tokens=40)
    )
    assert odd.predict(request).frames == want.frames


def test_a_prediction_ends_at_the_length_of_the_model(folder: Path, tokens: TraceTokens) -> None:
    trace = small_traces()[0]
    start = replace(trace, frames=trace.frames[:1])
    prompt = len(render_prompt(start, tokens=tokens))
    predictor = TransformersPredictor(folder, decoding=Decoding(max_length=prompt + 5))
    got = predictor.predict(Request(start))
    assert got.outcome is Outcome.TRUNCATED
    assert got.guess.cost is not None
    assert got.guess.cost.new_tokens <= 5
    with pytest.raises(CwmTraceError, match=f"has {prompt} tokens and .* reads {prompt} at the most"):
        TransformersPredictor(folder, decoding=Decoding(max_length=prompt)).predict(Request(start))


def test_a_model_without_a_cache_of_this_kind(folder: Path, tokens: TraceTokens) -> None:
    model: Any = load(folder)
    backend, forgetful = TransformersContinuer(model), TransformersContinuer(model)
    forward = forgetful._forward
    forgetful._forward = lambda ids, cache: (forward(ids, None)[0], None)  # type: ignore[method-assign]
    prompt = render_prompt(small_traces()[0], given=3, tokens=tokens)
    asks = [Ask(prompt, 8, frozenset({0}))]
    assert forgetful.continue_all(asks)[0].ids == backend.continue_all(asks)[0].ids
    for one, other in zip(forgetful.judge(prompt, 3), backend.judge(prompt, 3), strict=True):
        assert one.agrees is other.agrees
        assert one.logprob == pytest.approx(other.logprob, abs=1e-4)
    assert len(backend.judge(prompt, 3)) == len(prompt) - 3


def test_bad_models_are_one_sentence(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(CwmTraceError, match="no tokenizer can be loaded from"):
        TransformersPredictor(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(CwmTraceError, match=f"cannot load {tmp_path}: "):
        TransformersPredictor(tmp_path)

    class Bare:
        @staticmethod
        def get_vocab() -> dict[str, int]:
            return {"a": 0}

    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    with pytest.raises(CwmTraceError, match=r"has no <\|begin_of_text\|>"):
        TransformersPredictor(model, Bare())
    broken = TransformersPredictor(model, tokenizer)
    model.lm_head = torch.nn.Linear(1, 1)
    start = replace(small_traces()[0], frames=small_traces()[0].frames[:1])
    with pytest.raises(CwmTraceError, match="the model could not generate: RuntimeError"):
        broken.predict(Request(start))
