"""One tokenizer for all tests of training."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.model.training.runs import save_words


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `tokenizer.json` of small programs."""
    return save_words(tmp_path_factory.mktemp("words"))
