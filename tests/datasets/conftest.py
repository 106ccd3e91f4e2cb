"""The command line, for tests of what it builds."""

from __future__ import annotations

from tests.cli.conftest import cli

__all__ = ["cli"]
