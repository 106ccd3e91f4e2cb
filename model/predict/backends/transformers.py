"""Any causal language model of transformers whose tokenizer has the trace tokens.

Quantised checkpoints, PEFT adapters, other architectures: what `from_pretrained` loads. Tokens come from
`model.generate`. Prompts of one prediction mostly begin alike: the cache of the last prompt is kept, and a
prompt that goes on from it is not read again. For CWM itself our own engine is faster.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.fingerprint import fingerprint_model
from cwm_trace.model.predict.backends.asking import asking_setup
from cwm_trace.model.predict.backends.continuer import Ask, Continuation, Verdict
from cwm_trace.model.predict.predictor import ModelPredictor
from cwm_trace.model.tokenizer import check_trace_tokens, load_tokenizer
from cwm_trace.records import Decoding
from cwm_trace.wire.profile import CWM, FormatProfile
from cwm_trace.wire.tokens import TraceTokens

CHUNK = 512
"""Tokens of a prompt in one pass."""


class TransformersPredictor(ModelPredictor):
    """Predicts with a model of transformers.

    Args:
        model: a folder or hub id, or a loaded model; a folder of a PEFT adapter is one too.
        tokenizer: for a loaded model, its tokenizer; a folder or hub id otherwise, that of the model if None.
        decoding: how it is to decode; it has no grammar.
        profile: how frames are written.
        options: for `from_pretrained`: `device_map`, `quantization_config`, …

    Raises:
        CwmTraceError: there is no such model, its tokenizer lacks the trace tokens, or a grammar is asked
            for.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any = None,
        *,
        decoding: Decoding = Decoding(),
        profile: FormatProfile = CWM,
        **options: Any,
    ) -> None:
        name = str(model) if isinstance(model, str | Path) else _model_name(model)
        if decoding.constrained:
            raise CwmTraceError(f"hf:{name} cannot be constrained by a grammar: leave the option out")
        if tokenizer is None or isinstance(tokenizer, str | Path):
            tokenizer = load_tokenizer(tokenizer or name)
        else:
            check_trace_tokens(tokenizer, name)
        if isinstance(model, str | Path):
            model = load_causal_model(
                name, {**({"dtype": decoding.dtype} if decoding.dtype else {}), **options}
            )
        tokens = TraceTokens.from_tokenizer(tokenizer)
        decoding = replace(
            decoding,
            predictor="transformers",
            model=name,
            fingerprint=fingerprint_model(model),
            grammar="none",
            dtype=str(model.dtype).removeprefix("torch."),
            profile=profile.name,
            profile_hash=profile.hash,
        )
        continuer = TransformersContinuer(model, decoding)
        super().__init__(asking_setup(name, continuer, tokens, decoding, profile))


def load_causal_model(name: str, options: dict[str, Any]) -> Any:
    """Load a folder or hub id.

    Raises:
        CwmTraceError: there is no such model, or it cannot be loaded.
    """
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(name, **{"dtype": "auto", **options})
    except Exception as error:  # of transformers, the hub, safetensors, a quantiser, PEFT, ...
        reason = next(iter(str(error).strip().splitlines()), "").rstrip(". ")
        raise CwmTraceError(f"cannot load {name}: {type(error).__name__}: {reason}") from error
    return model.eval()


def _model_name(model: Any) -> str:
    """What a loaded model is called."""
    return str(getattr(model.config, "name_or_path", "")) or type(model).__name__


class TransformersContinuer:
    """Continues ids with `model.generate`, one text after the other.

    Args:
        model: a causal language model.
        decoding: temperature, top-p and length, which is `max_position_embeddings` if it says none; seeds
            come with each text.
    """

    can_judge = True

    def __init__(self, model: Any, decoding: Decoding = Decoding()) -> None:
        self._model, self._decoding = model, decoding
        longest = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        self.length: int | None = longest if decoding.max_length is None else decoding.max_length
        self.attention = str(getattr(model.config, "_attn_implementation", None) or "")
        self._trunk: tuple[list[int], Any] = ([], None)

    @torch.inference_mode()
    def continue_all(self, asks: Sequence[Ask], *, logprobs: bool = False) -> list[Continuation]:
        """Continue each text."""
        found = []
        for ask, following in itertools.zip_longest(asks, asks[1:]):
            known = ask.ids[:-1]
            keep = following is not None and following.ids[: len(known)] == known
            try:
                found.append(self._continue(ask, logprobs, keep=keep))
            except RuntimeError as error:  # out of memory, as a rule
                raise _failure("generate", error) from error
        return found

    @torch.inference_mode()
    def judge(self, ids: Sequence[int], start: int) -> list[Verdict]:
        """Judge the tokens of `ids` from `start` on, each after those before it."""
        ids = list(ids[: self.length])
        verdicts: list[Verdict] = []
        try:
            for at, logits in self._passes(ids[:-1]):
                targets = torch.tensor(ids[at + 1 : at + 1 + len(logits)], device=logits.device)
                agrees = (logits.argmax(-1) == targets).tolist()
                chosen = logits.log_softmax(-1).gather(1, targets[:, None])[:, 0].tolist()
                verdicts += map(Verdict, agrees, chosen)
        except RuntimeError as error:
            raise _failure("score a draft", error) from error
        return verdicts[start - 1 :]

    def _continue(self, ask: Ask, logprobs: bool, *, keep: bool) -> Continuation:
        passes = self._read(ask.ids[:-1])
        cache = self._trunk[1]
        if keep:
            cache = copy.deepcopy(cache)
        else:
            self._trunk = ([], None)  # `generate` writes into the cache
        with torch.random.fork_rng(devices=self._devices(), enabled=ask.seed is not None):
            if ask.seed is not None:
                torch.manual_seed(ask.seed)
            answer = self._model.generate(
                torch.tensor([ask.ids], device=self._model.device),
                generation_config=self._config(ask, logprobs),
                past_key_values=cache,
            )
        new = answer.sequences[0, len(ask.ids) :].tolist()
        if not keep and cache is not None:
            self._trunk = ([*ask.ids, *new[:-1]], answer.past_key_values)
        rows = torch.cat(answer.logits).float().log_softmax(-1) if logprobs else None  # (tokens, vocab)
        chosen = None if rows is None else tuple(rows[range(len(new)), new].tolist())
        return Continuation(tuple(new), chosen, passes + len(new))

    def _read(self, ids: list[int]) -> int:
        """Make the cache one of `ids`; returns how many passes that took."""
        known, cache = self._trunk
        if len(known) > len(ids) or ids[: len(known)] != known:
            known, cache = [], None
        self._trunk = ([], None)
        passes = 0
        for at in range(len(known), len(ids), CHUNK):
            cache = self._forward(ids[at : at + CHUNK], cache)[1]
            passes += 1
            if cache is None:  # a model without one of this kind reads everything in `generate`
                return passes
        self._trunk = (ids, cache)
        return passes

    def _passes(self, ids: list[int]) -> Iterator[tuple[int, torch.Tensor]]:
        """Logits `(tokens, vocab)` after every token of `ids`, in parts, each with its position."""
        at, cache = 0, None
        while at < len(ids):
            part = ids[at : at + CHUNK]
            logits, cache = self._forward(part, cache)
            if cache is None:  # a model without one of this kind: everything in one pass
                at, part = 0, ids
                logits, _ = self._forward(ids, None)
            yield at, logits
            at += len(part)

    def _forward(self, ids: list[int], cache: Any) -> tuple[torch.Tensor, Any]:
        """Logits `(tokens, vocab)` after each of `ids`, and the cache; `(…, None)` without one."""
        output = self._model(
            torch.tensor([ids], device=self._model.device),
            past_key_values=cache,
            use_cache=True,
        )
        return output.logits[0].float(), getattr(output, "past_key_values", None)

    def _config(self, ask: Ask, logprobs: bool) -> Any:
        """Nothing of the model's own `generation_config.json`: neither its penalties nor its stop tokens."""
        drawn: dict[str, Any] = {}
        if ask.seed is not None:
            drawn = {"temperature": self._decoding.temperature, "top_p": self._decoding.top_p, "top_k": 0}
        config: Any = GenerationConfig
        return config(
            max_new_tokens=ask.max_new_tokens,
            eos_token_id=sorted(ask.stop_ids),
            pad_token_id=min(ask.stop_ids),
            do_sample=ask.seed is not None,
            num_beams=1,
            repetition_penalty=1.0,
            no_repeat_ngram_size=0,
            use_cache=True,
            return_dict_in_generate=True,
            output_logits=logprobs,
            **drawn,
        )

    def _devices(self) -> list[torch.device]:
        return [self._model.device] if self._model.device.type == "cuda" else []


def _failure(what: str, error: Exception) -> CwmTraceError:
    reason = next(iter(str(error).strip().splitlines()), "").rstrip(". ")
    return CwmTraceError(f"the model could not {what}: {type(error).__name__}: {reason}")
