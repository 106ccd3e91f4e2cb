"""How a model is trained: a TOML file, checked before anything is done.

name = "cwm-mini"
seed = 1

[model]                          # what is left out has the defaults below
layers = 6

[data]
mix = { "general-v1" = 80, counters = 1 }     # families and presets of programs, with their weights
# packed = "FOLDER"                           # or what `cwm-trace dataset pack` made

[[phases]]                       # the learning rate goes from the first number to the second, in a line
steps = 100
rate = [0.0, 2.5e-3]
length = 512
rows = 16

[[phases]]
steps = 2000
rate = [2.5e-3, 2.5e-3]

Phases and the mix may be changed while a run is on its way; what makes another model of it is fixed once it
has begun. A run with a time budget (`--minutes`) reads steps as lengths of phases relative to each other.
Warm-up, a long stable phase and a short decay (WSD, Hu et al. 2024, arXiv:2404.06395) are three phases, so
that a run can go on from any stable state.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

import pydantic

from cwm_trace.datasets.dataset_recipe import read_table, validate_table
from cwm_trace.datasets.families import make_item
from cwm_trace.errors import CwmTraceError
from cwm_trace.model.modeling import CwmConfig


class _Part(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Shape(_Part):
    """The model; layer types are CWM's, every fourth one global, with a window no shorter than documents.

    Attributes:
        width: of the hidden states.
        layers: number of them.
        heads: query heads of `head_dim`.
        kv_heads: key and value heads.
        head_dim: 64 trains faster than 32 on CPUs.
        wide: of the MLP.
        window: tokens that a window layer sees: a window shorter than the documents cripples a small model.
        theta: of RoPE.
        max_length: tokens that the model reads at the most.
        vocabulary: ids of the tokenizer that is built.
    """

    width: int = pydantic.Field(default=256, ge=1)
    layers: int = pydantic.Field(default=6, ge=1)
    heads: int = pydantic.Field(default=4, ge=1)
    kv_heads: int = pydantic.Field(default=2, ge=1)
    head_dim: int = pydantic.Field(default=64, ge=2)
    wide: int = pydantic.Field(default=768, ge=1)
    window: int = pydantic.Field(default=4096, ge=1)
    theta: float = pydantic.Field(default=10_000.0, gt=0)
    max_length: int = pydantic.Field(default=4096, ge=16)
    vocabulary: int = pydantic.Field(default=1024, ge=280)

    def config(self, **ids: Any) -> CwmConfig:
        """The model's configuration, with the tokenizer's special ids."""
        return CwmConfig(
            hidden_size=self.width,
            intermediate_size=self.wide,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.kv_heads,
            head_dim=self.head_dim,
            sliding_window=self.window,
            max_position_embeddings=self.max_length,
            rope_parameters={"rope_type": "default", "rope_theta": self.theta},
            **ids,
        )


class Data(_Part):
    """What is trained on.

    Attributes:
        mix: weights of families and presets of generated programs.
        packed: instead of a mix, a folder that `cwm-trace dataset pack` made, which has its tokenizer.
        tokenizer_programs: programs of the mix that the tokenizer is built from.
    """

    mix: dict[str, float] = {"general-v1": 1.0}
    packed: str | None = None
    tokenizer_programs: int = pydantic.Field(default=2000, ge=1)


class Loss(_Part):
    """What a token weighs by its field; the loss is the weighted mean."""

    event: float = pydantic.Field(default=1.0, ge=0)
    locals: float = pydantic.Field(default=1.0, ge=0)
    changed: float = pydantic.Field(default=1.0, ge=0)
    source: float = pydantic.Field(default=1.0, ge=0)
    value: float = pydantic.Field(default=1.0, ge=0)


class Optimizer(_Part):
    """How weights change.

    Attributes:
        kind: `adamw`, or `muon`: that for matrices inside the layers, AdamW for all else.
        betas: of AdamW.
        momentum: of Muon.
        weight_decay: of matrices; norms have none.
        clip: greatest norm of the gradient.
    """

    kind: Literal["adamw", "muon"] = "adamw"
    betas: tuple[float, float] = (0.9, 0.95)
    momentum: float = pydantic.Field(default=0.95, ge=0, lt=1)
    weight_decay: float = pydantic.Field(default=0.1, ge=0)
    clip: float = pydantic.Field(default=1.0, gt=0)


class Phase(_Part):
    """A part of the schedule.

    Attributes:
        steps: of the optimiser.
        rate: learning rate at its begin and at its end.
        length: tokens of a row.
        rows: of a batch.
    """

    steps: int = pydantic.Field(ge=1)
    rate: tuple[float, float]
    length: int = pydantic.Field(default=512, ge=16)
    rows: int = pydantic.Field(default=16, ge=1)


class Average(_Part):
    """The mean of the weights over the last stretch, which is then the model that the run leaves.

    Attributes:
        last: share of the run whose weights are in it.
        decay: of an exponential moving average; 1: none, all weights count the same.
    """

    last: float = pydantic.Field(default=0.1, gt=0, le=1)
    decay: float = pydantic.Field(default=1.0, gt=0, le=1)


class Lora(_Part):
    """Low-rank adapters on frozen weights (Hu et al. 2021, arXiv:2106.09685), for a run that has `--from`.

    Attributes:
        rank: of the matrices that are trained.
        alpha: `alpha / rank` scales them.
        dropout: on what goes into them.
        targets: names of the linear layers that get one, or `all-linear`.
    """

    rank: int = pydantic.Field(default=16, ge=1)
    alpha: int = pydantic.Field(default=32, ge=1)
    dropout: float = pydantic.Field(default=0.0, ge=0, lt=1)
    targets: Literal["all-linear"] | list[str] = "all-linear"


class Held(_Part):
    """Held-out evaluation on the way: other seeds, and the constants of split `dev`.

    Attributes:
        every: steps between two; 0: none.
        mix: what is asked.
        programs: how many.
    """

    every: int = pydantic.Field(default=250, ge=0)
    mix: dict[str, float] = {"general-v1": 1.0}
    programs: int = pydantic.Field(default=64, ge=1)


class Recipe(_Part):
    """A training run.

    Attributes:
        name: of the model.
        seed: of weights and programs.
        precision: `bf16`: autocast; `fp32`.
        save_every: steps between two saved states.
        model: left out, the model is `--from`'s, or the default one.
        lora: left out, all weights are trained.
        average: left out, the run leaves the weights of its last step.
    """

    name: str = "cwm-mini"
    seed: int = pydantic.Field(default=0, ge=0)
    precision: Literal["bf16", "fp32"] = "bf16"
    save_every: int = pydantic.Field(default=100, ge=1)
    model: Shape = Shape()
    data: Data = Data()
    loss: Loss = Loss()
    optimizer: Optimizer = Optimizer()
    lora: Lora | None = None
    average: Average | None = None
    evaluation: Held = Held()
    phases: list[Phase] = pydantic.Field(min_length=1)

    @property
    def has_shape(self) -> bool:
        """Whether it describes the model."""
        return "model" in self.model_fields_set

    @property
    def steps(self) -> int:
        """Of all phases."""
        return sum(phase.steps for phase in self.phases)

    def at(self, place: float) -> tuple[Phase, float]:
        """The phase and the learning rate of a place in the run: a step, from 1, or a part of one."""
        for phase in self.phases:
            if place <= phase.steps:
                first, last = phase.rate
                return phase, first + (last - first) * place / phase.steps
            place -= phase.steps
        raise IndexError(f"step {place} is behind the last phase")

    def fixed(self) -> dict[str, Any]:
        """All that may not change on the way."""
        table = self.model_dump(mode="json", exclude={"phases", "evaluation", "save_every", "average"})
        del table["data"]["mix"]
        return table

    def digest(self) -> str:
        """Sixteen hex digits that are equal for equal recipes."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_recipe(path: str) -> Recipe:
    """The recipe in a TOML file.

    Raises:
        CwmTraceError: the file cannot be read, or is no recipe; one sentence says where.
    """
    return make_recipe(read_table(path), path)


def make_recipe(table: Mapping[str, Any], where: str = "the recipe") -> Recipe:
    """A recipe out of plain data.

    Raises:
        CwmTraceError: it is none; one sentence says where.
    """
    recipe = validate_table(Recipe, table, f"{where} is no training recipe")
    shape = recipe.model
    if shape.heads % shape.kv_heads:
        raise CwmTraceError(f"{where}: {shape.heads} heads cannot share {shape.kv_heads} kv_heads evenly")
    if recipe.has_shape:
        check_lengths(recipe, shape.max_length, where)
    for number, phase in enumerate(recipe.phases, start=1):
        if min(phase.rate) < 0:
            raise CwmTraceError(f"{where}: phase {number} has a negative rate, {min(phase.rate)}")
    if recipe.data.packed is not None and len(recipe.data.model_fields_set) > 1:
        more = " and ".join(sorted(recipe.data.model_fields_set - {"packed"}))
        raise CwmTraceError(f"{where}: data has packed sequences, so leave its {more} out")
    for mix in (recipe.data.mix, recipe.evaluation.mix):
        _check_mix(mix, where)
    return recipe


def check_lengths(recipe: Recipe, longest: int, where: str = "the recipe") -> None:
    """Check that a model which reads `longest` tokens can be trained on all rows.

    Raises:
        CwmTraceError: it cannot.
    """
    for number, phase in enumerate(recipe.phases, start=1):
        if phase.length > longest:
            raise CwmTraceError(
                f"{where}: phase {number} has rows of {phase.length} tokens, and the model reads {longest}"
            )


def _check_mix(mix: Mapping[str, float], where: str) -> None:
    for name, weight in mix.items():
        if weight < 0:
            raise CwmTraceError(f"{where}: the weight of {name} is {weight}: it cannot be negative")
        make_item(name, 0)
    if sum(mix.values()) <= 0:
        raise CwmTraceError(f"{where}: a mix needs a family or preset with a weight above 0")
