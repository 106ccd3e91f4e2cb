"""A deeper model out of a trained one, which computes the same until it is trained on.

Blocks are followed by copies of themselves whose output projections are zero, so that a copy adds nothing to
the residual stream yet (LLaMA Pro: Wu et al. 2024, arxiv.org/abs/2401.02415, section 3.1).
"""

from __future__ import annotations

import copy
import re

import torch

from cwm_trace.model.modeling import CwmForCausalLM

_BLOCK = re.compile(r"(?P<before>.*\.layers\.)(?P<block>\d+)(?P<after>\..*)")
_OUTPUTS = (".self_attn.o_proj.weight", ".mlp.down_proj.weight")


def deepen(model: CwmForCausalLM, layers: int) -> CwmForCausalLM:
    """The model with more blocks, spread evenly; a copy has the layer type of its original.

    Args:
        model: of L blocks.
        layers: blocks afterwards, more than L.

    Returns:
        A new model of the same dtype, with the same logits for any tokens.
    """
    blocks = model.config.num_hidden_layers
    more = layers - blocks
    copies = [(block + 1) * more // blocks - block * more // blocks for block in range(blocks)]
    origins = [(block, at > 0) for block in range(blocks) for at in range(1 + copies[block])]
    config, kinds = copy.deepcopy(model.config), model.config.layer_types
    assert kinds is not None  # a configuration fills them in
    config.num_hidden_layers = layers
    config.layer_types = [kinds[block] for block, _ in origins]
    grown = CwmForCausalLM(config)
    before, weights = model.state_dict(), {}
    for name in grown.state_dict():
        found = _BLOCK.fullmatch(name)
        if found is None:
            weights[name] = before[name].clone()
            continue
        origin, is_copy = origins[int(found["block"])]
        weight = before[f"{found['before']}{origin}{found['after']}"]
        is_output = found["after"] in _OUTPUTS
        weights[name] = torch.zeros_like(weight) if is_copy and is_output else weight.clone()
    grown.load_state_dict(weights, assign=True)
    return grown
