"""Training with differential privacy whose unit is a person. The engine does it; the recipe gives model and loss.

Each step: Poisson-sample people, average at most ``utterances_per_person`` utterances of each, backward **one
person at a time**, clip that person's gradient to C, accumulate, add noise, divide by a public constant
(Abadi et al. 2016, with the unit of McMahan et al. 2018). It is exact by construction for every model: no two
people ever share a batch, so there is no padding, length or normalisation that could couple them. Opacus'
``DPOptimizer`` clips and its accountant counts. Faster ways are tried first, and refused where they differ
(:mod:`sandbox.training.private_modes`).

The recipe gets :class:`Setting`, never a ``Run``: it cannot log, save or see who is there. Only what requires a
gradient is trained. Released are the weights at the grant's fixed steps (from a base: what was trained of them), and
two figures that follow from public constants. An approved recipe is code that was reviewed; the checks here catch
mistakes, not malice inside the process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

import torch
from opacus.accountants import PRVAccountant
from opacus.optimizers import DPOptimizer
from torch import nn

from sandbox.errors import PrivacyError, RecipeError
from sandbox.runs import RESUME, Privacy
from sandbox.training.accounting import COUNTED, bound, spent
from sandbox.training.pipe import Channel
from sandbox.training.private_modes import GHOST, HOOKS, STREAMING, Losses, by_ghost, by_hooks, check_mode
from sandbox.training.run import Job, Loaded, Record, Run, Utterance
from sandbox.training.sampling import PrivateRandomness
from sandbox.training.soundness import (
    Loss,
    changed,
    check_model,
    check_noise,
    check_people,
    check_target,
    made_up,
    remembered,
    snapshot,
)

EPSILONS = 100  # how often a run tells its epsilon at most: PRV takes a third of a second each time


@dataclass(frozen=True)
class Setting:
    """What a recipe may know while it builds its model: the run's parameters, and the models that were given to it.

    Neither is data of this run. What an input tells of its own people, no epsilon of this run bounds.
    """

    parameters: Mapping[str, Any]
    inputs: Mapping[str, Loaded] = field(default_factory=dict)


class NoisyOptimizer(DPOptimizer):
    """Opacus' optimizer with private noise instead of a torch generator's."""

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
        mode: str = STREAMING,
        losses: Losses | None = None,
    ) -> None:
        self.model, self._loss, self._privacy = model, loss, privacy
        if mode != STREAMING and losses is None:
            raise PrivacyError("a faster way needs a loss for each recording", code="privacy.mode")
        self._mode, self._losses = mode, losses or _none
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        self.randomness = randomness or PrivateRandomness()
        self.accountant = PRVAccountant()
        adam = torch.optim.AdamW(self._parameters, lr=learning_rate)
        self._optimizer = NoisyOptimizer(adam, privacy, divisor, self.randomness)
        self._count = self.accountant.get_optimizer_hook_fn(privacy.sample_rate)
        self._optimizer.attach_step_hook(self._count)
        self._seen: list[torch.Tensor] = []
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
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad.detach() for p in self._parameters]
        self.model.zero_grad(set_to_none=True)  # they are the caller's now: nothing adds to them any more
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

    def add_all(self, people: Iterable[Sequence[Utterance]]) -> None:
        """:meth:`add` for each of ``people``, or together, in a mode that :func:`check_mode` has accepted.

        Where somebody's recording breaks the faster way, all go one at a time: nobody may silence the others.
        """
        if self._mode == STREAMING:
            for utterances in people:
                self.add(utterances)
            return
        some = [utterances for utterances in people if utterances]
        if some and not self._added_together(some):
            for utterances in some:
                self.add(utterances)

    def _added_together(self, people: Sequence[Sequence[Utterance]]) -> bool:
        try:
            found = (
                by_ghost(self.model, self._losses, people, self._privacy.clip)
                if self._mode == GHOST
                else by_hooks(self.model, self._losses, people)
            )
        except Exception:  # noqa: BLE001 - as in gradient: no failure may tell whose it was
            return False
        if changed(self.model, self._state):
            raise PrivacyError("the loss changes the model's state", code="privacy.state")
        if not all(bool(g.isfinite().all()) for g in found):
            return False
        if self._mode == HOOKS:
            self._accumulate(found, last=False)
        else:
            for parameter, clipped in zip(self._parameters, found, strict=True):
                so_far = parameter.summed_grad
                parameter.summed_grad = clipped if so_far is None else so_far + clipped
        return True

    def clipped_sum(self) -> list[torch.Tensor]:
        """What :meth:`add` has accumulated since the last step, before noise."""
        return [torch.zeros_like(p) if p.summed_grad is None else p.summed_grad for p in self._parameters]

    def step(self) -> None:
        """Noise, the public divisor, the optimizer, the accountant. Nobody sampled is a step of noise alone."""
        self._accumulate([p.detach().new_zeros((0, *p.shape)) for p in self._parameters], last=True)
        self._state = snapshot(self.model)

    def noisy_step(self) -> list[torch.Tensor]:
        """As :meth:`step`; what the inner optimizer was given, which is all that an attacker sees of it."""
        self._optimizer.attach_step_hook(self._watch)
        self.step()
        self._optimizer.attach_step_hook(self._count)
        return self._seen

    def _watch(self, optimizer: DPOptimizer) -> None:
        self._seen = [p.grad.detach().clone() for p in optimizer.params]
        self._count(optimizer)

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
    if RESUME in job.inputs:
        raise PrivacyError("a private training starts at its first step", code="privacy.resume")
    people = _by_person(job.records)
    check_people(privacy, len(people), divisor)
    run = Run(job, channel)
    model = make(Setting(dict(settings), {path: run.input(path) for path in job.inputs}))
    model.train()  # as the engine trains it: a restored base comes ready to speak, and would be tried as that
    languages = sorted({record.language for record in job.records}) or ["en"]  # the grant lists them
    kept = remembered(module)
    check_model(model, loss, (made_up(1, languages[0]), made_up(2, languages[-1])))
    _check_memory(module, kept)
    mode, losses = str(settings.get("mode", STREAMING)), getattr(module, "losses", None)
    check_mode(mode, model, loss, losses, most, languages=(languages[0], languages[-1]))
    engine = Engine(
        model, loss, privacy, divisor=divisor, learning_rate=learning_rate, mode=mode, losses=losses
    )
    ratio = check_noise(privacy, sum(p.numel() for p in model.parameters() if p.requires_grad), divisor)

    if run.declares("noise_to_signal"):
        run.log("noise_to_signal", 0, ratio)
    metadata = _told_beside(module, model)  # before any utterance is seen
    thinned = -(-privacy.steps // EPSILONS)
    for step in range(1, privacy.steps + 1):
        came = engine.randomness.included(sorted(people), privacy.sample_rate)
        engine.add_all(_nameless(run, engine.randomness.choose(people[who], most)) for who in came)
        _check_memory(module, kept)
        engine.step()
        channel.send(
            "progress", step=step, total=privacy.steps, rate=0.0
        )  # a rate would tell how many were sampled
        for path in run.due(step):
            run.save(path, step, _released(model, from_a_base=bool(job.inputs)), metadata)
        if run.declares("epsilon") and (step % thinned == 0 or step == privacy.steps):
            _tell_epsilon(run, step, engine.accountant, privacy)
        if run.stopping:
            return


def _nameless(run: Run, records: Sequence[Record]) -> list[Utterance]:
    """A person's utterances, of nobody: what a loss makes of them is the same for everybody, no row is somebody's."""
    return [replace(utterance, record="", subject="") for utterance in run.utterances(records)]


def _check_memory(module: ModuleType, kept: Mapping[str, str]) -> None:
    """Raises PrivacyError when the recipe keeps something of what it saw, where no noise is added."""
    if remembered(module) != kept:
        raise PrivacyError("the recipe remembers what it sees outside of the model", code="privacy.state")


def _released(model: nn.Module, *, from_a_base: bool) -> Mapping[str, torch.Tensor]:
    """The model; of one that began from a base what was trained alone. The rest is the base's, and stays with it."""
    if not from_a_base:
        found: Mapping[str, torch.Tensor] = model.state_dict()
        return found
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def _told_beside(module: ModuleType, model: nn.Module) -> Mapping[str, str]:
    released = getattr(module, "released", None)
    return released(model) if callable(released) else {}


def _tell_epsilon(run: Run, step: int, accountant: PRVAccountant, privacy: Privacy) -> None:
    """What the steps so far have cost, by public constants alone; beyond what PRV can count nothing is told."""
    if bound(privacy.sigma, privacy.sample_rate, step, privacy.delta) <= COUNTED:
        run.log("epsilon", step, spent(accountant, privacy.delta))


def _none(_model: nn.Module, _utterances: Sequence[Utterance]) -> torch.Tensor:
    return torch.zeros(0)


def _by_person(records: Iterable[Record]) -> dict[str, list[Record]]:
    people: dict[str, list[Record]] = {}
    for record in records:
        people.setdefault(record.subject, []).append(record)
    return people
