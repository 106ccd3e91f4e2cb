"""How likely a model finds a text: log-probabilities of given ids, by our class or by transformers'."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.loading import load_model
from cwm_trace.model.tokenizer import load_tokenizer
from cwm_trace.wire.tokens import TraceTokens


class Scorer:
    """Scores texts with a causal language model, in one pass each.

    Args:
        model: Ours or one of transformers', on any device, quantised or not.
    """

    def __init__(self, model: Any) -> None:
        self.model = model.eval()

    @torch.inference_mode()
    def __call__(self, ids: Sequence[int], start: int) -> list[float]:
        """Return the log-probabilities, in nats, of `ids[start:]`, each given all ids before it.

        Raises:
            CwmTraceError: The text is longer than the model takes, or nothing stands before `start`.
        """
        longest = int(self.model.config.max_position_embeddings)
        if not 0 < start < len(ids) <= longest:
            raise CwmTraceError(
                f"cannot score tokens {start} to {len(ids)} of a text: one stands before the first, and the "
                f"model takes {longest}"
            )
        inputs = torch.tensor([ids[:-1]], device=self.model.device)  # (1, T - 1)
        kept = len(ids) - start
        logits = self.model(inputs, use_cache=False, logits_to_keep=kept).logits[0]  # (kept, V)
        wanted = torch.tensor(ids[start:], device=logits.device)[:, None]  # (kept, 1)
        found: list[float] = logits.float().log_softmax(-1).gather(1, wanted)[:, 0].tolist()
        return found


def load_scorer(name: str, *, dtype: str = "auto", as_type: str | None = None) -> tuple[Scorer, TraceTokens]:
    """Load a model to score with, and its tokenizer.

    Args:
        name: A folder of ours, or `hf:FOLDER_OR_ID` for whatever transformers loads.
        dtype: Of the weights.
        as_type: As for `load_model`.

    Raises:
        CwmTraceError: There is no such model, or its tokenizer has no trace tokens.
    """
    where = name.removeprefix("hf:")
    if where == name:
        model: Any = load_model(Path(name), dtype=dtype, as_type=as_type)
    else:
        from transformers import AutoModelForCausalLM

        try:
            model = AutoModelForCausalLM.from_pretrained(where, dtype=dtype)
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise CwmTraceError(f"transformers cannot load {where}: {reason}") from error
    return Scorer(model), TraceTokens.from_tokenizer(load_tokenizer(where))
