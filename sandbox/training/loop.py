"""Our training loop: short, around the model's own ``train_step`` and criterion, for one optimizer or several.

Coqui's Trainer is not used: it writes configurations, logs and copies of scripts, and seeds every generator with a
public constant (``docs/adr``).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sandbox.errors import RecipeError
from sandbox.runs import RESUME
from sandbox.training import checkpoint
from sandbox.training.checkpoint import Training
from sandbox.training.ema import Average
from sandbox.training.run import Run

GRADIENT_NORM = 5.0
ALIGNER_WARMUP_STEPS = 300


def train(
    run: Run,
    model: Any,
    batches: Iterator[Any],
    optimizers: Sequence[torch.optim.Optimizer],
    schedules: Sequence[torch.optim.lr_scheduler.LRScheduler],
    *,
    steps: int,
    metadata: Mapping[str, str],
    accumulate: int = 1,
    mixed: bool = False,
    clip: float = GRADIENT_NORM,
    average: Average | None = None,
    deterministic: bool = False,
) -> Timing:
    """``steps`` steps over ``batches``; logs ``loss``, reports progress, saves what the grant schedules.

    Where the card declares it, ``grad_norm`` is logged too: before clipping, and like the loss of the last optimizer.
    ``metadata`` is saved beside the weights, which are those of ``average`` where there is one. A step is the mean over
    ``accumulate`` batches; ``mixed`` computes in bfloat16 where that is safe and keeps float32 weights. With
    :class:`~sandbox.training.batches.Batches` a run goes on from the checkpoint that it was given, and a run that is
    told to stop, or whose loss is no number, leaves its last one. Nothing is compiled by ``torch.compile``: it would
    write its kernels to disk.

    Answers where its time went, for who measures it.

    Raises:
        RecipeError: a loss or a gradient is no number, memory is out, or the checkpoint is of another training.
    """
    if accumulate > 1 and hasattr(model, "model_outputs_cache"):
        raise RecipeError("this model's optimizers share one batch a step", code="recipe.accumulation")
    training = Training(model, optimizers, schedules, average, getattr(batches, "order", None))
    first = _resumed(run, training, steps)
    device = next(model.parameters()).device
    criterion = model.get_criterion()
    model.train()
    timing = Timing()
    with _arithmetic(deterministic), timing:
        for step in range(first + 1, steps + 1):
            if hasattr(model, "binary_loss_weight"):  # coqui ramps it in a Trainer callback
                model.binary_loss_weight = min(step / ALIGNER_WARMUP_STEPS, 1.0)
            micro = [_moved(batch, device) for batch in timing.wait(batches, accumulate)]
            for index, optimizer in enumerate(optimizers):
                optimizer.zero_grad(set_to_none=True)
                with _room():
                    loss = _backward(model, micro, criterion, index, mixed)
                norm = torch.nn.utils.clip_grad_norm_(_parameters(optimizer), clip)
                if not (loss.isfinite() and norm.isfinite()):
                    if index == 0 and _finite(model):  # no weight moved: what there is, is the last good step
                        _keep(run, training, step - 1, early=True)
                    raise RecipeError(f"the loss is no number at step {step}", code="recipe.loss_not_finite")
                optimizer.step()
            for schedule in schedules:
                schedule.step()
            if average is not None:
                average.update(model)
            run.log("loss", step, loss)
            if run.declares("grad_norm"):
                run.log("grad_norm", step, norm)
            run.progress(step, steps, first)
            for path in run.due(step):
                run.save(path, step, (model if average is None else average).state_dict(), metadata)
            stopping = run.stopping and step < steps
            _keep(run, training, step, early=stopping)
            if stopping:
                break
    return timing


@dataclass
class Timing:
    """Seconds of a training, and how many of them it waited for its batches."""

    whole_s: float = 0.0
    waited_s: float = 0.0

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.whole_s = time.perf_counter() - self._began

    def wait(self, batches: Iterator[Any], count: int) -> list[Any]:
        """The next ``count`` of ``batches``."""
        began = time.perf_counter()
        found = [next(batches) for _ in range(count)]
        self.waited_s += time.perf_counter() - began
        return found


def _backward(model: Any, micro: Sequence[Any], criterion: Any, index: int, mixed: bool) -> Tensor:
    """Gradients of the mean loss over ``micro``, one batch at a time; the loss."""
    total = torch.zeros(())
    for batch in micro:
        with torch.autocast(next(model.parameters()).device.type, dtype=torch.bfloat16, enabled=mixed):
            _, losses = model.train_step(batch, criterion, index)
            loss = losses["loss"] / len(micro)
        loss.backward()
        total = total + loss.detach().float().cpu()
    return total


def _resumed(run: Run, training: Training, steps: int) -> int:
    """The step after which to go on; 0 for a run that begins."""
    if not run.resumes:
        return 0
    given = run.input(RESUME)
    step = checkpoint.unpack(training, given.tensors, given.metadata)
    if step >= steps:
        raise RecipeError("the checkpoint is behind the last step already", code="recipe.resume_step")
    return step


def _finite(model: Any) -> bool:
    """Whether a checkpoint is worth keeping: a batch that broke may have reached a layer's statistics."""
    return all(bool(tensor.isfinite().all()) for tensor in model.state_dict().values())


def _keep(run: Run, training: Training, step: int, *, early: bool) -> None:
    """A checkpoint wherever the grant has one for this step, or for an end before the last one."""
    for path in run.checkpoints(step, early=early) if step else []:
        run.save(path, step, *checkpoint.pack(training, step))


@contextmanager
def _arithmetic(deterministic: bool) -> Iterator[None]:
    """Only operations that give the same bits each time, when asked; an operation that cannot raises."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(deterministic or before)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


@contextmanager
def _room() -> Iterator[None]:
    """What an engineer can mend is told by a code of its own; the command line says how."""
    try:
        yield
    except (MemoryError, RuntimeError) as fault:
        if isinstance(fault, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(fault):
            raise RecipeError("a batch does not fit into memory", code="recipe.out_of_memory") from None
        if "deterministic" in str(fault):
            raise RecipeError("an operation has no such form here", code="recipe.not_deterministic") from None
        raise


def _moved(value: Any, device: torch.device) -> Any:
    """A batch on the model's device."""
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    return {key: _moved(item, device) for key, item in value.items()} if isinstance(value, dict) else value


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
