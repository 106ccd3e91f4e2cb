"""The loop: batch, loss, gradient, step, log; now and then held-out figures and a saved state.

A run that was killed goes on from its state as if nothing had happened: in fp32 with one thread the losses
are equal bit by bit.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cwm_trace.model.tokenizer import TOKENIZER_FOLDER
from cwm_trace.model.training.average import Averager
from cwm_trace.model.training.batches import open_batches
from cwm_trace.model.training.budget import Clock, Schedule
from cwm_trace.model.training.curve import plot_log
from cwm_trace.model.training.document_rows import Batch
from cwm_trace.model.training.evaluation import evaluate, held_documents
from cwm_trace.model.training.lora import merge_adapter
from cwm_trace.model.training.loss import field_weights, weighted_loss
from cwm_trace.model.training.optimizers import make_optimizers
from cwm_trace.model.training.processes import ALONE, Processes, stop_signals
from cwm_trace.model.training.recipe import Phase, Recipe
from cwm_trace.model.training.run_folder import begin_folder, check_same_run, open_log
from cwm_trace.model.training.starting import begin
from cwm_trace.model.training.state import (
    load_state,
    save_model,
    save_state,
    set_trained_weights,
    trained_weights,
)
from cwm_trace.wire.tokens import Special

Report = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Ended:
    """How a run, or its last stretch, ended.

    Args:
        steps: done in all.
        tokens: read in all, padding not counted.
        seconds: of all stretches.
        finished: whether the last phase is done, or the time is up.
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
    minutes: float | None = None,
    clock: Clock = time.perf_counter,
) -> Ended:
    """Train, or go on where the run in this folder was stopped; SIGINT and SIGTERM stop it after a step.

    Args:
        recipe: what to do.
        folder: of the run, which all processes see.
        start_from: folder or hub id of a model whose weights and tokenizer a new run begins with.
        workers: processes that make documents for each process; 0: none but that one.
        report: gets every line of the log, in the first process.
        processes: that train together, each of which calls this; by default this one, on the CPU.
        minutes: that all stretches together may take: the schedule goes by time then, see `Schedule`. What is
            evaluated and saved on the way counts, what comes after the last step does not.
        clock: what time it is.

    Raises:
        CwmTraceError: the folder holds a run of another recipe, or a model that does not fit; packed
            sequences do not fit the recipe or the model.
    """
    rank, count, device = processes.rank, processes.count, processes.device
    for phase in recipe.phases:
        processes.share(phase.rows)
    with processes.one_first():
        check_same_run(recipe, folder)
        torch.manual_seed(recipe.seed)
        start = begin(recipe, folder, start_from, device)
        begin_folder(recipe, start, folder)
    model, tokenizer = start.model, start.tokenizer
    optimizers = make_optimizers(model, recipe.optimizer, processes)
    precision = processes.autocast(recipe.precision)
    state = load_state(folder, count)
    step, tokens, seconds = 0, 0, 0.0
    evaluated = averaged = -1  # steps after which held-out figures were taken last, plain and of the mean
    place: dict[str, Any] | None = None
    if state is not None:
        set_trained_weights(model, state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        step, tokens, seconds = state["step"], state["tokens"], state["seconds"]
        evaluated, averaged = state.get("looked_at", (-1, -1))
        place = state["packer"][rank]
    if state is not None and state["random"][rank] is not None:
        processes.set_random_state(state["random"][rank])
    elif rank:
        torch.manual_seed(recipe.seed + rank)  # dropout differs from process to process
    words = folder / TOKENIZER_FOLDER / "tokenizer.json"
    held = held_documents(recipe, words, start.length) if recipe.evaluation.every and not rank else []
    frame_end = tokenizer.get_vocab()[Special.FRAME.value]
    weights = field_weights(recipe.loss).to(device)
    batches = open_batches(
        recipe,
        words,
        tokenizer.pad_token_id,
        alone=not start.packs,
        rank=rank,
        count=count,
        state=place,
        workers=workers,
    )
    log: Any = open_log(folder / "log.jsonl", step) if processes.is_first else nullcontext()
    schedule = Schedule(
        recipe, minutes, seconds, state.get("expected", 0.0) if state else 0.0, clock, processes
    )
    average = Averager(recipe.average, state and state.get("average")) if recipe.average else None

    def keep() -> None:
        places, randoms = processes.gather(batches.state()), processes.gather(processes.random_state())
        if processes.is_first:
            save_state(
                folder,
                {
                    "model": trained_weights(model),
                    "optimizers": [optimizer.state_dict() for optimizer in optimizers],
                    "random": randoms,
                    "packer": places,
                    "step": step,
                    "tokens": tokens,
                    "seconds": schedule.seconds,
                    "expected": schedule.expected,
                    "average": average and average.state(),
                    "looked_at": (evaluated, averaged),
                },
            )

    def write(line: Mapping[str, Any]) -> None:
        if not processes.is_first:
            return
        log.write(f"{json.dumps(line)}\n".encode())
        report(line)

    def look(of: Any, name: str = "held_out") -> None:
        figures = evaluate(of, held, frame_end, precision, device)
        write({"step": step, "tokens": tokens, name: figures})

    turn: tuple[Phase, float, float] | None = None
    together = processes.wrap(model)
    together.train()
    with stop_signals() as stopped, log:
        try:
            while (turn := schedule.next(step)) is not None and not processes.any(bool(stopped)):
                phase, rate, share_done = turn
                rows = batches.batch(processes.share(phase.rows), phase.length)
                batch = Batch.of(rows).to(device)
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
                if average is not None:
                    average.add(model, share_done)
                write(
                    {
                        "step": step,
                        "tokens": tokens,
                        "seconds": round(schedule.seconds, 2),
                        "loss": processes.sum(loss.detach()).item(),
                        "rate": rate,
                        "norm": float(norm),
                        **by_field,
                    }
                )
                schedule.stepped()
                if held and step % recipe.evaluation.every == 0:
                    look(model)
                    evaluated = step
                if step % recipe.save_every == 0:
                    keep()
            if held and turn is None and evaluated != step:
                look(model)
            if held and turn is None and average is not None and averaged != step:
                look(average.apply(deepcopy(model)), "held_out_average")
            if turn is None:
                evaluated = averaged = step
            keep()
        finally:
            batches.close()
    if average is not None:
        average.apply(model)
    if processes.is_first:
        whole = merge_adapter(model, folder / "adapter") if recipe.lora else model
        save_model(whole, tokenizer, folder / "model")
        plot_log(folder)
    return Ended(step, tokens, schedule.seconds, turn is None)
