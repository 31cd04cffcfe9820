"""Learning rates over steps."""

from __future__ import annotations

import torch


def noam(optimizer: torch.optim.Optimizer, warmup_steps: int) -> torch.optim.lr_scheduler.LambdaLR:
    """Up to the optimizer's rate in ``warmup_steps``, then down with the root of the step; coqui's ``NoamLR``.

    Vaswani et al. 2017, "Attention Is All You Need", 5.3, without its factor for the model's width.
    """

    def factor(done: int) -> float:
        step = done + 1
        return float(warmup_steps**0.5 * min(step * warmup_steps**-1.5, step**-0.5))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
