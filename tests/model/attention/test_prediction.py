"""A prediction on a GPU made of a CPU: the engine's passes go through the kernels, branches in one launch."""

from __future__ import annotations

import logging

import pytest
import torch

from cwm_trace.cli.silence import silence_packages
from cwm_trace.model.attention import kernels
from cwm_trace.model.modeling import CwmForCausalLM
from cwm_trace.model.predict.local import LocalPredictor
from cwm_trace.predict.protocol import Request
from cwm_trace.records import Cost, Decoding, Trace
from tests.model.attention.fake_driver import EmulatedKernels, installed
from tests.model.attention.requirements import needs_simulator
from tests.model.attention.simulator import Simulator
from tests.model.predict.examples import config, real_traces, start_of, tokens


def predictor(dtype: torch.dtype) -> LocalPredictor:
    torch.manual_seed(1)
    model = CwmForCausalLM(config(hidden_size=64, head_dim=32)).eval()  # type: ignore[no-untyped-call]
    return LocalPredictor(model.to(dtype), tokens(), decoding=Decoding(max_frame_tokens=12))


def cost(trace: Trace) -> Cost:
    assert trace.guess.cost is not None
    return trace.guess.cost


@needs_simulator
def test_every_pass_of_a_prediction_runs_the_kernels() -> None:
    truth = real_traces(10)[0]
    request = Request(start_of(truth), mode="forced", truth=truth)
    emulated = EmulatedKernels(Simulator())
    with installed(emulated):
        found = cost(predictor(torch.bfloat16).predict(request))
    assert emulated.errors == []
    assert found.attention == "CUDA kernels"
    assert emulated.steps == 2 * found.forward_passes  # layers; prefix and suffixes of a branch in one
    assert {"attend_16", "combine_parts"} <= {name for name, _, _ in emulated.fake.launches}


@needs_simulator
def test_a_fallback_is_named_and_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the command line shows it, which silences other packages only."""
    silence_packages()
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    monkeypatch.setattr(kernels, "_refused", set())
    truth = real_traces(10)[0]
    model = predictor(torch.float32)
    with installed(EmulatedKernels(Simulator())):
        for mode in ("free", "forced"):
            request = Request(start_of(truth), mode=mode, truth=truth, max_frames=3)
            assert cost(model.predict(request)).attention == "PyTorch"
    assert capsys.readouterr().err.splitlines() == [
        "no CUDA attention kernels on cpu, PyTorch's operations instead: head_dim 32 in float32: "
        "they take 32, 64, 128 in bfloat16 or float16"
    ]
