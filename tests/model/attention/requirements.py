"""What the engines need: `make test` installs NVRTC (the extra `dev`), the system brings g++."""

from __future__ import annotations

import pytest

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.attention.nvrtc import find_nvrtc
from tests.model.attention import simulator


def _missing_nvrtc() -> str | None:
    try:
        find_nvrtc()
    except CwmTraceError as error:
        return str(error)
    return None


_simulator, _nvrtc = simulator.why_not(), _missing_nvrtc()
needs_simulator = pytest.mark.skipif(_simulator is not None, reason=_simulator or "")
needs_nvrtc = pytest.mark.skipif(_nvrtc is not None, reason=_nvrtc or "")
