"""Which field of a frame each of its tokens belongs to."""

from __future__ import annotations

from collections.abc import Sequence

from cwm_trace.wire.tokens import Special, TraceTokens

FIELDS = ("event", "locals", "source", "value")


def token_fields(ids: Sequence[int], tokens: TraceTokens) -> list[str]:
    """The field of each id of one frame, whatever the ids are.

    A separator belongs to the field that it ends, so that the log-probabilities of all fields add up to the
    frame's. A RETURN has no locals: its `<|action_sep|>` belongs to the event.
    """
    action, arg = tokens.ids[Special.ACTION], tokens.ids[Special.ARG]
    stateless = {tokens.ids[Special.RETURN], tokens.ids[Special.EXCEPTION]}
    fields = []
    at = 0
    for position, number in enumerate(ids):
        fields.append(FIELDS[at])
        if position == 0:
            at = 0 if number in stateless else 1
        elif number == action and at < 2:
            at = 2
        elif number == arg and at == 2:
            at = 3
    return fields


def field_logprobs(
    ids: Sequence[int], logprobs: Sequence[float | None], tokens: TraceTokens
) -> dict[str, tuple[float, ...]]:
    """Log-probabilities by field; tokens without one, which were given, are left out."""
    found: dict[str, list[float]] = {}
    for field, logprob in zip(token_fields(ids, tokens), logprobs, strict=True):
        if logprob is not None:
            found.setdefault(field, []).append(logprob)
    return {field: tuple(found[field]) for field in FIELDS if field in found}
