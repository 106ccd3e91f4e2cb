"""Many predictions side by side, each of which asks a server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed

from cwm_trace.model.predict.backends.completions import Client
from cwm_trace.model.predict.backends.predictor import IdPredictor
from cwm_trace.predictor import Request
from cwm_trace.records import Trace


def predict_side_by_side(
    predictor: IdPredictor, requests: Sequence[Request], concurrency: int, client: Client
) -> Iterator[tuple[int, Trace]]:
    """The index of each request with its prediction, as they are done.

    The first error ends all of them; so does a caller who wants no more.
    """
    pool = ThreadPoolExecutor(max(1, concurrency), "cwm-trace-predict")
    futures: dict[Future[Trace], int] = {}
    try:
        for index, request in enumerate(requests):
            futures[pool.submit(predictor.predict_if_it_fits, request)] = index
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        client.stop()
