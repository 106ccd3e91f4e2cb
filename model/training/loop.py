"""The loop: batch, loss, gradient, step, log; now and then held-out figures and a saved state.

A run's folder holds `recipe.json`, `tokenizer/`, `log.jsonl` (a line for each step and each evaluation),
`state.pt` (all that is needed to go on) and, at the end, `model/`, which transformers and `load_model` take,
and `curve.svg`, where matplotlib is installed.
A run that was killed goes on from its state as if nothing had happened: in fp32 with one thread the losses
are equal bit by bit.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from cwm_trace.datasets.tokenizing import LEARNT, TokenField, TokenizedTrace, tokenize_trace
from cwm_trace.errors import CwmTraceError
from cwm_trace.model.loading import load_model
from cwm_trace.model.modeling import CwmForCausalLM
from cwm_trace.model.tokenizer import build_tokenizer, load_tokenizer, save_tokenizer
from cwm_trace.model.training.batches import load_packed_tokenizer, open_batches, open_packed
from cwm_trace.model.training.curve import plot_log
from cwm_trace.model.training.evaluation import evaluate
from cwm_trace.model.training.optimizers import make_optimizers
from cwm_trace.model.training.packing import Batch
from cwm_trace.model.training.recipe import Loss, Recipe
from cwm_trace.model.training.state import load_state, save_model, save_state
from cwm_trace.model.training.stream import Mix, read_tokens, record, texts_of
from cwm_trace.wire.tokens import Special

Report = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Ended:
    """How a run, or its last stretch, ended.

    Args:
        steps: done in all.
        tokens: read in all, padding not counted.
        seconds: of all stretches.
        finished: whether the last phase is done.
    """

    steps: int
    tokens: int
    seconds: float
    finished: bool


def train(
    recipe: Recipe,
    folder: Path,
    *,
    start_from: Path | None = None,
    workers: int = 1,
    report: Report = lambda _: None,
) -> Ended:
    """Train, or go on where the run in this folder was stopped; SIGINT and SIGTERM stop it after a step.

    Args:
        recipe: what to do.
        folder: of the run.
        start_from: folder of a model whose weights and tokenizer a new run begins with.
        workers: processes that make documents; 0: none but this one.
        report: gets every line of the log.

    Raises:
        CwmTraceError: the folder holds a run of another recipe, or a model that does not fit; packed
            sequences do not fit the recipe or the model.
    """
    _check_same_run(recipe, folder)
    torch.manual_seed(recipe.seed)
    tokenizer = _find_tokenizer(recipe, folder, start_from)
    model = _begin_model(recipe, tokenizer, start_from)
    _begin_folder(recipe, tokenizer, folder)
    optimizers = make_optimizers(model, recipe.optimizer)
    precision = autocast(recipe.precision)
    state = load_state(folder)
    step, tokens, seconds = 0, 0, 0.0
    place: dict[str, Any] | None = None
    if state is not None:
        model.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        torch.set_rng_state(state["random"])
        step, tokens, seconds, place = (state[name] for name in ("step", "tokens", "seconds", "packer"))
    log = _open_log(folder / "log.jsonl", step)
    words = folder / "tokenizer" / "tokenizer.json"
    held = held_documents(recipe, words) if recipe.evaluation.every else []
    frame_end = tokenizer.get_vocab()[Special.FRAME.value]
    weights = field_weights(recipe.loss)
    pad = cast(int, tokenizer.pad_token_id)
    batches = open_batches(recipe, words, pad, state=place, workers=workers)
    began = time.perf_counter() - seconds

    def keep() -> None:
        save_state(
            folder,
            {
                "model": model.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in optimizers],
                "random": torch.get_rng_state(),
                "packer": batches.state(),
                "step": step,
                "tokens": tokens,
                "seconds": time.perf_counter() - began,
            },
        )

    def write(line: Mapping[str, Any]) -> None:
        log.write(json.dumps(line) + "\n")
        log.flush()
        report(line)

    model.set_attn_implementation("interval")  # skips what no token of a row may see
    model.train()
    with stop_signals() as stopped, log:
        try:
            while step < recipe.steps and not stopped:
                phase, rate = recipe.at(step)
                batch = batches.batch(phase.rows, phase.length)
                with precision:
                    logits = model(batch.ids, position_ids=batch.positions, use_cache=False).logits
                loss, by_field = weighted_loss(logits, batch, weights)
                loss.backward()  # type: ignore[no-untyped-call]
                norm = torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.optimizer.clip)
                for optimizer in optimizers:
                    for group in optimizer.param_groups:
                        group["lr"] = rate
                    optimizer.step()
                    optimizer.zero_grad(set_to_none=True)
                step += 1
                tokens += batch.tokens
                write(
                    {
                        "step": step,
                        "tokens": tokens,
                        "seconds": round(time.perf_counter() - began, 2),
                        "loss": loss.item(),
                        "rate": rate,
                        "norm": float(norm),
                        **by_field,
                    }
                )
                if held and (step % recipe.evaluation.every == 0 or step == recipe.steps):
                    figures = evaluate(model, held, frame_end, precision)
                    write({"step": step, "tokens": tokens, "held_out": figures})
                if step % recipe.save_every == 0:
                    keep()
            keep()
        finally:
            batches.close()
    save_model(model, tokenizer, folder / "model")
    plot_log(folder)
    return Ended(step, tokens, time.perf_counter() - began, step >= recipe.steps)


def autocast(precision: str) -> AbstractContextManager[Any]:
    """The context that a forward pass runs in."""
    return torch.autocast("cpu", dtype=torch.bfloat16) if precision == "bf16" else nullcontext()


def field_weights(loss: Loss) -> Tensor:
    """What a token weighs, by its mark in `Batch.fields`."""
    return torch.tensor(
        [getattr(loss, field.name.lower()) if field in LEARNT else 0.0 for field in TokenField]
    )


def weighted_loss(logits: Tensor, batch: Batch, weights: Tensor) -> tuple[Tensor, dict[str, float]]:
    """The mean cross entropy (nats) over a batch, each token weighed by its field.

    A row's tokens are predicted from those before; the first of a document is part of a prompt, so nothing
    is predicted from another document.

    Args:
        logits: `(B, T, V)`.
        batch: what was read.
        weights: by mark.

    Returns:
        The loss, and the unweighted mean by field.
    """
    true, marks = batch.ids[:, 1:].flatten(), batch.fields[:, 1:].flatten().long()
    nats = functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), true, reduction="none")
    weight = weights[marks]
    loss = (nats * weight).sum() / weight.sum().clamp(min=1e-9)
    counts = torch.bincount(marks, minlength=len(weights))
    sums = torch.bincount(marks, weights=nats.detach(), minlength=len(weights))
    means = (sums / counts).tolist()
    return loss, {field.name.lower(): round(means[field], 5) for field in LEARNT if counts[field]}


def held_documents(recipe: Recipe, words: Path) -> list[TokenizedTrace]:
    """The held-out documents: another seed, and constants that no training program has.

    Raises:
        CwmTraceError: hardly a program fits the model.
    """
    mapping = read_tokens(words)
    mix = Mix(recipe.evaluation.mix, recipe.seed + 1, "dev")
    found: list[TokenizedTrace] = []
    for number in range(20 * recipe.evaluation.programs):
        trace = record(mix.item(number))
        document = None if trace is None else tokenize_trace(trace, mapping).cut(recipe.model.max_length)
        if document is not None and document.given < len(document.ids):
            found.append(document)
        if len(found) == recipe.evaluation.programs:
            return found
    raise CwmTraceError(
        f"of {20 * recipe.evaluation.programs} held-out programs only {len(found)} leave room for a trace in"
        f" {recipe.model.max_length} tokens: make max_length greater"
    )


def _find_tokenizer(recipe: Recipe, folder: Path, start_from: Path | None) -> PreTrainedTokenizerBase:
    home = folder / "tokenizer"
    begun = (home / "tokenizer.json").exists()
    if recipe.data.packed is not None:
        tokenizer = load_packed_tokenizer(open_packed(recipe, recipe.data.packed))
        for other in (home if begun else None, start_from):
            if other is not None and load_tokenizer(other).get_vocab() != tokenizer.get_vocab():
                raise CwmTraceError(
                    f"{recipe.data.packed} was packed with another tokenizer than {other}'s: pack again with"
                    f" --tokenizer {other}"
                )
        return tokenizer
    if begun:
        return load_tokenizer(home)
    if start_from is not None:
        return load_tokenizer(start_from)
    mix = Mix(recipe.data.mix, recipe.seed, "train")
    texts = texts_of(map(mix.item, range(recipe.data.tokenizer_programs)))
    return build_tokenizer(texts, recipe.model.vocabulary, max_length=recipe.model.max_length)


def _begin_model(
    recipe: Recipe, tokenizer: PreTrainedTokenizerBase, start_from: Path | None
) -> CwmForCausalLM:
    config = recipe.model.config(
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=[tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|eot_id|>")],
        pad_token_id=tokenizer.pad_token_id,
    )
    if start_from is None:
        return CwmForCausalLM(config)
    model = load_model(start_from, dtype=torch.float32)
    for name in ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "head_dim"):
        is_now, asked = getattr(model.config, name), getattr(config, name)
        if is_now != asked:
            raise CwmTraceError(f"{start_from} has {name} {is_now}, and the recipe says {asked}")
    return model


def _check_same_run(recipe: Recipe, folder: Path) -> None:
    """Refuse to go on with another recipe; phases, evaluation and saving may change on the way."""
    path = folder / "recipe.json"
    if path.exists():
        before = Recipe.model_validate_json(path.read_text("utf-8")).fixed()
        changed = [name for name, value in recipe.fixed().items() if before[name] != value]
        if changed:
            raise CwmTraceError(
                f"{folder} holds a run whose {' and '.join(changed)} differ: give another folder"
            )


def _begin_folder(recipe: Recipe, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write what says which run this is, once nothing speaks against it any more."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(recipe.model_dump(mode="json"), indent=2) + "\n"
    (folder / "recipe.json").write_text(text, "utf-8")
    if not (folder / "tokenizer" / "tokenizer.json").exists():
        save_tokenizer(tokenizer, folder / "tokenizer")


def _open_log(path: Path, step: int) -> Any:
    """The log, without the lines that a killed run wrote after its last saved state."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    whole = [line for line in lines if line.endswith(b"\n")]  # the kill may have cut the last one
    new = path.with_suffix(".new")
    new.write_bytes(b"".join(line for line in whole if json.loads(line)["step"] <= step))
    new.replace(path)
    return path.open("a", encoding="utf-8")


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying of them; a second one is as usual."""
    caught: list[int] = []

    def note(number: int, _: object) -> None:
        caught.append(number)
        signal.signal(number, before[signal.Signals(number)])

    try:
        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: whoever is, decides
        yield caught
        return
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def set_threads(count: int | None) -> None:
    """Threads of the arithmetic; None: one for each core."""
    torch.set_num_threads(count or os.cpu_count() or 1)
