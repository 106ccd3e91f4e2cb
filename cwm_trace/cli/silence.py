"""Keeps other packages from talking: standard error is for what `cwm-trace` itself has to say.

Never done where a user's program runs: what its packages say is its own output.
"""

from __future__ import annotations

import logging
import os
import warnings

_CHATTY = ("torchao", "torch", "torch.utils._pytree", "transformers", "huggingface_hub")
"""Loggers; warnings of theirs are about parts that are not used here, or that are not installed. PyTorch sets
the level of its own logger again when it is imported, not of those below it."""

_BARS = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",  # transformers' bars while it loads weights follow it too
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


def silence_packages() -> None:
    """Leave out warnings, logs below errors, and progress bars, of packages that are imported from now on."""
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    for name, value in _BARS.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", module=rf"({'|'.join(_CHATTY)})(\.|$)")
