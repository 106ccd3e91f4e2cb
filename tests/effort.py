"""How much a run of the tests tries, in one place.

| profile | run by           | examples of a property | marks that it runs beside  |
|---------|------------------|------------------------|----------------------------|
| `dev`   | `make test`      | 20                     | all tests without any      |
| `ci`    | `make test-ci`   | 100                    | `ci`, and every property   |
| `slow`  | `make test-slow` | 1,000                  | `slow`, and every property |

`dev` has a case of every kind, `ci` and `slow` have more cases of these kinds. `.ci/run` runs the
first two.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from _pytest.mark import ParameterSet
from hypothesis import HealthCheck, Phase, settings

EXAMPLES = {"dev": 20, "ci": 100, "slow": 1000}
HANGS = 1800
"""Seconds after which a process counts as stuck, however busy the machine is."""


def register_profiles() -> None:
    """Make the profiles known to Hypothesis, and take `dev` unless `--hypothesis-profile` names another.

    There is no deadline, since machines are shared, and no phase `explain`, which on Python 3.11 sets a trace
    function of its own. `slow` draws new examples every time, the others the same ones, so that a
    change is judged by what it changes.
    """
    for name, count in EXAMPLES.items():
        settings.register_profile(
            name,
            max_examples=count,
            deadline=None,
            derandomize=name != "slow",
            suppress_health_check=[HealthCheck.too_slow],
            phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.target, Phase.shrink],
        )
    settings.load_profile("dev")


def examples(share: float, **more: Any) -> settings:
    """Settings of a property whose examples cost more than others', or less: a share of the profile's."""
    profile = settings.default
    assert profile is not None
    return settings(max_examples=max(2, round(share * profile.max_examples)), **more)


def rest_in_ci(values: Iterable[Any], keep: int = 1) -> list[ParameterSet]:
    """Return parameters of which `make test` runs the first `keep`, and `make test-ci` the rest.

    Args:
        values: For `pytest.mark.parametrize`; a tuple has the values of several names.
        keep: How many of them have no mark.
    """
    rows = [value if isinstance(value, tuple) else (value,) for value in values]
    return [pytest.param(*row, marks=() if at < keep else pytest.mark.ci) for at, row in enumerate(rows)]
