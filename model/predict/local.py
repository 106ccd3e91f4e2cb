"""Predictions by our engine on our model: any folder with a CWM checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.cache import KVCache
from cwm_trace.model.decoder import Decoder
from cwm_trace.model.decoding import Sampler
from cwm_trace.model.loading import load_model
from cwm_trace.model.predict.branches import missing_frame
from cwm_trace.model.predict.engine import Chooser, Engine, Rows, Solo, run
from cwm_trace.model.predict.follow import follow_truth
from cwm_trace.model.predict.rollout import Rollout
from cwm_trace.model.predict.session import Options, Session
from cwm_trace.model.predict.vocabulary import Vocabulary
from cwm_trace.model.rows import RowsCache
from cwm_trace.model.tokenizer import load_tokenizer
from cwm_trace.modes import ModeKind
from cwm_trace.predictor import NOTHING, History, Known, Prediction, Request, require_truth
from cwm_trace.records import Decoding, Event, Frame, Outcome, Trace
from cwm_trace.states import diff_states
from cwm_trace.wire.profile import CWM, FormatProfile
from cwm_trace.wire.render import STATEFUL
from cwm_trace.wire.tokens import EVENT_TOKENS, Special, TraceTokens


class LocalPredictor:
    """Predicts with a model in this process.

    Args:
        model: a model of ours or of transformers, whose layers are plain.
        tokens: its tokenizer's mapping.
        name: what reports call it.
        options: how to decode.
        profile: how frames are written.

    Raises:
        CwmTraceError: the model cannot be decoded here (see `Decoder`), has fewer ids than the tokenizer, or
            cannot be sampled from as asked.
    """

    def __init__(
        self,
        model: Any,
        tokens: TraceTokens,
        *,
        name: str = "local",
        options: Options = Options(),
        profile: FormatProfile = CWM,
    ) -> None:
        Sampler(options.temperature, options.top_p, options.seed)  # refuses what makes no sense
        self.name = name
        self.options = options
        self.tokens = self._tokens = tokens
        """How it writes prompts as ids."""
        self._profile = profile
        self._decoder = model if isinstance(model, Decoder) else Decoder(model)
        config = self._decoder.config
        self.length = int(config.max_position_embeddings)
        """Tokens that the model reads at the most."""
        self._vocabulary = Vocabulary(tokens, config.vocab_size) if options.constrained else None
        self._chooser = Chooser(self._vocabulary, self._decoder.device)
        self._kept: tuple[list[int], KVCache] | None = None

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        options: Options = Options(),
        dtype: str = "auto",
        as_type: str | None = None,
    ) -> LocalPredictor:
        """Load a checkpoint folder; `as_type` as for `load_model`.

        Raises:
            CwmTraceError: it is no CWM checkpoint, or its tokenizer has no trace tokens.
        """
        model = load_model(folder, dtype=dtype, as_type=as_type)
        tokens = TraceTokens.from_tokenizer(load_tokenizer(folder))
        return cls(model, tokens, name=Path(folder).name, options=options)

    @property
    def decoding(self) -> Decoding:
        """How it predicts."""
        options = self.options
        return Decoding(
            predictor="local",
            model=self.name,
            constrained=options.constrained,
            temperature=options.temperature,
            top_p=options.top_p,
            seed=options.seed if options.temperature else None,
            dtype=str(self._decoder.dtype).removeprefix("torch."),
            max_new_tokens=options.max_new_tokens,
            max_frame_tokens=options.max_frame_tokens,
            max_text_tokens=options.max_text_tokens,
        )

    def predict(self, request: Request) -> Trace:
        """The history and the predicted frames.

        Raises:
            CwmTraceError: the prompt does not fit the model, or the mode needs the truth and has none.
        """
        session = self._session(request)
        if session.room < 1:
            raise CwmTraceError(self._too_long(session))
        engine = Engine(self._decoder, self._chooser)
        if not _follows(session):
            rollout = session.rollout_from_prompt()
            rollout.start()
            for frame in self._run_solo(engine, session.prompt, rollout):
                if request.on_frame is not None:
                    request.on_frame(frame)
            return self._finish(session, rollout, engine.passes)
        cache = self._prefix(session.prompt)
        done = follow_truth(session, engine, cache)
        self._kept = session.prompt, cache
        return session.finish(
            done.frames,
            done.outcome,
            self.decoding,
            done.problems,
            new_tokens=done.new_tokens,
            free_tokens=done.free_tokens,
            passes=engine.passes,
        )

    def stream(self, request: Request) -> Iterator[Frame]:
        """The predicted frames, each as soon as it is whole; with the truth at hand all at the end."""
        session = self._session(request)
        if session.room < 1:
            raise CwmTraceError(self._too_long(session))
        if _follows(session):
            trace = self.predict(request)
            yield from trace.frames[trace.given :]
            return
        rollout = session.rollout_from_prompt()
        rollout.start()
        engine = Engine(self._decoder, self._chooser)
        yield from self._run_solo(engine, session.prompt, rollout)

    def step(self, history: History, known: Known = NOTHING) -> Prediction | None:
        """The next frame after any history, whose states may have been edited; None if the trace ends.

        Raises:
            CwmTraceError: the history does not fit the model.
        """
        program = replace(history.program, frames=tuple(history.frames))
        session = self._session(Request(program, max_frames=1))
        given = [] if known.event is None else self._given_ids(session, history, known)
        session.room = min(session.room, self.length - len(session.prompt) - len(given))
        if session.room < 1:
            raise CwmTraceError(self._too_long(session))
        rollout = session.rollout_from_prompt()
        rollout.start(given, known.event)
        for _ in self._run_solo(Engine(self._decoder, self._chooser), session.prompt, rollout):
            pass
        if rollout.ended_cleanly:
            return None
        frame = rollout.frames[0] if rollout.frames else missing_frame(rollout)
        return Prediction(frame, history.states.after(frame) if frame.event in STATEFUL else None)

    def predict_all(self, requests: Sequence[Request]) -> Iterator[tuple[int, Trace]]:
        """Predict many, those that follow no truth together.

        A prompt that does not fit gives a truncated prediction with a warning.
        """
        together = []
        for index, request in enumerate(requests):
            session = self._session(request)
            if session.room < 1:
                trace = session.finish((), Outcome.TRUNCATED, self.decoding)
                yield index, replace(trace, warnings=(self._too_long(session),))
            elif _follows(session):
                yield index, self.predict(request)
            else:
                together.append((index, session))
        for at in range(0, len(together), self.options.max_rows):
            yield from self._predict_together(together[at : at + self.options.max_rows])

    def _predict_together(self, sessions: Sequence[tuple[int, Session]]) -> Iterator[tuple[int, Trace]]:
        decoder = self._decoder
        engine = Engine(decoder, self._chooser)
        cache = RowsCache(decoder.config, len(sessions), dtype=decoder.dtype, device=decoder.device)
        rows = Rows(decoder, cache)
        running = []
        for index, session in sessions:
            rollout = session.rollout_from_prompt()
            rollout.start()
            rollout.pending[:0] = session.prompt
            running.append((index, session, rollout))
        while True:
            for index, session, rollout in running:
                if rollout.is_done:
                    yield index, self._finish(session, rollout, engine.passes)
            going = [row for row, (_, _, rollout) in enumerate(running) if not rollout.is_done]
            if not going:
                return
            if len(going) < len(running):
                cache.keep(going)
                running = [running[row] for row in going]
            engine.step(rows, [rollout for _, _, rollout in running])

    def _session(self, request: Request) -> Session:
        session = Session(
            request,
            self.options,
            self.length,
            self._tokens,
            self._vocabulary,
            self._profile,
            self._decoder.device,
        )
        if session.mode.needs_truth:
            require_truth(request, f"mode '{session.mode}'")
        return session

    def _finish(self, session: Session, rollout: Rollout, passes: int) -> Trace:
        given = len(session.request.history.frames)
        return session.finish(
            rollout.frames,
            rollout.outcome or Outcome.INCOMPLETE,
            self.decoding,
            (replace(problem, frame=problem.frame + given) for problem in rollout.problems),
            new_tokens=rollout.new_tokens,
            free_tokens=rollout.free_tokens,
            passes=passes,
        )

    def _too_long(self, session: Session) -> str:
        count = len(session.prompt)
        if count < self.length:
            return f"a prompt of {count} tokens leaves no room to predict any: raise max_new_tokens"
        return f"the prompt has {count} tokens and {self.name} reads {self.length} at the most"

    def _given_ids(self, session: Session, history: History, known: Known) -> list[int]:
        assert known.event is not None
        if known.state is None:
            return [self._tokens.ids[EVENT_TOKENS[known.event]]]
        is_call = known.event is Event.CALL
        activation = len(history.states) if is_call else history.stack[-1].activation
        changed = diff_states(history.states.state(activation), known.state)
        pieces = session.reader().push(Frame(known.event, 0, "", activation, changed=changed))
        return self._tokens.encode_pieces(pieces[: pieces.index(Special.ACTION) + 1])

    def _run_solo(self, engine: Engine, prompt: list[int], rollout: Rollout) -> Iterator[Frame]:
        """Continue a prompt, of which the cache may know a beginning; yields the frames."""
        cache = self._prefix(prompt)
        rollout.pending[:0] = prompt[cache.length :]
        for _, frame in run(engine, Solo(self._decoder, cache), [rollout]):
            yield frame
        self._kept = prompt, cache  # not before: others may predict while a stream waits

    def _prefix(self, prompt: Sequence[int]) -> KVCache:
        """A cache of what this prompt has in common with the last one, without its own last token."""
        if self._kept is None:
            return self._decoder.cache(rings=False)
        ids, cache = self._kept
        self._kept = None
        shared = 0
        for a, b in zip(ids, prompt[:-1], strict=False):
            if a != b:
                break
            shared += 1
        cache.rollback(cache.length - min(shared, cache.length))
        return cache


def _follows(session: Session) -> bool:
    """Whether there is a true trace to follow."""
    request = session.request
    if session.mode.kind is not ModeKind.FREE:
        return session.mode.needs_truth
    return request.truth is not None and len(request.truth.frames) > len(request.history.frames)
