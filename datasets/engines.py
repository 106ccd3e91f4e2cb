"""Who does the work: processes of this machine, or a Ray cluster. Both give the same, in any order."""

from __future__ import annotations

import concurrent.futures
import gc
import itertools
import logging
import multiprocessing
import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from cwm_trace.datasets.similarity import Benchmark
from cwm_trace.datasets.units import MadeUnit, Unit, make_unit
from cwm_trace.errors import CwmTraceError

_HASH_SEED = "0"
"""Of the workers: the order of a set of strings must not depend on the process."""

_AHEAD = 3
"""Tasks that are handed out for each worker, so that none waits and few are lost."""

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")

_sources: tuple[str, ...] = ()
_threshold = 1.0
_benchmark: Benchmark | None = None


class Workers:
    """Processes of their own, which live as long as there is work.

    Args:
        pool: of processes.
        count: how many they are.
    """

    def __init__(self, pool: concurrent.futures.ProcessPoolExecutor, count: int) -> None:
        self._pool = pool
        self._most = count * _AHEAD

    def make(self, units: Iterable[Unit]) -> Iterator[MadeUnit]:
        """Make units, in any order."""
        return self.run(_make, units)

    def run(self, work: Callable[[_Task], _Result], tasks: Iterable[_Task]) -> Iterator[_Result]:
        """Do all tasks; results come in any order, and none waits for another."""
        waiting = iter(tasks)
        running = {self._pool.submit(work, task) for task in itertools.islice(waiting, self._most)}
        try:
            while running:
                done, running = concurrent.futures.wait(
                    running, return_when=concurrent.futures.FIRST_COMPLETED
                )
                while done:
                    yield done.pop().result()
                running |= {
                    self._pool.submit(work, task)
                    for task in itertools.islice(waiting, self._most - len(running))
                }
        finally:
            for future in running:
                future.cancel()


@contextmanager
def local_workers(count: int, against: Sequence[str] = (), threshold: float = 1.0) -> Iterator[Workers]:
    """Workers of this machine.

    Args:
        count: how many.
        against: programs of benchmarks, none of which must be in a unit.
        threshold: from which similarity on a program counts as one of them.

    Raises:
        CwmTraceError: a worker died.
    """
    with (
        _hash_seed(),
        concurrent.futures.ProcessPoolExecutor(
            count, multiprocessing.get_context("spawn"), _set_up, (tuple(against), threshold)
        ) as pool,
    ):
        try:
            yield Workers(pool, count)
        except concurrent.futures.process.BrokenProcessPool:
            raise CwmTraceError(
                "a worker died (a program may have crashed Python): run the same command again, with"
                " sandbox = true for sources that are not trusted"
            ) from None


def make_on_ray(
    units: Iterable[Unit], against: Sequence[str] = (), threshold: float = 1.0, address: str | None = None
) -> Iterator[MadeUnit]:
    """Make units on a Ray cluster, through Ray Data; results stream back to this process, which alone writes.

    Args:
        units: what to make.
        against: as for `local_workers`.
        threshold: as for `local_workers`.
        address: of the cluster; None: the one that this process is connected to, or `RAY_ADDRESS`, or a new
            one here.

    Raises:
        CwmTraceError: Ray is missing, or a task failed.
    """
    try:
        import ray
    except ImportError:
        raise CwmTraceError("--engine ray needs Ray: pip install 'cwm-trace[ray]'") from None
    environment = {"env_vars": {"PYTHONHASHSEED": _HASH_SEED}}
    if not ray.is_initialized():
        ray.init(address=address, runtime_env=environment, log_to_driver=False, logging_level=logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    rows = [{"unit": pickle.dumps(unit)} for unit in units]
    if not rows:
        return
    settings = tuple(against), threshold

    def make(row: dict[str, Any]) -> dict[str, Any]:
        if (_sources, _threshold) != settings:
            _set_up(*settings)
        return {"made": pickle.dumps(_make(pickle.loads(row["unit"])))}

    made = ray.data.from_items(rows, override_num_blocks=len(rows)).map(make, runtime_env=environment)
    try:
        for row in made.iter_rows():
            yield pickle.loads(row["made"])
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[-1]
        raise CwmTraceError(f"a Ray task failed ({reason}): run the same command again to go on") from error


def _set_up(sources: tuple[str, ...], threshold: float) -> None:
    """In a worker: what all its units need."""
    global _sources, _threshold, _benchmark
    _sources, _threshold = sources, threshold
    _benchmark = Benchmark(sources, threshold) if sources else None
    gc.freeze()  # what stays until the end is not looked at again and again


def _make(unit: Unit) -> MadeUnit:
    return make_unit(unit, _benchmark)


@contextmanager
def _hash_seed() -> Iterator[None]:
    before = os.environ.get("PYTHONHASHSEED")
    os.environ["PYTHONHASHSEED"] = _HASH_SEED
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONHASHSEED"]
        else:
            os.environ["PYTHONHASHSEED"] = before
