"""What NVRTC makes of the kernels, run by the emulator: the same bits as the source in the simulator."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from cwm_trace.model.attention.check.draw import KINDS, draw_case
from tests.effort import rest_in_ci
from tests.model.attention.requirements import needs_nvrtc, needs_simulator
from tests.model.attention.runs import emulate, faults_of, simulate

BF16, FP16 = torch.bfloat16, torch.float16
pytestmark = [needs_nvrtc, needs_simulator]
ARCHITECTURES = (80, 90, 100, 120)
VARIETY = [(80, 32, BF16), (90, 64, FP16), (100, 128, BF16), (120, 64, BF16)]
"""Every architecture, size of heads and type once; `.ci/run` takes the other combinations too."""
OTHERS = [each for each in product(ARCHITECTURES, (32, 64, 128), (BF16, FP16)) if each not in VARIETY]
SAME_BITS = 0.999


@pytest.mark.parametrize(("arch", "head_dim", "dtype"), rest_in_ci([*VARIETY, *OTHERS], keep=len(VARIETY)))
def test_same_bits_as_the_source(arch: int, head_dim: int, dtype: torch.dtype) -> None:
    same = total = 0
    for kind in KINDS:
        for seed in (arch, arch + 1):  # other cases for each architecture
            case = draw_case(seed, kind, head_dim, dtype, most_tokens=50)
            emulated, simulated = emulate(case, arch), simulate(case)
            assert faults_of(case, emulated) == [], case.name
            same += int((emulated.out == simulated.out).sum())
            total += emulated.out.numel()
            assert float((emulated.lse - simulated.lse).nan_to_num().abs().max()) <= 1e-4
    assert same >= SAME_BITS * total


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("first", range(0, 300, 30))
def test_random_cases(arch: int, first: int) -> None:
    for seed in range(first, first + 30):
        case = draw_case(seed)
        assert faults_of(case, emulate(case, arch)) == [], case.name
