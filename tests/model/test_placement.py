"""What each of several cards takes, against sums that are counted otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace.cli.model import model
from cwm_trace.errors import CwmTraceError
from cwm_trace.model.info import count_cache_bytes, count_parameters, count_weight_bytes
from cwm_trace.model.placement import DTYPES, place_model
from cwm_trace.model.shape import CwmShape, read_shape

CWM = read_shape({"model_type": "cwm"}, "CWM-32B")


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_card_holds_all(dtype: str) -> None:
    placed = place_model(CWM, 1, dtype, 1000)
    assert placed.weights == count_weight_bytes(CWM)[dtype]
    assert placed.rings == count_cache_bytes(CWM, 1000, 1, rings=True)
    assert placed.full == count_cache_bytes(CWM, 1000, 1, rings=False)


@pytest.mark.parametrize("gpus", [2, 4, 8])
def test_cards_together_hold_the_model_and_the_norms_once_more_each(gpus: int) -> None:
    norms = sum(size[0] for name, size in CWM.tensor_shapes().items() if "norm" in name)
    placed = place_model(CWM, gpus, "bf16", 131_072)
    assert gpus * placed.weights == 2 * (count_parameters(CWM)["total"] + (gpus - 1) * norms)
    assert gpus * placed.rings == count_cache_bytes(CWM, 131_072, 1, rings=True)


def test_more_cards_than_key_heads_hold_the_same_ones() -> None:
    eight, sixteen = (place_model(CWM, gpus, "bf16", 131_072) for gpus in (8, 16))
    assert sixteen.rings == eight.rings
    assert eight.weights / 2 < sixteen.weights < eight.weights


@pytest.mark.parametrize("gpus", [3, 5, 64])
def test_cards_that_cannot_share_are_one_sentence(gpus: int) -> None:
    with pytest.raises(CwmTraceError, match=f"^{gpus} cards cannot share"):
        place_model(CWM, gpus, "bf16", 1000)


@given(
    gpus=st.sampled_from([1, 2, 4]),
    dtype=st.sampled_from(DTYPES),
    context=st.integers(1, 4096),
    size=st.integers(1, 200),
)
def test_what_fits_fits_and_one_more_does_not(gpus: int, dtype: str, context: int, size: int) -> None:
    placed = place_model(CWM, gpus, dtype, context)
    for rings in (True, False):
        count = placed.sequences(size, rings=rings)
        room = 0.9 * size * 2**30 - placed.weights
        each = placed.rings if rings else placed.full
        assert (count is None) == (room < 0)
        if count is not None:
            assert count * each <= room < (count + 1) * each


def test_the_command_prints_it_and_gives_it_as_json() -> None:
    asked = ["info", "facebook/cwm", "--gpus", "2", "--dtype", "fp8"]
    text = CliRunner().invoke(model, asked).output
    assert "on each of 2 cards, tensor parallel: 17.1 GB of weights in fp8" in text
    numbers = json.loads(CliRunner().invoke(model, [*asked, "--context", "8192", "--json"]).output)[
        "placement"
    ]
    placed = place_model(CWM, 2, "fp8", 8192)
    assert numbers["weight_bytes"] == placed.weights
    assert numbers["sequences"]["A100, H100 80 GB"]["rings"] == placed.sequences(80)


def test_a_folder_is_placed_too(tmp_path: Path) -> None:
    shape: CwmShape = CWM.model_copy(update={"num_hidden_layers": 4, "layer_types": CWM.layer_types[:4]})
    (tmp_path / "config.json").write_text(json.dumps(shape.model_dump(mode="json")))
    result = CliRunner().invoke(model, ["info", str(tmp_path), "--gpus", "8"])
    assert "on each of 8 cards" in result.output
