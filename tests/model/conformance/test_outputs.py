"""What comes back: hidden states, weights and caches, asked for in every way transformers has."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import DynamicCache
from transformers.models.cwm import CwmPreTrainedModel as Theirs

from cwm_trace.model.modeling import CwmAttention, CwmDecoderLayer, CwmPreTrainedModel
from tests.model.pairs import distance, pair, small_config, tokens

CLOSE = 1e-5


def same(got: Any, want: Any) -> None:
    """The same fields with the same contents."""
    assert got.keys() == want.keys()
    for field in ("hidden_states", "attentions"):
        assert (field in got) == (field in want)
        if field not in got:
            continue
        assert len(got[field]) == len(want[field]), field
        for a, b in zip(got[field], want[field], strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                assert distance(a, b) <= CLOSE
    assert distance(got.logits, want.logits) <= CLOSE


@pytest.mark.parametrize("states", [True, False, 0, 2, -1, [0, 3], [-1, -5], [99]], ids=str)
def test_hidden_states_by_flag_or_by_index(states: Any) -> None:
    ours, oracle = pair(small_config())
    with torch.no_grad():
        same(*(model(tokens(2, 12), output_hidden_states=states) for model in (ours, oracle)))


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_attention_weights_where_there_are_any(attention: str) -> None:
    ours, oracle = pair(small_config(), attention=attention)
    oracle.set_attn_implementation(attention)
    with torch.no_grad():
        same(*(model(tokens(2, 12), output_attentions=True) for model in (ours, oracle)))


def test_the_config_may_ask_for_outputs() -> None:
    ours, oracle = pair(small_config())
    for model in (ours, oracle):
        model.config.output_hidden_states = True
        model.config.output_attentions = True
    with torch.no_grad():
        got, want = (model(tokens(2, 12)) for model in (ours, oracle))
        same(got, want)
        assert len(got.hidden_states) == 5
        as_tuples = [model(tokens(2, 12), return_dict=False) for model in (ours, oracle)]
    assert len(as_tuples[0]) == len(as_tuples[1])


@pytest.mark.parametrize("attention", ["eager", "sdpa", "interval"])
def test_a_given_cache_is_used_and_returned_whatever_use_cache_says(attention: str) -> None:
    ours, oracle = pair(small_config(), attention=attention)
    ids = tokens(2, 12)
    with torch.no_grad():
        for use_cache in (True, False, None):
            results = []
            for model in (ours, oracle):
                cache = DynamicCache(config=model.config)
                model(ids[:, :8], past_key_values=cache)
                output = model(ids[:, 8:], past_key_values=cache, use_cache=use_cache)
                assert output.past_key_values is cache
                assert cache.get_seq_length() == 12
                results.append(output.logits)
            assert distance(*results) <= CLOSE
        assert [model(ids, use_cache=False).past_key_values for model in (ours, oracle)] == [None, None]


def test_generation_returns_what_it_saw() -> None:
    ours, oracle = pair(small_config())
    asked = ("output_hidden_states", "output_attentions", "output_logits", "return_dict_in_generate")
    options = dict.fromkeys(asked, True)
    got, want = (
        model.generate(tokens(2, 6), max_new_tokens=3, do_sample=False, **options) for model in (ours, oracle)
    )
    for field in ("hidden_states", "attentions"):
        for a, b in zip(got[field], want[field], strict=True):
            assert [distance(x, y) <= CLOSE for x, y in zip(a, b, strict=True)] == [True] * len(b)


def test_what_can_be_recorded_and_compiled_is_declared() -> None:
    assert CwmPreTrainedModel._can_record_outputs == {
        "hidden_states": CwmDecoderLayer,
        "attentions": CwmAttention,
    }
    assert CwmPreTrainedModel._can_compile_fullgraph is True
    declared = {
        name for name in vars(Theirs) if name.startswith(("_supports", "_can", "_no_split", "_skip_keys"))
    }
    ours, oracle = pair(small_config())
    for name in declared - {"_can_record_outputs"}:
        assert getattr(ours, name) == getattr(oracle, name), name
    for name in ("_tp_plan", "_pp_plan", "_fsdp_plan", "_tied_weights_keys"):
        assert getattr(ours, name) == getattr(oracle, name), name
