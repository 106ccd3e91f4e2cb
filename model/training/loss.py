"""The loss: mean cross entropy, each token weighed by the field of a frame that it belongs to."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from cwm_trace.datasets.tokenizing import LEARNT, TokenField
from cwm_trace.model.training.document_rows import Batch
from cwm_trace.model.training.processes import ALONE, Processes
from cwm_trace.model.training.recipe import Loss


def field_weights(loss: Loss) -> Tensor:
    """What a token weighs, by its mark in `Batch.fields`."""
    return torch.tensor(
        [getattr(loss, field.name.lower()) if field in LEARNT else 0.0 for field in TokenField]
    )


def weighted_loss(
    logits: Tensor, batch: Batch, weights: Tensor, processes: Processes = ALONE
) -> tuple[Tensor, dict[str, float]]:
    """The mean cross entropy (nats) over a batch, each token weighed by its field.

    A row's tokens are predicted from those before; the first of a document is part of a prompt, so nothing
    is predicted from another document.

    Args:
        logits: `(B, T, V)`.
        batch: what was read.
        weights: by mark.
        processes: whose rows are one batch.

    Returns:
        This process's part of the loss: the parts of all add up to the mean. And the unweighted mean by
        field, of all.
    """
    true, marks = batch.ids[:, 1:].flatten(), batch.fields[:, 1:].flatten().long()
    nats = functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), true, reduction="none")
    weight = weights[marks]
    loss = (nats * weight).sum() / processes.sum(weight.sum()).clamp(min=1e-9)
    counts = processes.sum(torch.bincount(marks, minlength=len(weights)))
    sums = processes.sum(torch.bincount(marks, weights=nats.detach(), minlength=len(weights)))
    means = (sums / counts).tolist()
    return loss, {field.name.lower(): round(means[field], 5) for field in LEARNT if counts[field]}
