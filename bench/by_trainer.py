"""Coqui's Trainer around a recipe: the recipe's own model, batches, optimizer and schedule, stepped by ``Trainer.fit``.

    .venv-train/bin/python bench/by_trainer.py < order.json

The order is that of ``plain.py``, and so is what is printed. The recipe runs as it is until it hands all of it to
``loop.train``, whose place the Trainer takes. It has no loggers, no evaluation, no test sentences and no best models,
and saves as many checkpoints as the recipe would, each with the optimizer's state. Recipes with one optimizer only.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from coqui import NEVER, Beats
from plain import PlainFiles, cost, job, say
from trainer import Trainer, TrainerArgs
from trainer.logging import DummyLogger

from sandbox.frames import Frame
from sandbox.training import loop, worker


class Some:
    """``steps`` batches, as a data loader shows itself to the Trainer."""

    def __init__(self, batches: Iterator[Any], steps: int) -> None:
        self._batches, self._steps = batches, steps

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[Any]:
        return islice(self._batches, self._steps)


def fit(
    out: Any,
    saves: int,
    keep: str,
    model: Any,
    batches: Iterator[Any],
    optimizers: Sequence[torch.optim.Optimizer],
    schedules: Sequence[Any],
    steps: int,
    started: float,
) -> None:
    """Let the Trainer step them. One optimizer; its schedules become one."""
    (optimizer,) = optimizers
    config = model.config
    config.epochs, config.grad_clip, config.run_eval = 1, loop.GRADIENT_NORM, False
    config.save_step, config.save_n_checkpoints = max(1, steps // (saves + 1)), saves
    config.test_delay_epochs = config.save_best_after = config.log_model_step = config.plot_step = NEVER
    config.print_step = NEVER
    config.scheduler_after_epoch = False
    model.data_dep_init_steps = 0  # GlowTTS: the recipe initialised it already
    model.train_log = lambda *_: None  # the Trainer draws figures at its first step, whatever is asked
    model.format_batch = lambda batch: batch
    model.get_optimizer = lambda: optimizer
    model.get_scheduler = lambda _: torch.optim.lr_scheduler.ChainedScheduler(list(schedules))
    chance = torch.get_rng_state()  # the Trainer seeds every generator anew
    trainer = Trainer(
        TrainerArgs(),
        config,
        keep,
        dashboard_logger=DummyLogger(),
        model=model,
        train_loader=Some(batches, steps),
        parse_command_line_args=False,
        callbacks={"on_train_step_end": Beats(out, steps, started)},
    )
    torch.set_rng_state(chance)
    trainer.fit()


def main(order: Mapping[str, Any], out: Any) -> None:
    channel = PlainFiles(order)
    saves = sum(len(artifact["steps"]) for artifact in order["artifacts"])

    def train(run: Any, model: Any, batches: Any, optimizers: Any, schedules: Any, **how: Any) -> None:
        steps = how["steps"]
        fit(out, saves, order["keep"], model, batches, optimizers, schedules, steps, order["started"])
        for path in run.due(steps):
            run.save(path, steps, model.state_dict(), how["metadata"])

    asked = job(order, channel)
    worker.prepare(Frame("prepare", 1, {"torch": True, "threads": order["threads"]}))
    loop.train = train
    worker.warm(asked)
    worker.perform(worker.load(Path(order["recipe"])), asked, channel)
    say(cost(), out)


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the Trainer prints
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    main(json.load(sys.stdin), answers)
