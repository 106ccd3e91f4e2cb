"""The trace engine on NumPy says what it says on PyTorch; the model decides which of them runs it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.checkpoint import check_checkpoint
from cwm_trace.model.light.weights import read_arrays
from cwm_trace.model.loading import load_model
from cwm_trace.model.predict.decoders import choosing
from cwm_trace.model.predict.decoders.choosing import load_decoder
from cwm_trace.model.predict.decoders.numpy import NumpyChooser, NumpyDecoder, NumpySampler
from cwm_trace.model.predict.decoders.torch import TorchChooser
from cwm_trace.model.predict.local import LocalPredictor
from cwm_trace.model.predict.vocabulary import Legal, Vocabulary
from cwm_trace.model.safetensors_files import read_headers
from cwm_trace.predict.modes import ALL_MODES
from cwm_trace.predict.protocol import Request
from cwm_trace.records import GRAMMARS, Decoding, Frame, Trace
from tests.effort import rest_in_ci
from tests.model.light.examples import light_decoder
from tests.model.pairs import LLAMA3, save_checkpoint
from tests.model.predict.examples import (
    guessing,
    predictor,
    random_model,
    real_traces,
    start_of,
    taught,
    tokens,
)

MODES = (*ALL_MODES[:4], "reground-3", *ALL_MODES[5:])


@cache
def numpy_taught() -> NumpyDecoder:
    """The taught model, whose window of 24 tokens binds."""
    return NumpyDecoder(light_decoder(taught()))


def both(**options: Any) -> tuple[LocalPredictor, LocalPredictor]:
    return predictor(numpy_taught(), **options), predictor(**options)


def without_numbers(frames: tuple[Frame, ...]) -> list[Frame]:
    return [replace(frame, logprobs=None) for frame in frames]


def same(one: Trace, other: Trace) -> None:
    assert without_numbers(one.frames) == without_numbers(other.frames)
    assert (one.outcome, one.guess.problems, one.warnings) == (
        other.outcome,
        other.guess.problems,
        other.warnings,
    )
    assert one.guess.cost is not None
    assert other.guess.cost is not None
    assert {one.guess.cost.attention, other.guess.cost.attention} == {"NumPy", "PyTorch"}
    assert replace(one.guess.cost, seconds=0.0, attention="") == replace(
        other.guess.cost, seconds=0.0, attention=""
    )
    for ours, theirs in zip(one.frames, other.frames, strict=True):
        assert (ours.logprobs is None) == (theirs.logprobs is None)
        for field, values in (theirs.logprobs or {}).items():
            assert ours.logprobs is not None
            np.testing.assert_allclose(ours.logprobs[field], values, atol=1e-3)


@pytest.mark.parametrize("grammar", GRAMMARS)
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_and_grammar_gives_the_same_frames_in_the_same_passes(mode: str, grammar: str) -> None:
    ours, theirs = both(constrained=grammar != "none", grammar=grammar, max_new_tokens=40, logprobs=True)
    for real in real_traces()[3:9:2]:
        request = Request(start_of(real), mode, None if mode == "free" else real, max_frames=4)
        same(ours.predict(request), theirs.predict(request))


@pytest.mark.parametrize("count", rest_in_ci([16, 2, 3, 8]))
def test_batches_give_the_same_frames(count: int) -> None:
    ours, theirs = both(max_new_tokens=40)
    requests = [
        Request(start_of(real, 1 + at % 3), max_frames=3) for at, real in enumerate(real_traces()[:count])
    ]
    found, wanted = dict(ours.predict_all(requests)), dict(theirs.predict_all(requests))
    for index in range(count):
        assert found[index].frames == wanted[index].frames
        assert found[index].outcome == wanted[index].outcome


def test_a_step_and_a_stream_are_the_same() -> None:
    ours, theirs = both(max_new_tokens=40)
    for real in real_traces()[:3]:
        assert [*ours.stream(Request(start_of(real)))] == [*theirs.stream(Request(start_of(real)))]


def test_masks_and_log_probabilities_are_those_of_torch() -> None:
    vocabulary = Vocabulary(tokens(), 500)
    rows = [legal for at, legal in enumerate(vocabulary.rows) if vocabulary.allowed[at].any()]
    legals = [*rows, Legal((3, 9)), Legal((7,), 0, ())]
    logits = np.random.default_rng(0).normal(size=(2 * len(legals), 500)).astype(np.float32)
    likeliest = NumpyChooser(vocabulary).choose(logits[: len(rows)], rows, logprobs=False)
    legals += [
        legal._replace(but=(likeliest.at(at)[0],)) for at, legal in enumerate(rows) if legal.ids is None
    ]
    logits = logits[: len(legals)]
    for vocabulary_or_none in (vocabulary, None):
        ours = NumpyChooser(vocabulary_or_none).choose(logits, legals, logprobs=True)
        theirs = TorchChooser(vocabulary_or_none).choose(torch.from_numpy(logits), legals, logprobs=True)
        for at in range(len(legals)):
            token, logprob = ours.at(at)
            wanted, close_to = theirs.at(at)
            assert token == wanted
            assert logprob == pytest.approx(close_to, abs=1e-5)


class Ruler:
    """In the place of random numbers: evenly spaced ones."""

    def __init__(self, count: int) -> None:
        self._numbers = iter((np.arange(count) + 0.5) / count)

    def random(self) -> float:
        return float(next(self._numbers))


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.5, 1.0), (1.0, 0.7), (2.0, 0.05)])
def test_draws_have_the_probabilities_that_torch_draws_by(temperature: float, top_p: float) -> None:
    logits = np.array([0.3, -np.inf, 2.0, 1.0, 1.0, -3.0], np.float32)
    probabilities = torch.softmax(torch.from_numpy(logits) / temperature, dim=-1)
    ordered, index = probabilities.sort(descending=True)
    ordered[ordered.cumsum(0) - ordered >= top_p] = 0  # as `cwm_trace.model.decoding.Sampler` has it
    wanted = torch.zeros_like(ordered).scatter(0, index, ordered / ordered.sum()).numpy()
    sampler = NumpySampler(temperature, top_p, 0)
    sampler._random = Ruler(2000)  # type: ignore[assignment]
    counts = np.bincount([sampler(logits) for _ in range(2000)], minlength=len(logits))
    np.testing.assert_allclose(counts / 2000, wanted, atol=1e-3)


def test_draws_depend_on_the_seed_alone() -> None:
    start = start_of(real_traces()[0])
    traces = [
        predictor(numpy_taught(), temperature=1.5, seed=seed, max_new_tokens=60).predict(Request(start))
        for seed in (1, 1, 2, 3, 4)
    ]
    assert traces[0].frames == traces[1].frames
    assert len({repr(trace.frames) for trace in traces}) > 2


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_weights_are_read_from_any_kind_of_float(dtype: torch.dtype, tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path / "model", dtype)
    decoder = load_decoder(folder)
    assert isinstance(decoder, NumpyDecoder)
    theirs = load_decoder(folder, "torch", "float32")
    ids, spots = [5, 6, 7, 8], [(0, at) for at in range(4)]
    wanted = theirs.text().feed([ids], spots).numpy()
    np.testing.assert_allclose(decoder.text().feed([ids], spots), wanted, atol=1e-4)


def test_what_is_no_float_is_refused(tmp_path: Path) -> None:
    stored = read_headers(save_checkpoint(tmp_path / "model"))
    name = next(iter(stored))
    with pytest.raises(CwmTraceError, match="as I8: weights are read from F64, F32, F16, BF16"):
        read_arrays({name: replace(stored[name], dtype="I8")}, [name])


def test_the_engine_is_chosen_by_the_model_and_stands_in_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_checkpoint(tmp_path / "small")
    assert LocalPredictor.load(folder).decoding.engine == "numpy"
    asked = LocalPredictor.load(folder, decoding=Decoding(engine="torch"))
    assert asked.decoding.engine == "torch"
    assert load_decoder(folder, dtype="bfloat16").engine == "torch"
    yarn = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 8.0, "original_max_position_embeddings": 64}
    scaled = save_checkpoint(tmp_path / "scaled", rope_parameters=yarn)
    assert load_decoder(scaled).engine == "torch"
    monkeypatch.setattr(choosing, "NUMPY_BELOW", choosing.count_parameters(config_of(folder), folder))
    assert load_decoder(folder).engine == "torch"
    assert load_decoder(folder, "numpy").engine == "numpy"
    with pytest.raises(CwmTraceError, match="scales: take the engine torch"):
        load_decoder(scaled, "numpy")
    with pytest.raises(CwmTraceError, match="dtype bfloat16 was asked for: take the engine torch"):
        load_decoder(folder, "numpy", "bfloat16")
    with pytest.raises(CwmTraceError, match="decoded by torch, not by numpy"):
        LocalPredictor(guessing(), tokens(), decoding=Decoding(engine="numpy"))


def config_of(folder: Path) -> dict[str, Any]:
    return check_checkpoint(folder)


def test_parameters_are_counted_as_torch_counts_them(tmp_path: Path) -> None:
    for tied in (False, True):
        folder = save_checkpoint(tmp_path / str(tied), tie_word_embeddings=tied, rope_parameters=dict(LLAMA3))
        wanted = sum(parameter.numel() for parameter in load_model(folder).parameters())
        assert choosing.count_parameters(config_of(folder), folder) == wanted


def test_without_a_folder_the_weights_themselves_are_the_identity() -> None:
    one = LocalPredictor(NumpyDecoder(light_decoder(random_model())), tokens()).decoding
    other = LocalPredictor(numpy_taught(), tokens()).decoding
    assert (one.engine, one.dtype, len(one.fingerprint)) == ("numpy", "float32", 16)
    assert one.fingerprint != other.fingerprint
