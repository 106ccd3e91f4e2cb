"""Our model against transformers' own class: logits, greedy tokens, every cache, every attention."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from huggingface_hub.errors import StrictDataclassClassValidationError
from hypothesis import given
from hypothesis import strategies as st
from transformers import DynamicCache, StaticCache
from transformers.masking_utils import create_causal_mask, create_sliding_window_causal_mask

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.modeling import CwmConfig, CwmForCausalLM, CwmModel, check_layer_types
from tests.effort import examples
from tests.model.pairs import ROPES, VOCABULARY, configs, distance, pair, small_config, tokens

LENGTH = 24
CLOSE = 1e-5  # fp32 logits of size 1 to 3
GREEDY: dict[str, Any] = {"max_new_tokens": 8, "do_sample": False}


def compare_everything(config: CwmConfig, attention: str, seed: int) -> None:
    """With and without cache, in chunks, with padding on either side, in a batch: logits, greedy tokens."""
    ours, oracle = pair(config, seed, attention)
    ids = tokens(3, LENGTH, seed)
    with torch.no_grad():
        want = oracle(ids).logits
        assert distance(ours(ids, use_cache=False).logits, want) <= CLOSE
        # chunks of uneven length through one cache, the last of a single token
        cache = DynamicCache(config=config)
        cuts = [0, 7, 8, 19, LENGTH - 1, LENGTH]
        parts = [ours(ids[:, a:b], past_key_values=cache).logits for a, b in pairwise(cuts)]
        assert distance(torch.cat(parts, 1), want) <= CLOSE
        # padding: row 0 has none, rows 1 and 2 have some; only real tokens are compared
        for side in ("left", "right"):
            mask = torch.ones_like(ids)
            for row, pads in ((1, 5), (2, 11)):
                mask[row, slice(None, pads) if side == "left" else slice(-pads, None)] = 0
            positions = (mask.cumsum(-1) - 1).clamp(min=0)
            inputs = {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
            real = mask.bool()
            assert distance(ours(**inputs).logits[real], oracle(**inputs).logits[real]) <= CLOSE
            if side == "left":
                assert torch.equal(
                    ours.generate(ids, attention_mask=mask, **GREEDY),
                    oracle.generate(ids, attention_mask=mask, **GREEDY),
                )


@examples(0.25)
@given(config=configs(), attention=st.sampled_from(["eager", "sdpa", "interval"]), seed=st.integers(0, 99))
def test_drawn_configs_equal_transformers(config: CwmConfig, attention: str, seed: int) -> None:
    compare_everything(config, attention, seed)


@pytest.mark.parametrize("attention", ["eager", "sdpa", "interval"])
def test_each_attention_equals_transformers(attention: str) -> None:
    compare_everything(small_config(), attention, 0)


@pytest.mark.parametrize("window", [3, 64])
def test_flex_attention_equals_transformers(window: int) -> None:
    config = small_config(head_dim=16, sliding_window=window)  # flex_attention takes no smaller heads
    with torch.compiler.set_stance("force_eager"):  # compiling it takes 40 s and changes nothing
        compare_everything(config, "flex_attention", 0)


# Rotary embedding


@pytest.mark.parametrize(
    "rope",
    [
        *ROPES,
        {"rope_type": "dynamic", "rope_theta": 10_000.0, "factor": 4.0},
        # the exact transition: wavelengths on either side of both limits
        {**ROPES[0], "original_max_position_embeddings": 512, "high_freq_factor": 8.0},
    ],
    ids=lambda rope: str(rope["rope_type"]),
)
def test_rope_equals_transformers_beyond_the_original_context(rope: dict[str, Any]) -> None:
    ours, oracle = pair(small_config(rope_parameters=dict(rope), head_dim=16, max_position_embeddings=128))
    got, want = ours.model.rotary_emb.inv_freq, oracle.model.rotary_emb.inv_freq
    assert torch.allclose(got, want, rtol=1e-6, atol=0)
    ids = tokens(1, 200)
    with torch.no_grad():
        assert distance(ours(ids).logits, oracle(ids).logits) <= CLOSE


def test_llama3_scaling_slows_the_slow_pairs_only() -> None:
    plain = CwmModel(small_config(rope_parameters=ROPES[1], head_dim=16)).rotary_emb.inv_freq
    scaled = CwmModel(small_config(rope_parameters=ROPES[0], head_dim=16)).rotary_emb.inv_freq
    ratio = plain / scaled
    assert float(ratio[0]) == 1.0
    assert float(ratio[-1]) == pytest.approx(16.0)
    assert (ratio.diff() >= 0).all()


# Layer kinds and windows


def test_default_layers_are_global_every_fourth() -> None:
    assert small_config(num_hidden_layers=8, layer_types=None).layer_types == [
        "full_attention" if i % 4 == 0 else "sliding_attention" for i in range(8)
    ]


def test_defaults_are_those_of_the_32b_model() -> None:
    with torch.device("meta"):
        model = CwmForCausalLM(CwmConfig())
    assert model.num_parameters() == 32_581_097_472
    attention = model.model.layers[1].self_attn
    assert attention.sliding_window == 8192
    assert model.model.layers[4].self_attn.sliding_window is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer_types": ["full_attention", "chunked_attention"]}, "layer_types holds 'chunked_attention'"),
        ({"layer_types": ["full_attention"]}, "layer_types has 1 entries for 2 layers"),
        ({"layer_types": ["sliding_attention"] * 2, "sliding_window": None}, "sliding_window is None"),
    ],
)
def test_bad_layers_are_one_sentence(change: dict[str, Any], message: str) -> None:
    config = small_config(num_hidden_layers=2, layer_types=["full_attention"] * 2)
    for name, value in change.items():
        object.__setattr__(config, name, value)  # past the config's own check
    with pytest.raises(CwmTraceError, match=message) as caught:
        CwmForCausalLM(config)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ValueError)  # as from transformers' own class


@pytest.mark.parametrize("kinds", [["other_attention"] * 2, ["full_attention"]])
def test_config_refuses_bad_layers_when_it_is_built(kinds: list[str]) -> None:
    with pytest.raises(StrictDataclassClassValidationError, match="layer_types"):
        small_config(num_hidden_layers=2, layer_types=kinds)


def test_mixed_layers_get_the_window_of_their_kind() -> None:
    kinds = ["full", "sliding", "sliding", "full", "sliding", "full"]
    config = small_config(num_hidden_layers=6, layer_types=[f"{kind}_attention" for kind in kinds])
    ours, oracle = pair(config)
    windows = [layer.self_attn.sliding_window for layer in ours.model.layers]
    assert windows == [None, 6, 6, None, 6, None]
    assert windows == [layer.self_attn.sliding_window for layer in oracle.model.layers]
    ids = tokens(1, 60)
    with torch.no_grad():
        assert distance(ours(ids).logits, oracle(ids).logits) <= CLOSE


def test_good_layers_pass_the_check() -> None:
    check_layer_types(small_config())


@pytest.mark.parametrize("window", [1, 4])
def test_window_layers_forget_and_count_the_query_itself(window: int) -> None:
    config = small_config(num_hidden_layers=1, layer_types=["sliding_attention"], sliding_window=window)
    model, _ = pair(config)
    ids, other = tokens(1, 12), tokens(1, 12)
    other[0, 3] = 3 if other[0, 3] != 3 else 4
    with torch.no_grad():
        changed = (model(ids).logits != model(other).logits).any(-1)[0]
    assert changed.nonzero().flatten().tolist() == list(range(3, 3 + window))


def test_global_layers_never_forget() -> None:
    model, _ = pair(small_config(num_hidden_layers=1, layer_types=["full_attention"]))
    ids, other = tokens(1, 30), tokens(1, 30)
    other[0, 3] = 3 if other[0, 3] != 3 else 4
    with torch.no_grad():
        changed = (model(ids).logits != model(other).logits).any(-1)[0]
    assert changed.nonzero().flatten().tolist() == list(range(3, 30))


def test_input_longer_than_window_in_one_piece_or_generated() -> None:
    config = small_config(sliding_window=5)
    ours, oracle = pair(config, attention="sdpa")
    ids = tokens(2, 40)
    got = ours.generate(ids, max_new_tokens=20, do_sample=False)
    assert torch.equal(got, oracle.generate(ids, max_new_tokens=20, do_sample=False))
    cache = ours(ids).past_key_values
    assert cache.layers[0].keys.shape[2] == 40
    assert cache.layers[1].keys.shape[2] == 4  # what the next token may still see


def test_mask_for_each_kind_of_layer_is_used() -> None:
    config = small_config()
    ours, oracle = pair(config)
    ids = tokens(2, LENGTH)
    common = {
        "config": ours.config,
        "inputs_embeds": ours.model.embed_tokens(ids),
        "attention_mask": None,
        "past_key_values": None,
        "position_ids": torch.arange(LENGTH)[None],
    }
    masks = {
        "full_attention": create_causal_mask(**common),
        "sliding_attention": create_sliding_window_causal_mask(**common),
    }
    swapped = {"full_attention": masks["sliding_attention"], "sliding_attention": masks["full_attention"]}
    with torch.no_grad():
        plain, crossed = oracle(ids).logits, oracle(ids, attention_mask=swapped).logits
        assert distance(ours(ids, attention_mask=masks).logits, plain) <= CLOSE
        assert distance(ours(ids, attention_mask=swapped).logits, plain) > 100 * CLOSE
        assert distance(ours(ids, attention_mask=swapped).logits, crossed) <= CLOSE


# Caches


@pytest.mark.parametrize("window", [3, 6, 64])
def test_static_cache_equals_dynamic_cache(window: int) -> None:
    config = small_config(sliding_window=window)
    ours, oracle = pair(config, attention="sdpa")
    ids = tokens(2, 10)
    want = oracle.generate(ids, max_new_tokens=16, do_sample=False)
    assert torch.equal(ours.generate(ids, max_new_tokens=16, do_sample=False), want)
    static = ours.generate(ids, max_new_tokens=16, do_sample=False, cache_implementation="static")
    assert torch.equal(static, want)
    cache = StaticCache(config=config, max_cache_len=32)
    with torch.no_grad():
        prefix = ours(ids, past_key_values=cache).logits
        rest = ours(want[:, 10:], past_key_values=cache).logits
        assert distance(torch.cat((prefix, rest), 1), oracle(want).logits) <= CLOSE


def test_cache_off_returns_none_and_a_given_one_comes_back() -> None:
    ours, _ = pair(small_config())
    assert ours(tokens(1, 4), use_cache=False).past_key_values is None
    cache = DynamicCache(config=ours.config)
    assert ours(tokens(1, 4), past_key_values=cache).past_key_values is cache
    assert cache.get_seq_length() == 4


# What else the forward pass takes and returns


def test_packed_documents_do_not_see_each_other() -> None:
    for attention in ("eager", "sdpa", "interval"):
        ours, oracle = pair(small_config(), attention=attention)
        lengths = [7, 1, 11, 5]
        ids = tokens(1, sum(lengths))
        positions = torch.cat([torch.arange(n) for n in lengths])[None]
        with torch.no_grad():
            packed = ours(ids, position_ids=positions, use_cache=False).logits
            alone = [ours(part, use_cache=False).logits for part in torch.split(ids, lengths, dim=1)]
            assert distance(packed, torch.cat(alone, 1)) <= CLOSE
            assert distance(packed, oracle(ids, position_ids=positions, use_cache=False).logits) <= CLOSE


def test_hidden_states_and_attentions_equal_transformers() -> None:
    ours, oracle = pair(small_config())
    ids = tokens(2, LENGTH)
    with torch.no_grad():
        got = ours(ids, output_hidden_states=True, output_attentions=True)
        want = oracle(ids, output_hidden_states=True, output_attentions=True)
    assert len(got.hidden_states) == len(want.hidden_states) == 5
    assert len(got.attentions) == len(want.attentions) == 4
    for a, b in zip(got.hidden_states + got.attentions, want.hidden_states + want.attentions, strict=True):
        assert distance(a, b) <= CLOSE
    plain = ours(ids)
    assert plain.hidden_states is None
    assert plain.attentions is None


def test_tuple_output_embeddings_input_and_kept_logits() -> None:
    ours, oracle = pair(small_config())
    ids = tokens(2, LENGTH)
    with torch.no_grad():
        want = oracle(ids).logits
        as_tuple = ours(ids, return_dict=False)
        assert isinstance(as_tuple, tuple)
        assert distance(as_tuple[0], want) <= CLOSE
        embeds = ours.get_input_embeddings()(ids)
        assert distance(ours(inputs_embeds=embeds).logits, want) <= CLOSE
        assert distance(ours(ids, logits_to_keep=3).logits, want[:, -3:]) <= CLOSE
        picked = torch.tensor([0, 5])
        assert distance(ours(ids, logits_to_keep=picked).logits, want[:, picked]) <= CLOSE
        with pytest.raises(ValueError, match="exactly one of"):
            ours(ids, inputs_embeds=embeds)
        with pytest.raises(ValueError, match="exactly one of"):
            ours()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_equals_transformers(dtype: torch.dtype) -> None:
    ours, oracle = pair(small_config())
    ours, oracle = ours.to(dtype), oracle.to(dtype)
    ids = tokens(2, LENGTH)
    with torch.no_grad():
        assert torch.equal(ours(ids).logits, oracle(ids).logits)


def test_other_ways_to_generate() -> None:
    ours, oracle = pair(small_config(), attention="sdpa")
    ids = tokens(2, 9)
    beams: dict[str, Any] = {"max_new_tokens": 8, "num_beams": 3, "do_sample": False}
    assert torch.equal(ours.generate(ids, **beams), oracle.generate(ids, **beams))
    sampled: dict[str, Any] = {"max_new_tokens": 8, "do_sample": True, "top_p": 0.9, "temperature": 0.8}
    results = []
    for model in (ours, oracle):
        torch.manual_seed(1)
        results.append(model.generate(ids, **sampled))
    assert torch.equal(*results)


def test_generation_goes_on_from_a_cache() -> None:
    ours, oracle = pair(small_config(), attention="sdpa")
    ids = tokens(2, 9)
    first = ours.generate(ids, max_new_tokens=5, do_sample=False, return_dict_in_generate=True)
    rest = ours.generate(
        first.sequences, past_key_values=first.past_key_values, max_new_tokens=6, do_sample=False
    )
    assert torch.equal(rest, oracle.generate(ids, max_new_tokens=11, do_sample=False))


def test_assisted_generation_changes_no_token() -> None:
    ours, oracle = pair(small_config(), attention="sdpa")
    ids = tokens(1, 6).repeat(1, 3)  # repeats, so that looking up the prompt proposes something
    want = oracle.generate(ids, max_new_tokens=20, do_sample=False)
    assert torch.equal(
        ours.generate(ids, max_new_tokens=20, do_sample=False, prompt_lookup_num_tokens=3), want
    )
    assert torch.equal(ours.generate(ids, max_new_tokens=20, do_sample=False, assistant_model=oracle), want)


@pytest.mark.parametrize("tied", [False, True])
def test_embeddings_can_be_resized(tied: bool) -> None:
    ours, _ = pair(small_config(tie_word_embeddings=tied))
    ids = tokens(1, 9)
    with torch.no_grad():
        before = ours(ids).logits
        ours.resize_token_embeddings(120)
        after = ours(ids).logits
    assert ours.config.vocab_size == 120
    assert (ours.lm_head.weight is ours.model.embed_tokens.weight) == tied
    assert distance(after[..., :VOCABULARY], before) <= CLOSE
    assert after.shape[-1] == 120
    loss = ours(ids, labels=ids).loss
    assert torch.isfinite(loss)


@pytest.mark.slow
def test_compiled_forward_equals_plain() -> None:
    ours, _ = pair(small_config(), attention="sdpa")
    ids = tokens(2, 20)
    with torch.no_grad():
        want = ours(ids, use_cache=False).logits
        compiled: Any = torch.compile(ours, fullgraph=True)
        assert distance(compiled(ids, use_cache=False).logits, want) <= CLOSE
