"""`format probe` on real models: mini and small ones find the profiles that they were trained on."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.format.reading_programs import record_program, record_programs, write_programs
from cwm_trace.eval.format.readings import MARGIN, ORDER, probe_format
from cwm_trace.model.modeling import CwmForCausalLM
from cwm_trace.model.scoring import Scorer
from cwm_trace.model.tokenizer import build_tokenizer
from cwm_trace.predict.registry import find_mini
from cwm_trace.wire.profile import CWM, FormatProfile, get_profile
from cwm_trace.wire.render import render_trace
from cwm_trace.wire.tokens import TraceTokens
from tests.cli.conftest import Cli, cli  # noqa: F401 (a fixture)
from tests.effort import rest_in_ci
from tests.eval.format.test_readings import OTHER
from tests.model.pairs import pair, small_config, tokens

HOME = Path(__file__).parents[2] / "model" / "pretrained" / "cwm-mini"


@pytest.mark.skipif(not HOME.exists(), reason="this checkout has no bundled model")
def test_mini_finds_the_profile_it_was_trained_on(cli: Cli, tmp_path: Path) -> None:  # noqa: F811
    """Whichever weights are bundled: all six are what they were trained on, and nearly all beyond doubt."""
    path = tmp_path / "found.json"
    result = cli(
        "format", "probe", "--model", str(find_mini()), "--dtype", "float32", "--json", "-o", str(path)
    )
    assert result.returncode == 0, result.stderr
    findings = {finding["field"]: finding for finding in json.loads(result.stdout)["findings"]}
    assert list(findings) == list(ORDER)
    for field, finding in findings.items():
        assert getattr(CWM, field) in finding["readings"][0]["readings"], finding
        assert finding["settled"] == all(other["low"] > MARGIN for other in finding["readings"][1:])
        assert finding["programs"] == 12
    assert sum(finding["settled"] for finding in findings.values()) >= len(ORDER) - 1
    found = get_profile(str(path))
    assert found.hash == CWM.hash
    assert json.loads(path.read_text())["name"] == "found"


@pytest.mark.parametrize("seed", rest_in_ci(range(6)))
def test_a_model_without_training_settles_nothing(seed: int) -> None:
    traces = [trace for field in ORDER for trace in record_programs(field)]
    tokenizer = build_tokenizer([render_trace(trace) for trace in traces], 480)
    torch.manual_seed(seed)
    ours, _ = pair(small_config(vocab_size=len(tokenizer), initializer_range=0.02))
    found, findings = probe_format(
        Scorer(ours), TraceTokens.from_tokenizer(tokenizer), base=OTHER, name="other"
    )
    assert found == OTHER
    assert not [finding for finding in findings if finding.settled]


def train(profile: FormatProfile) -> tuple[Any, TraceTokens]:
    """A model of two layers that has read 200 other programs of each kind, written in this profile."""
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghilmnoprstu", k=draw.randint(3, 6))) for _ in range(400)]
    names = [*zip(words[::2], words[1::2], strict=True)]
    traces = [
        record_program(*program) for field in ORDER for program in write_programs(field, names, first=3)
    ]
    plain = [render_trace(trace, profile=profile) for trace in traces]
    tokenizer = build_tokenizer(plain, 480)
    mapping = TraceTokens.from_tokenizer(tokenizer)
    rows = [render_trace(trace, profile=profile, tokens=mapping) for trace in traces]
    torch.manual_seed(0)
    config = small_config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        head_dim=16,
        num_hidden_layers=2,
        layer_types=["full_attention"] * 2,
        initializer_range=0.02,
        pad_token_id=tokenizer.pad_token_id,
    )
    model: Any = CwmForCausalLM(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    for _ in range(400):
        some = sorted(draw.sample(rows, 8), key=len)
        ids = torch.full((8, len(some[-1])), tokenizer.pad_token_id)
        for row, text in enumerate(some):
            ids[row, : len(text)] = torch.tensor(text)
        labels = ids.masked_fill(ids == tokenizer.pad_token_id, -100)
        loss = model(ids, labels=labels, use_cache=False).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model, mapping


@pytest.mark.ci
@pytest.mark.parametrize("profile", [OTHER, CWM], ids=lambda profile: profile.name)
def test_what_a_small_model_settles_is_what_it_was_trained_on(profile: FormatProfile) -> None:
    """400 steps leave doubts, and heap addresses differ in every run: so any two fields may stay open."""
    model, mapping = train(profile)
    base = CWM if profile is OTHER else OTHER
    found, findings = probe_format(Scorer(model), mapping, base=base)
    for finding in findings:
        want = profile if finding.settled else base
        assert getattr(found, finding.field) == finding.chosen == getattr(want, finding.field), finding
    assert sum(finding.settled for finding in findings) >= len(ORDER) - 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "http://127.0.0.1:9"], "http://127.0.0.1:9 is a server"),
        (["--model", "nowhere"], "nowhere is not a folder"),
        (["--model", "mini", "-o", "missing/p.json"], "there is no folder missing to write p.json into"),
        (["--model", "mini", "-o", "p.txt"], "a profile's file ends in .json, p.txt does not"),
        (["--model", "mini", "--base", "other"], "there is no format profile 'other'"),
    ],
)
def test_what_cannot_be_probed_is_one_sentence(cli: Cli, arguments: list[str], said: str) -> None:  # noqa: F811
    result = cli("format", "probe", *arguments)
    assert result.returncode == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_scores_are_log_probabilities_of_what_comes_next() -> None:
    ours, _ = pair(small_config())
    ids = tokens(1, 12)
    with torch.no_grad():
        logprobs = ours(ids).logits[0].log_softmax(-1)
    want = [float(logprobs[at - 1, ids[0, at]]) for at in range(5, 12)]
    assert Scorer(ours)(ids[0].tolist(), 5) == pytest.approx(want, abs=1e-5)


@pytest.mark.parametrize(("length", "start"), [(5, 0), (5, 5), (600, 3)])
def test_what_cannot_be_scored_is_one_sentence(length: int, start: int) -> None:
    ours, _ = pair(small_config())
    with pytest.raises(CwmTraceError, match="cannot score tokens"):
        Scorer(ours)([3] * length, start)
