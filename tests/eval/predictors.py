"""Predictors for tests of the benchmark: noisy ones that act like models, and ones that break down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from cwm_trace.errors import CwmTraceError
from cwm_trace.predict.baselines import OraclePredictor
from cwm_trace.predict.protocol import Request
from cwm_trace.records import Cost, Decoding, Event, Outcome, Problem, Slot, Trace


class NoisyPredictor:
    """The truth with some values wrong, always the same ones: it stands for a model.

    Args:
        every: one value of so many is wrong.
        name: what it is called.
        decoding: who it says that it is.
    """

    def __init__(self, every: int = 7, name: str = "noisy", decoding: Decoding | None = None) -> None:
        self.name = name
        self.every = every
        self.asked = 0
        self._decoding = decoding

    @property
    def decoding(self) -> Decoding:
        return self._decoding or Decoding(self.name, model=f"test/{self.name}", dtype="float32")

    def predict(self, request: Request) -> Trace:
        self.asked += 1
        replay = OraclePredictor().predict(request)
        frames = list(replay.frames)
        for index in range(replay.guess.given, len(frames)):
            frame = frames[index]
            if (len(frame.source) + index) % self.every:
                frames[index] = replace(frame, logprobs={"event": (-0.1,), "locals": (-0.2, -0.1)})
            elif frame.event is Event.RETURN:
                frames[index] = replace(frame, value=Slot("wrong"), logprobs={"value": (-1.0,)})
            else:
                frames[index] = replace(
                    frame, changed={**frame.changed, "wrong": Slot("1")}, logprobs={"locals": (-2.0,)}
                )
        cost = Cost(prompt_tokens=10, new_tokens=5 * len(frames), forward_passes=3, seconds=0.01)
        return replace(
            replay, frames=tuple(frames), guess=replace(replay.guess, decoding=self.decoding, cost=cost)
        )


class BatchedPredictor(NoisyPredictor):
    """The same, a batch at a time, the last one first."""

    def __init__(self, every: int = 7, name: str = "noisy") -> None:
        super().__init__(every, name)
        self.sizes: list[int] = []

    def predict_all(self, requests: Sequence[Request]) -> Iterator[tuple[int, Trace]]:
        self.sizes.append(len(requests))
        for index in reversed(range(len(requests))):
            yield index, self.predict(requests[index])


class DyingPredictor(NoisyPredictor):
    """Goes away after some answers, as a server does."""

    def __init__(self, answers: int) -> None:
        super().__init__()
        self.answers = answers

    def predict(self, request: Request) -> Trace:
        if self.asked == self.answers:
            raise CwmTraceError("the server at http://localhost:1 does not answer")
        return super().predict(request)


class EndingPredictor(NoisyPredictor):
    """Predictions that end in every way there is, by turns."""

    def predict(self, request: Request) -> Trace:
        predicted = super().predict(request)
        match self.asked % 5:
            case 0:
                return replace(predicted, outcome=Outcome.TIMED_OUT, frames=predicted.frames[:2])
            case 1:
                return replace(predicted, outcome=Outcome.TRUNCATED, frames=predicted.frames[:2])
            case 2:
                problem = Problem("tokens", 1, 0, "a frame that does not start with an event")
                return replace(
                    predicted,
                    frames=predicted.frames[:1],
                    guess=replace(predicted.guess, problems=(problem,)),
                )
            case 3:
                return replace(predicted, outcome=Outcome.INCOMPLETE)
            case _:
                return predicted
