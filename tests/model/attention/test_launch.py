"""From the operator to the driver: NVRTC's output is loaded and launched, and every argument arrives."""

from __future__ import annotations

import ctypes
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.attention import cubins, interval_attention, kernels, launch
from cwm_trace.model.attention.check.draw import draw_case
from cwm_trace.model.attention.cuda_driver import Driver
from cwm_trace.model.attention.interval import attend, attend_segments
from cwm_trace.model.attention.schedule import Schedule, Stores, plan_intervals
from tests.model.attention.emulator import Emulator
from tests.model.attention.fake_driver import EmulatedKernels, FakeDriver, installed
from tests.model.attention.requirements import needs_nvrtc, needs_simulator
from tests.model.attention.runs import faults_of, run_case, simulate
from tests.model.attention.simulator import Simulator, build


@needs_nvrtc
@pytest.mark.parametrize("arch", [80, 90, 100, 120])
def test_what_nvrtc_builds_is_loaded_and_launched(
    arch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    case = draw_case(21, "branches", 32, torch.bfloat16, most_tokens=40)
    emulated = EmulatedKernels(Emulator(arch), arch, nvrtc=True)
    with installed(emulated):
        out, lse = attend_segments(*case.to("cpu"))
        again, _ = attend_segments(*case.to("cpu"))
    want = run_case(case, Emulator(arch), arch)
    assert faults_of(case, want) == []
    assert torch.equal(out, want.out)
    assert torch.equal(lse, want.lse)
    assert torch.equal(again, want.out)
    assert len(emulated.fake.images) == 1  # one module for both calls
    names = [name for name, _, _ in emulated.fake.launches]
    assert names[-1] == "combine_parts"
    assert len(names) == 2 * len(set(names))
    assert set(emulated.fake.images[0]) == {"attend_128", "attend_64", "attend_16", "combine_parts"}
    (cached,) = (tmp_path / "cwm-trace" / "cubins").iterdir()
    assert cached.read_bytes()[32:36] == b"\x7fELF"


@needs_nvrtc
def test_structures_have_the_size_that_the_kernels_expect() -> None:
    emulator = Emulator(80)
    emulator.load(32, torch.bfloat16)
    for name in ("attend_128", "attend_64", "attend_16"):
        assert emulator.argument_bytes(name) == ctypes.sizeof(launch.AttendArgs)
    assert emulator.argument_bytes("combine_parts") == ctypes.sizeof(launch.CombineArgs)


@needs_simulator
def test_structures_have_the_fields_of_the_source() -> None:
    library = build(32, torch.bfloat16)
    assert library.simt_size(False) == ctypes.sizeof(launch.AttendArgs)
    assert library.simt_size(True) == ctypes.sizeof(launch.CombineArgs)
    source = (cubins.SOURCES / "layout.cuh").read_text()
    for name, structure in (
        ("Rows", launch.RowsArgument),
        ("Store", launch.StoreArgument),
        ("AttendArgs", launch.AttendArgs),
        ("CombineArgs", launch.CombineArgs),
    ):
        found = re.search(rf"struct {name} {{(.*?)\n}};", source, re.DOTALL)
        assert found
        declared = re.sub(r"//.*", "", found[1])
        fields = re.findall(r"[\s*](\w+)(?:\[\d\])?(?=[,;])", declared)
        assert fields == [field[0] for field in structure._fields_]


class Refusing(Simulator):
    """A device whose memory is gone."""

    def launch(self, *_: Any) -> None:
        raise AssertionError("nothing should be launched")


def test_the_driver_says_in_one_sentence_what_it_refused() -> None:
    fake = FakeDriver(Refusing())
    driver = Driver(fake.library)
    with pytest.raises(
        CwmTraceError, match="cuModuleLoadData failed with code 200: device kernel image is inv"
    ):
        driver.load(b"no cubin" * 20)
    with pytest.raises(
        CwmTraceError, match="cuModuleGetFunction failed with code 500: named symbol not found"
    ):
        driver.find(ctypes.c_void_p(1), "attend_17")
    with pytest.raises(CwmTraceError, match="cuLaunchKernel failed with code 1: invalid argument"):
        driver.launch(ctypes.c_void_p(1), (1, 70_000), 128, 0, 77, launch.CombineArgs())


@needs_simulator
@pytest.mark.parametrize("how", ["sliced", "offset", "transposed"])
def test_tensors_that_threads_cannot_copy_in_16_bytes_are_copied_first(how: str) -> None:
    case = draw_case(6, "prefill", 32, torch.bfloat16, most_tokens=40)
    ((keys, values, _),) = case.stores
    layouts: dict[str, Callable[[Tensor], Tensor]] = {
        "sliced": lambda x: torch.cat((x, x), -1)[..., ::2],
        "offset": lambda x: torch.cat((x, x[..., :4]), -1)[..., 4:],
        "transposed": lambda x: x.transpose(-1, -2).contiguous().transpose(-1, -2),
    }
    changed = layouts[how]
    case.q = changed(case.q)
    case.stores = [Stores(changed(keys), changed(values))]
    assert faults_of(case, simulate(case)) == []


@needs_simulator
def test_operator_passes_torchs_own_checks_through_the_kernels() -> None:
    positions = torch.arange(20)
    lo, hi, store = (positions - 5).clamp(min=0), positions + 1, torch.zeros(20, dtype=torch.int64)
    q = torch.randn(20, 4, 32).bfloat16()
    keys, values = (torch.randn(1, 20, 2, 32).bfloat16() for _ in range(2))
    emulated = EmulatedKernels(Simulator())
    with installed(emulated):
        torch.library.opcheck(interval_attention, (q, keys, values, store, lo, hi, 32**-0.5))
        for x in (q, keys, values):
            x.requires_grad_()
        torch.library.opcheck(interval_attention, (q, keys, values, store, lo, hi, 32**-0.5))
    assert emulated.steps > 0
    assert emulated.errors == []


def test_operator_is_registered_for_cuda_and_for_fake_tensors() -> None:
    for key in ("CPU", "CUDA", "Meta"):
        assert torch._C._dispatch_has_computed_kernel_for_dispatch_key("cwm_trace::interval_attention", key)


@needs_simulator
def test_gradients_take_pytorchs_way() -> None:
    plan = plan_intervals(
        torch.zeros(3, dtype=torch.int64), torch.zeros(3, dtype=torch.int64), torch.arange(1, 4), 3
    )
    q = torch.randn(3, 2, 32).bfloat16().requires_grad_()
    keys = torch.randn(1, 3, 1, 32).bfloat16()
    emulated = EmulatedKernels(Simulator())
    with installed(emulated):
        out, _ = attend(q, keys, keys, plan, 1.0)
        torch.autograd.grad(out.float().sum(), q)
        assert emulated.steps == 0
        with torch.no_grad():
            attend(q, keys, keys, plan, 1.0)
    assert emulated.steps == 1


# What is missing is one line, once, and PyTorch's operations


def through_pytorch(caplog: pytest.LogCaptureFixture, emulated: EmulatedKernels, **changes: Any) -> str:
    """Attend twice, expect PyTorch's result and one line; return it."""
    case = draw_case(6, "prefill", changes.get("head_dim", 32), changes.get("dtype", torch.bfloat16), 30)
    kernels._refused.clear()
    with caplog.at_level(logging.WARNING, "cwm_trace"), installed(emulated):
        out, _ = attend_segments(*case.to("cpu"))
        attend_segments(*case.to("cpu"))
    assert emulated.fake.launches == []
    assert torch.equal(out, attend_segments(*case.to("cpu"))[0])
    (record,) = caplog.records
    return record.getMessage()


def test_missing_nvrtc(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise CwmTraceError("NVRTC is missing: install it")

    monkeypatch.setattr(cubins, "find_nvrtc", missing)

    class Nothing(Refusing):
        def load(self, head_dim: int, dtype: torch.dtype) -> None:
            pass

    said = through_pytorch(caplog, EmulatedKernels(Nothing(), nvrtc=True))
    assert (
        said == "no CUDA attention kernels on cpu, PyTorch's operations instead: NVRTC is missing: install it"
    )


def test_shapes_that_the_kernels_do_not_take(caplog: pytest.LogCaptureFixture) -> None:
    said = through_pytorch(caplog, EmulatedKernels(Refusing()), head_dim=16)
    assert said.endswith("head_dim 16 in bfloat16: they take 32, 64, 128 in bfloat16 or float16")


def test_missing_driver(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    class About:
        major, minor, multi_processor_count = 9, 0, 132

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: About)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: (_ for _ in ()).throw(OSError(f"no {name}")))
    kernels._refused.clear()
    with caplog.at_level(logging.WARNING, "cwm_trace"):
        assert kernels._open(torch.device("cuda", 0)) is None
    assert "the CUDA driver cannot be loaded: no libcuda.so.1" in caplog.text
    About.major = 7
    assert kernels._open(torch.device("cuda", 0)) is None
    assert "sm_70 is older than sm_80" in caplog.text


def test_a_page_must_hold_whole_tiles() -> None:
    plan = plan_intervals(
        torch.zeros(1, dtype=torch.int64),
        torch.zeros(1, dtype=torch.int64),
        torch.ones(1, dtype=torch.int64),
        48,
    )
    with pytest.raises(CwmTraceError, match="a page of 48 slots is no multiple of 64"):
        Schedule([plan], [48])
