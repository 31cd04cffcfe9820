"""Training with differential privacy whose unit is a person. The engine does it; the recipe gives model and loss.

Each step: Poisson-sample people, average at most ``utterances_per_person`` utterances of each, backward **one
person at a time**, clip that person's gradient to C, accumulate, add noise, divide by a public constant
(Abadi et al. 2016, with the unit of McMahan et al. 2018). It is exact by construction for every model: no two
people ever share a batch, so there is no padding, length or normalisation that could couple them. Opacus'
``DPOptimizer`` clips and its accountant counts.

The recipe gets :class:`Setting`, never a ``Run``: it cannot log, save or see who is there. Released are the
weights at the grant's fixed steps, and two figures that follow from public constants. An approved recipe is
code that was reviewed; the checks here catch mistakes, not malice inside the process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from opacus.accountants import PRVAccountant
from opacus.optimizers import DPOptimizer
from torch import nn

from sandbox.errors import PrivacyError, RecipeError
from sandbox.runs import Privacy
from sandbox.training.accounting import spent
from sandbox.training.pipe import Channel
from sandbox.training.run import Job, Record, Run, Utterance
from sandbox.training.sampling import PrivateRandomness
from sandbox.training.soundness import (
    Loss,
    changed,
    check_model,
    check_noise,
    check_target,
    made_up,
    snapshot,
)


@dataclass(frozen=True)
class Setting:
    """What a recipe may know while it builds its model: the parameters of the run, all of them public."""

    parameters: Mapping[str, Any]


class NoisyOptimizer(DPOptimizer):
    """Opacus' optimizer with noise from the kernel instead of a torch generator."""

    def __init__(
        self, optimizer: torch.optim.Optimizer, privacy: Privacy, divisor: float, noise: PrivateRandomness
    ):
        super().__init__(
            optimizer,
            noise_multiplier=privacy.sigma,
            max_grad_norm=privacy.clip,
            expected_batch_size=divisor,  # a public constant, never taken from how many people there are
            loss_reduction="mean",
        )
        self._noise = noise

    def add_noise(self) -> None:
        for p in self.params:
            noise = self._noise.gaussian(p.summed_grad.shape, self.noise_multiplier * self.max_grad_norm)
            p.grad = (p.summed_grad + noise).view_as(p)


class Engine:
    """One private model. ``add`` each sampled person, then ``step``, also when nobody was sampled."""

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        privacy: Privacy,
        *,
        divisor: float,
        learning_rate: float,
        randomness: PrivateRandomness | None = None,
    ) -> None:
        self.model, self._loss, self._privacy = model, loss, privacy
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        self.randomness = randomness or PrivateRandomness()
        self.accountant = PRVAccountant()
        adam = torch.optim.AdamW(self._parameters, lr=learning_rate)
        self._optimizer = NoisyOptimizer(adam, privacy, divisor, self.randomness)
        self._optimizer.attach_step_hook(self.accountant.get_optimizer_hook_fn(privacy.sample_rate))
        self._state = snapshot(model)
        model.train()

    def gradient(self, utterances: Sequence[Utterance]) -> list[torch.Tensor]:
        """One person's gradient before clipping: the mean over their utterances; zero when there is none."""
        self.model.zero_grad(set_to_none=True)
        try:
            for utterance in utterances:
                (self._loss(self.model, utterance) / len(utterances)).backward()
        except Exception:  # noqa: BLE001 - a recording that the loss cannot take; no failure may tell whose it was
            self.model.zero_grad(set_to_none=True)
        gradients = [
            torch.zeros_like(p) if p.grad is None else p.grad.detach().clone() for p in self._parameters
        ]
        if changed(self.model, self._state):
            raise PrivacyError("the loss changes the model's state", code="privacy.state")
        if not all(bool(g.isfinite().all()) for g in gradients):
            return [
                torch.zeros_like(g) for g in gradients
            ]  # a person without influence, not a crash that tells
        return gradients

    def add(self, utterances: Sequence[Utterance]) -> None:
        """Accumulate one person's clipped gradient. The sum moves by at most C."""
        if not utterances:
            return
        self._accumulate([g[None] for g in self.gradient(utterances)], last=False)

    def clipped_sum(self) -> list[torch.Tensor]:
        """What :meth:`add` has accumulated since the last step, before noise."""
        return [torch.zeros_like(p) if p.summed_grad is None else p.summed_grad for p in self._parameters]

    def step(self) -> None:
        """Noise, the public divisor, the optimizer, the accountant. Nobody sampled is a step of noise alone."""
        self._accumulate([p.detach().new_zeros((0, *p.shape)) for p in self._parameters], last=True)
        self._state = snapshot(self.model)

    def _accumulate(self, samples: Iterable[torch.Tensor], *, last: bool) -> None:
        for parameter, sample in zip(self._parameters, samples, strict=True):
            parameter.grad_sample = sample
        self._optimizer.signal_skip_step(not last)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)


def train(module: ModuleType, job: Job, channel: Channel) -> None:
    """The run: checks, then exactly the granted steps, then the end. The recipe's ``main`` is not called.

    Raises:
        PrivacyError: a check refuses; nothing was trained.
    """
    privacy = job.privacy
    make, loss = getattr(module, "model", None), getattr(module, "loss", None)
    if privacy is None or not callable(make) or not callable(loss):
        raise RecipeError(
            "under differential privacy a recipe defines model(run) and loss(...)", code="privacy.recipe"
        )
    settings = job.parameters
    try:
        divisor, most = float(settings["people_per_step"]), int(settings["utterances_per_person"])
        learning_rate = float(settings["learning_rate"])
    except (KeyError, TypeError, ValueError):
        raise PrivacyError(
            "the card declares the engine's public constants", code="privacy.constants"
        ) from None
    if divisor <= 0 or most < 1:
        raise PrivacyError("the engine's public constants are positive", code="privacy.constants")
    check_target(privacy, settings)
    model = make(Setting(dict(settings)))
    check_model(model, loss, (made_up(1, "en"), made_up(2, "es")))
    engine = Engine(model, loss, privacy, divisor=divisor, learning_rate=learning_rate)
    ratio = check_noise(privacy, sum(p.numel() for p in model.parameters() if p.requires_grad), divisor)

    run = Run(job, channel)
    if run.declares("noise_to_signal"):
        run.log("noise_to_signal", 0, ratio)
    people = _by_person(job.records)
    metadata: Mapping[str, str] = getattr(module, "released", dict)()  # before any utterance is seen
    for step in range(1, privacy.steps + 1):
        for person in engine.randomness.included(sorted(people), privacy.sample_rate):
            engine.add(run.utterances(engine.randomness.choose(people[person], most)))
        engine.step()
        channel.send(
            "progress", step=step, total=privacy.steps, rate=0.0
        )  # a rate would tell how many were sampled
        for path in run.due(step):
            run.save(path, step, model.state_dict(), metadata)
        if run.stopping:
            return
    if run.declares("epsilon"):
        run.log("epsilon", privacy.steps, spent(engine.accountant, privacy.delta))


def _by_person(records: Iterable[Record]) -> dict[str, list[Record]]:
    people: dict[str, list[Record]] = {}
    for record in records:
        people.setdefault(record.subject, []).append(record)
    return people
