"""The loop: batch, loss, gradient, step, log; now and then held-out figures and a saved state.

A run's folder holds `recipe.json`, `tokenizer/`, `log.jsonl` (a line for each step and each evaluation),
`state.pt` (all that is needed to go on) and, at the end, `model/`, which transformers and `load_model` take.
A run that was killed goes on from its state as if nothing had happened: in fp32 with one thread the losses
are equal bit by bit.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.training.documents import Document, DocumentWriter, Field
from cwm_trace.model.training.evaluation import evaluate
from cwm_trace.model.training.lora import merge_adapter
from cwm_trace.model.training.optimizers import make_optimizers
from cwm_trace.model.training.packing import Batch, Packer, waiting_documents
from cwm_trace.model.training.processes import Processes
from cwm_trace.model.training.recipe import Loss, Recipe
from cwm_trace.model.training.starting import begin
from cwm_trace.model.training.state import (
    load_state,
    save_model,
    save_state,
    set_trained_weights,
    trained_weights,
)
from cwm_trace.model.training.stream import Mix, Stream, record
from cwm_trace.wire.tokens import Special

Report = Callable[[Mapping[str, Any]], None]

ALONE = Processes()
"""This process, on the CPU."""


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
    start_from: str | Path | None = None,
    workers: int = 1,
    report: Report = lambda _: None,
    processes: Processes = ALONE,
) -> Ended:
    """Train, or go on where the run in this folder was stopped; SIGINT and SIGTERM stop it after a step.

    Args:
        recipe: what to do.
        folder: of the run, which all processes see.
        start_from: folder or hub id of a model whose weights and tokenizer a new run begins with.
        workers: processes that make documents for each process; 0: none but that one.
        report: gets every line of the log, in the first process.
        processes: that train together, each of which calls this; by default this one, on the CPU.

    Raises:
        CwmTraceError: the folder holds a run of another recipe, or a model that does not fit.
    """
    rank, count, device = processes.rank, processes.count, processes.device
    for phase in recipe.phases:
        processes.share(phase.rows)
    with processes.one_first():
        folder.mkdir(parents=True, exist_ok=True)
        _check_same_run(recipe, folder)
        torch.manual_seed(recipe.seed)
        start = begin(recipe, folder, start_from, device)
    model, tokenizer = start.model, start.tokenizer
    optimizers = make_optimizers(model, recipe.optimizer)
    precision = processes.autocast(recipe.precision)
    state = load_state(folder, count)
    step, tokens, seconds = 0, 0, 0.0
    packed: dict[str, Any] = {"chunk": rank, "waiting": []}
    if state is not None:
        set_trained_weights(model, state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        processes.set_random_state(state["random"][rank])
        step, tokens, seconds, packed = (
            state["step"],
            state["tokens"],
            state["seconds"],
            state["packer"][rank],
        )
    elif rank:
        torch.manual_seed(recipe.seed + rank)  # dropout differs from process to process
    words = folder / "tokenizer" / "tokenizer.json"
    held = held_documents(recipe, words, start.length) if recipe.evaluation.every and not rank else []
    frame_end = tokenizer.get_vocab()[Special.FRAME.value]
    weights = field_weights(recipe.loss).to(device)
    mix = Mix(recipe.data.mix, recipe.seed, "train")
    stream = Stream(mix, words, chunk=packed["chunk"], stride=count, workers=workers)
    packer = Packer(
        stream, cast(int, tokenizer.pad_token_id), waiting_documents(packed), alone=not start.packs
    )
    log: Any = _open_log(folder / "log.jsonl", step) if processes.is_first else nullcontext()
    began = time.perf_counter() - seconds

    def keep() -> None:
        packers, randoms = processes.gather(packer.state()), processes.gather(processes.random_state())
        if processes.is_first:
            save_state(
                folder,
                {
                    "model": trained_weights(model),
                    "optimizers": [optimizer.state_dict() for optimizer in optimizers],
                    "random": randoms,
                    "packer": packers,
                    "step": step,
                    "tokens": tokens,
                    "seconds": time.perf_counter() - began,
                },
            )

    def write(line: Mapping[str, Any]) -> None:
        if not processes.is_first:
            return
        log.write(json.dumps(line) + "\n")
        log.flush()
        report(line)

    together = processes.wrap(model)
    together.train()
    with stop_signals() as stopped, log:
        try:
            while step < recipe.steps and not processes.any(bool(stopped)):
                phase, rate = recipe.at(step)
                batch = packer.batch(processes.share(phase.rows), phase.length).to(device)
                with precision:
                    logits = together(batch.ids, position_ids=batch.positions, use_cache=False).logits
                loss, by_field = weighted_loss(logits, batch, weights, processes)
                share = loss * count  # the gradients of all are averaged, and the losses have to be added
                share.backward()  # type: ignore[no-untyped-call]
                norm = torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.optimizer.clip)
                for optimizer in optimizers:
                    for group in optimizer.param_groups:
                        group["lr"] = rate
                    optimizer.step()
                    optimizer.zero_grad(set_to_none=True)
                step += 1
                tokens += processes.total(batch.tokens)
                write(
                    {
                        "step": step,
                        "tokens": tokens,
                        "seconds": round(time.perf_counter() - began, 2),
                        "loss": processes.sum(loss.detach()).item(),
                        "rate": rate,
                        "norm": float(norm),
                        **by_field,
                    }
                )
                if held and (step % recipe.evaluation.every == 0 or step == recipe.steps):
                    figures = evaluate(model, held, frame_end, precision, device)
                    write({"step": step, "tokens": tokens, "held_out": figures})
                if step % recipe.save_every == 0:
                    keep()
            keep()
        finally:
            stream.close()
    if processes.is_first:
        whole = merge_adapter(model, folder / "adapter") if recipe.lora else model
        save_model(whole, tokenizer, folder / "model")
    return Ended(step, tokens, time.perf_counter() - began, step >= recipe.steps)


def field_weights(loss: Loss) -> Tensor:
    """What a token weighs, by its mark in `Batch.fields`."""
    names = [field.name.lower() for field in Field if field is not Field.GIVEN]
    return torch.tensor([0.0, *(getattr(loss, name) for name in names), 0.0])


def weighted_loss(
    logits: Tensor, batch: Batch, weights: Tensor, processes: Processes = ALONE
) -> tuple[Tensor, dict[str, float]]:
    """The mean cross entropy (nats) over a batch, each token weighed by its field.

    A row's tokens are predicted from those before; the first of a document is part of a prompt, so nothing
    is predicted from another document.

    Args:
        logits: `(B, T, V)`.
        batch: what was read.
        weights: by mark.
        processes: whose rows are one batch.

    Returns:
        This process's part of the loss: the parts of all add up to the mean. And the unweighted mean by
        field, of all.
    """
    true, marks = batch.ids[:, 1:].flatten(), batch.fields[:, 1:].flatten().long()
    nats = functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), true, reduction="none")
    weight = weights[marks]
    loss = (nats * weight).sum() / processes.sum(weight.sum()).clamp(min=1e-9)
    counts = processes.sum(torch.bincount(marks, minlength=len(weights)))
    sums = processes.sum(torch.bincount(marks, weights=nats.detach(), minlength=len(weights)))
    means = (sums / counts).tolist()
    return loss, {
        field.name.lower(): round(means[field], 5)
        for field in Field
        if field is not Field.GIVEN and counts[field]
    }


def held_documents(recipe: Recipe, words: Path, length: int) -> list[Document]:
    """The held-out documents: another seed, and constants that no training program has.

    Args:
        recipe: says which.
        words: path of a `tokenizer.json`.
        length: tokens of one at the most.

    Raises:
        CwmTraceError: hardly a program fits the model.
    """
    writer = DocumentWriter(Tokenizer.from_file(str(words)))
    mix = Mix(recipe.evaluation.mix, recipe.seed + 1, "dev")
    found: list[Document] = []
    for number in range(20 * recipe.evaluation.programs):
        trace = record(mix.item(number))
        document = None if trace is None else writer.write(trace).cut(length)
        if document is not None and document.given < len(document.ids):
            found.append(document)
        if len(found) == recipe.evaluation.programs:
            return found
    raise CwmTraceError(
        f"of {20 * recipe.evaluation.programs} held-out programs only {len(found)} leave room for a trace in"
        f" {length} tokens: make max_length, or the rows, longer"
    )


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
    text = json.dumps(recipe.model_dump(mode="json"), indent=2) + "\n"
    if not path.exists() or path.read_text("utf-8") != text:  # else other processes may be reading it
        path.write_text(text, "utf-8")


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
    """Threads of the arithmetic; None: one for each core, shared by the processes that `torchrun` began."""
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    torch.set_num_threads(count or max(1, (os.cpu_count() or 1) // beside))
