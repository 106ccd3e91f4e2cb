"""`format probe`: the reading that a model has learned is the one that is found."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pytest

from cwm_trace.eval.format.reading_programs import TEMPLATES, record_programs
from cwm_trace.eval.format.readings import MARGIN, ORDER, branch_trace, judge_field, probe_format
from cwm_trace.wire.profile import CWM, KTH, FormatProfile, readings_of
from cwm_trace.wire.render import render_trace
from cwm_trace.wire.tokens import Piece, Special, TraceTokens
from tests.effort import rest_in_ci

TOKENS = TraceTokens.of_bytes()
OTHER = FormatProfile(
    name="other",
    exception_value="type",
    unwinding_return="dropped",
    addresses="kept",
    str_iterator="str_iterator",
    diff_reset="never",
    module_code="module",
)


class Counting:
    """The smallest model there is: how often each id followed the last 48, 24, … ids in what it has read."""

    ORDERS = (48, 24, 12, 6, 3, 1)

    def __init__(self, texts: Sequence[Sequence[int]]) -> None:
        self.seen: dict[tuple[int, ...], Counter[int]] = {}
        for text in texts:
            for at in range(1, len(text)):
                for order in self.ORDERS:
                    self.seen.setdefault(tuple(text[max(0, at - order) : at]), Counter())[text[at]] += 1

    def __call__(self, ids: Sequence[int], start: int) -> list[float]:
        return [self.logprob(ids, at) for at in range(start, len(ids))]

    def logprob(self, ids: Sequence[int], at: int) -> float:
        for order in self.ORDERS:
            seen = self.seen.get(tuple(ids[max(0, at - order) : at]))
            if seen is not None:
                return math.log((seen[ids[at]] + 1e-4) / (seen.total() + 266e-4))
        return -math.log(266)


@cache
def learned(profile: FormatProfile) -> Counting:
    """A model that has read the programs in this profile."""
    traces = [trace for field in ORDER for trace in record_programs(field)]
    return Counting([render_trace(trace, profile=profile, tokens=TOKENS) for trace in traces])


def test_every_field_has_programs_and_a_place_in_the_order() -> None:
    fields = {field for field in FormatProfile.__dataclass_fields__ if readings_of(field)}
    assert set(ORDER) == set(TEMPLATES) == fields
    for field in ORDER:
        assert len({trace.files[0].text for trace in record_programs(field)}) == 12


@pytest.mark.parametrize("field", ORDER)
def test_branches_are_judged_where_they_part_and_nowhere_else(field: str) -> None:
    for trace in record_programs(field):
        branches = branch_trace(trace, field, TOKENS, CWM)
        assert len(branches) > 1
        readings = [value for branch in branches for value in branch.readings]
        assert sorted(readings) == sorted(readings_of(field) or ())
        for branch in branches if field != "module_code" else ():
            others = [other.ids for other in branches if other is not branch]
            assert branch.judged[-1] == len(branch.ids) - 1
            for at in range(len(branch.ids)):
                ways = {other[at] for other in others if other[:at] == branch.ids[:at]} - {branch.ids[at]}
                assert bool(ways) == (at in branch.judged)


def test_a_script_is_judged_by_the_same_tokens_after_either_context() -> None:
    for trace in record_programs("module_code"):
        main, module = branch_trace(trace, "module_code", TOKENS, CWM)
        assert main.readings == ("main",)
        line = [main.ids[at] for at in main.judged]
        assert line == [module.ids[at] for at in module.judged]
        source = trace.files[0].text.partition("\n")[0]
        pieces: list[Piece] = [Special.LINE, "{}", Special.ACTION, f"{source}\n", Special.FRAME]
        assert line == TOKENS.encode_pieces(pieces)
        assert main.ids[main.judged[0] - 1] == TOKENS.ids[Special.FRAME]


def test_how_well_a_model_spells_is_not_judged() -> None:
    """Names it has not met cost a model dear, in every reading that writes them."""
    known, letters = learned(CWM), set(TOKENS.encode("abcdefghijklmnopqrstuvwxyz"))

    def poor(ids: Sequence[int], start: int) -> list[float]:
        return [known.logprob(ids, at) - 5 * (ids[at] in letters) for at in range(start, len(ids))]

    finding = judge_field("exception_value", record_programs("exception_value"), poor, TOKENS, CWM)
    assert finding.settled
    assert finding.readings[0].readings == ("repr",)


@pytest.mark.parametrize("profile", [CWM, OTHER], ids=lambda profile: profile.name)
def test_a_model_that_has_read_one_profile_finds_it(profile: FormatProfile) -> None:
    found, findings = probe_format(learned(profile), TOKENS)
    assert replace(found, name=profile.name) == profile
    assert [finding.field for finding in findings] == list(ORDER)
    assert all(finding.settled for finding in findings)


@pytest.mark.parametrize(
    ("field", "value"), rest_in_ci([(field, value) for field in ORDER for value in readings_of(field) or ()])
)
def test_every_reading_of_every_field_is_found(field: str, value: str) -> None:
    profile = replace(CWM, **{field: value})  # type: ignore[arg-type]
    finding = judge_field(field, record_programs(field), learned(profile), TOKENS, CWM)
    assert finding.settled
    assert value in finding.readings[0].readings
    assert finding.chosen == value or {finding.chosen, value} <= set(finding.readings[0].readings)


@pytest.mark.parametrize("nats", [0.1, 1.0, 7.0])
def test_a_model_that_knows_nothing_settles_nothing(nats: float) -> None:
    found, findings = probe_format(lambda ids, start: [-nats] * (len(ids) - start), TOKENS, base=OTHER)
    assert replace(found, name="other") == OTHER
    assert not any(finding.settled for finding in findings)


def test_a_small_lead_that_every_program_shows_settles_nothing() -> None:
    """Half of what it read is in either reading, but for a little more in one."""
    traces = record_programs("diff_reset")
    texts = [
        render_trace(trace, profile=profile, tokens=TOKENS) for trace in traces for profile in (CWM, KTH)
    ]
    finding = judge_field("diff_reset", traces, Counting(texts + texts[::2]), TOKENS, CWM)
    assert finding.readings[0].readings == ("activation",)
    assert 0 < finding.readings[1].low < MARGIN
    assert not finding.settled


def test_intervals_hold_the_lead() -> None:
    finding = judge_field("diff_reset", record_programs("diff_reset"), learned(CWM), TOKENS, CWM)
    first, second = finding.readings
    assert (first.behind, first.low, first.high) == (0, 0, 0)
    assert 0 < second.low <= second.behind <= second.high
    assert second.behind == pytest.approx(first.logprob - second.logprob)
