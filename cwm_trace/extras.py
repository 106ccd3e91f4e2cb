"""The package's extras, and the sentence where one is missing."""

from __future__ import annotations

from importlib.util import find_spec

from cwm_trace.errors import CwmTraceError

EXTRA_OF = {
    "numpy": "mini",
    "tokenizers": "mini",
    "safetensors": "model",
    "torch": "model",
    "transformers": "model",
    "accelerate": "finetune",
    "peft": "finetune",
    "matplotlib": "report",
    "scipy": "report",
    "hypothesis": "strategies",
    "datasets": "data",
    "pyarrow": "data",
    "rensa": "data",
    "ray": "ray",
    "mcp": "mcp",
    "zstandard": "zstd",
}
"""The smallest extra that brings each package."""


def is_installed(*packages: str) -> bool:
    """Whether all of these packages are installed; none is imported."""
    return all(find_spec(name) is not None for name in packages)


def require(extra: str, what: str, *packages: str) -> None:
    """Make sure that packages are there, before anything is done.

    Args:
        extra: that brings them.
        what: needs them; begins the sentence.
        *packages: names as they are imported.

    Raises:
        CwmTraceError: one is not installed.
    """
    missing = [name for name in packages if not is_installed(name)]
    if missing:
        raise CwmTraceError(f"{what} needs {' and '.join(missing)}: pip install 'cwm-trace[{extra}]'")


def explain_missing(error: ModuleNotFoundError, what: str = "this") -> str:
    """The same sentence for an import that failed; empty if no extra brings what is missing."""
    package = (error.name or "").partition(".")[0]
    extra = EXTRA_OF.get(package)
    return f"{what} needs {package}: pip install 'cwm-trace[{extra}]'" if extra else ""
