"""Our training loop: short, around the model's own ``train_step`` and criterion, for one optimizer or several.

Coqui's Trainer is not used: it writes configurations, logs and copies of scripts, and seeds every generator with a
public constant (``docs/adr``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from sandbox.training.run import Run

GRADIENT_NORM = 5.0
ALIGNER_WARMUP_STEPS = 300


def train(
    run: Run,
    model: Any,
    batches: Iterator[Mapping[str, Any]],
    optimizers: Sequence[torch.optim.Optimizer],
    schedules: Sequence[torch.optim.lr_scheduler.LRScheduler],
    *,
    steps: int,
    metadata: Mapping[str, str],
) -> None:
    """``steps`` steps over ``batches``; logs ``loss``, reports progress, saves what the grant schedules.

    ``metadata`` is saved beside the weights. Ends early, in order, when the run is told to stop.
    """
    criterion = model.get_criterion()
    model.train()
    for step in range(1, steps + 1):
        batch = next(batches)
        if hasattr(model, "binary_loss_weight"):  # coqui ramps it in a Trainer callback
            model.binary_loss_weight = min(step / ALIGNER_WARMUP_STEPS, 1.0)
        for index, optimizer in enumerate(optimizers):
            _, losses = model.train_step(batch, criterion, index)
            optimizer.zero_grad(set_to_none=True)
            losses["loss"].backward()
            torch.nn.utils.clip_grad_norm_(_parameters(optimizer), GRADIENT_NORM)
            optimizer.step()
        for schedule in schedules:
            schedule.step()
        run.log("loss", step, losses["loss"].detach())
        run.progress(step, steps)
        for path in run.due(step):
            run.save(path, step, model.state_dict(), metadata)
        if run.stopping:
            return


def _parameters(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
