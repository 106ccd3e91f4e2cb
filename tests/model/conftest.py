"""One thread, no network, and pairs of models: ours and transformers' own with the same weights."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
import torch

from tests.model.checkpoints import make_hub, make_meta
from tests.model.pairs import save_checkpoint
from tests.model.vllm_server import VllmServer, serve


@pytest.fixture
def meta(tmp_path: Path) -> Path:
    """A small checkpoint in Meta's form."""
    return make_meta(tmp_path)


@pytest.fixture
def hub(meta: Path, tmp_path: Path) -> Path:
    """The same checkpoint in Hugging Face's form."""
    return make_hub(tmp_path)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tests may run side by side, so none takes more than one core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def vllm_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    """A real vLLM that serves a checkpoint saved by ours; skips unless the environment names one."""
    python, url = os.environ.get("CWM_VLLM_PYTHON"), os.environ.get("CWM_VLLM_URL")
    if url:
        checkpoint = os.environ.get("CWM_VLLM_CHECKPOINT")
        if not checkpoint:
            pytest.skip("CWM_VLLM_URL is set: name the folder it serves in CWM_VLLM_CHECKPOINT")
        yield VllmServer(url.rstrip("/"), Path(checkpoint))
    elif python:
        folder = tmp_path_factory.mktemp("vllm")
        with serve(python, save_checkpoint(folder / "checkpoint"), folder / "server.log") as server:
            yield server
    else:
        pytest.skip("set CWM_VLLM_PYTHON or CWM_VLLM_URL")
