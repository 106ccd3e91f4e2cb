"""The package's front door."""

from __future__ import annotations

import subprocess
import sys

import pytest

import cwm_trace.model


def test_public_names_are_there() -> None:
    for name in cwm_trace.model.__all__:
        assert getattr(getattr(cwm_trace.model, name), "__name__", name) == name
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        cwm_trace.model.Nothing  # noqa: B018


def test_importing_the_package_does_not_import_torch() -> None:
    program = "import sys, cwm_trace.model; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
