"""The cache of built kernels: found again, built again when damaged, never half written."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
import torch

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.attention import cubins
from cwm_trace.model.attention.nvrtc import Program

BF16 = torch.bfloat16


class FakeNvrtc:
    """A compiler that counts."""

    version = "13.0"

    def __init__(self) -> None:
        self.compiled: list[list[str]] = []

    def architectures(self) -> list[int]:
        return [75, 80, 86, 90, 100, 120]

    def compile(self, name: str, sources: dict[str, str], options: list[str]) -> Program:
        self.compiled.append(options)
        return Program(b"\x7fELF" + repr(options).encode(), "", "")


@pytest.fixture
def nvrtc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNvrtc:
    fake = FakeNvrtc()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cubins, "find_nvrtc", lambda: fake)
    return fake


def test_is_built_once_for_each_variant_architecture_source_and_version(
    nvrtc: FakeNvrtc, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cubins.build_cubin(64, BF16, 90)
    assert cubins.build_cubin(64, BF16, 90) == first
    assert len(nvrtc.compiled) == 1
    cubins.build_cubin(32, BF16, 90)
    cubins.build_cubin(64, torch.float16, 90)
    cubins.build_cubin(64, BF16, 80)
    assert len(nvrtc.compiled) == 4
    nvrtc.version = "13.1"
    cubins.build_cubin(64, BF16, 90)
    changed = cubins.read_sources() | {"attend.cuh": "// other"}
    monkeypatch.setattr(cubins, "read_sources", lambda: changed)
    cubins.build_cubin(64, BF16, 90)
    assert len(nvrtc.compiled) == 6
    assert len(list(cubins.cache_folder().iterdir())) == 6


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b"", lambda b: b[:40] + b"x" + b[41:]])
def test_a_damaged_entry_is_built_again(
    nvrtc: FakeNvrtc, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    first = cubins.build_cubin(64, BF16, 90)
    (path,) = cubins.cache_folder().iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))  # type: ignore[operator]
    with caplog.at_level(logging.WARNING):
        assert cubins.build_cubin(64, BF16, 90) == first
    assert "is damaged; building again" in caplog.text
    assert path.read_bytes() == whole


def test_a_write_that_fails_leaves_nothing_behind_and_is_said(
    nvrtc: FakeNvrtc, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert cubins.build_cubin(64, BF16, 90).startswith(b"\x7fELF")
    assert list(cubins.cache_folder().iterdir()) == []
    assert "every process builds them again" in caplog.text


@pytest.mark.parametrize(("capability", "arch"), [(80, 80), (89, 86), (103, 100), (121, 120)])
def test_newer_members_of_a_family_take_its_cubins(nvrtc: FakeNvrtc, capability: int, arch: int) -> None:
    cubins.build_cubin(64, BF16, capability)
    assert f"--gpu-architecture=sm_{arch}" in nvrtc.compiled[0]


def test_an_unknown_family_is_one_sentence(nvrtc: FakeNvrtc) -> None:
    with pytest.raises(CwmTraceError, match=r"NVRTC 13.0 does not compile for sm_150: install a newer one"):
        cubins.build_cubin(64, BF16, 150)
