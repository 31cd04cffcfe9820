"""Ways to a step's clipped sum: one person at a time, or faster ones of Opacus, which are refused where they differ.

``streaming``  one person's own backward pass at a time. The default, and exact by construction.
``hooks``      one backward pass for all who were sampled; Opacus keeps a gradient for each recording, and a person's is
               the mean over theirs, clipped after that.
``ghost``      two backward passes that keep norms alone (Li et al. 2021, fast gradient clipping). A norm of a recording
               is none of a person: only with one recording a person.

The fast ways need ``losses(model, utterances) -> [N]`` of the recipe, a loss for each recording: a scalar for all of
them has been divided by everybody's lengths, and ghost clipping would clip nothing of it and say nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from opacus.grad_sample import GradSampleHooks, GradSampleHooksFastGradientClipping
from torch import Tensor, nn

from sandbox.errors import PrivacyError
from sandbox.training.run import Utterance
from sandbox.training.soundness import Loss, changed, made_up, snapshot

STREAMING, HOOKS, GHOST = "streaming", "hooks", "ghost"
MODES = (STREAMING, HOOKS, GHOST)
CLOSE = 1e-4  # how far a fast way may be from the streaming one, relative to the gradient's length

Person = Sequence[Utterance]
Losses = Callable[[nn.Module, Sequence[Utterance]], Tensor]

_TEXTS = ("seven", "a public text", "a much longer public text than all the others here", "two words")


def check_mode(
    mode: str,
    model: nn.Module,
    loss: Loss,
    losses: Losses | None,
    most: int,
    *,
    languages: tuple[str, str] = ("en", "es"),
) -> float:
    """Try ``mode`` on made-up people, loud and quiet, short and long; how far it is from streaming.

    It is a trial, not a proof: what couples two recordings only in the data would pass. Streaming needs none.

    Raises:
        PrivacyError: the mode is unknown, cannot express this, fails, or differs (``privacy.mode``).
    """
    if mode == STREAMING:
        return 0.0
    if mode not in MODES:
        raise _refused(f"no such mode; there are {', '.join(MODES)}")
    if losses is None:
        raise _refused("the recipe has no losses(model, utterances): a loss for each recording")
    if mode == GHOST and most != 1:
        raise _refused("ghost clipping knows a recording's norm, and none of a person with several")
    people = _people(1 if mode == GHOST else min(most, 2), languages)
    _tried(mode, model, losses, people[:2], 1.0)  # what fails fails at once
    apart = 0.0
    for some in (people, people[:1], people[::-1][:2]):
        alone = [_steady(lambda one=one: one_at_a_time(model, loss, one)) for one in some]  # type: ignore[misc]
        norms = sorted(_norm(gradient) for gradient in alone)
        for clip in (norms[0] / 2, norms[len(norms) // 2], 2 * norms[-1]):  # all are clipped, some, nobody
            expected = clipped_sum([torch.stack(rows) for rows in zip(*alone, strict=True)], clip)
            found = _tried(mode, model, losses, some, clip)
            apart = max(
                apart,
                _norm([a - b for a, b in zip(found, expected, strict=True)]) / max(_norm(expected), 1e-12),
            )
            if not apart < CLOSE:
                raise _refused("it gives other gradients than one person at a time")
    return apart


def one_at_a_time(model: nn.Module, loss: Loss, utterances: Person) -> list[Tensor]:
    """One person's gradient before clipping: the mean over their utterances, by a backward pass of their own."""
    model.zero_grad(set_to_none=True)
    for utterance in utterances:
        (loss(model, utterance) / len(utterances)).backward()
    found = _gradients(model)
    model.zero_grad(set_to_none=True)
    return found


def by_hooks(model: nn.Module, losses: Losses, people: Sequence[Person]) -> list[Tensor]:
    """Every person's gradient before clipping, for each parameter [people, ...].

    Raises:
        ValueError: what the hooks left is not a gradient of every parameter for each recording.
    """
    owner = [n for n, person in enumerate(people) for _ in person]  # whose each recording is
    with _undone(GradSampleHooks(model, strict=False, loss_reduction="sum"), model):
        _each(model, losses, people).sum().backward()
        rows = [_rows(p, len(owner)) for p in _trainable(model)]  # [N, ...]
    index = torch.tensor(owner)
    share = 1.0 / torch.bincount(index, minlength=len(people))[index]  # [N]: the mean over one's own
    return [
        row.new_zeros((len(people), *row.shape[1:])).index_add_(
            0, index, row * share.to(row).reshape(-1, *(1 for _ in row.shape[1:]))
        )
        for row in rows
    ]


def by_ghost(model: nn.Module, losses: Losses, people: Sequence[Person], clip: float) -> list[Tensor]:
    """The clipped sum over ``people``, each with one recording; no one's gradient ever exists.

    Raises:
        ValueError: somebody has several recordings, or a norm was left out.
    """
    if any(len(person) != 1 for person in people):
        raise ValueError("ghost clipping takes one recording a person")
    hooks = GradSampleHooksFastGradientClipping(
        model, strict=False, loss_reduction="sum", max_grad_norm=clip, use_ghost_clipping=True
    )
    with _undone(hooks, model):
        each = _each(model, losses, people)
        each.sum().backward(retain_graph=True)
        if any(getattr(p, "_norm_sample", None) is None for p in _trainable(model)):
            raise ValueError("a parameter has no norm")
        share = hooks.get_clipping_coef().detach()
        if share.shape != each.shape:
            raise ValueError("not a norm for each recording")
        model.zero_grad(set_to_none=True)
        hooks.disable_hooks()
        (share * each).sum().backward()
        return _gradients(model)


def clipped_sum(gradients: Sequence[Tensor], clip: float) -> list[Tensor]:
    """The sum over people of ``gradients`` [people, ...], each clipped as Opacus does."""
    norms = torch.stack([g.reshape(len(g), -1).norm(dim=1) for g in gradients], dim=1).norm(dim=1)  # [people]
    share = (clip / (norms + 1e-6)).clamp(max=1.0)
    return [torch.einsum("i,i...", share, g) for g in gradients]


def _tried(
    mode: str, model: nn.Module, losses: Losses, people: Sequence[Person], clip: float
) -> list[Tensor]:
    before = snapshot(model)
    try:
        if mode == GHOST:
            found = _steady(lambda: by_ghost(model, losses, people, clip))
        else:
            found = clipped_sum(_steady(lambda: by_hooks(model, losses, people)), clip)
    except Exception:  # noqa: BLE001 - whatever Opacus says of a layer that it does not know
        raise _refused("it cannot take this model's layers apart by recording") from None
    if changed(model, before):
        raise _refused("it changes the model's state")
    return found


def _each(model: nn.Module, losses: Losses, people: Sequence[Person]) -> Tensor:
    model.zero_grad(set_to_none=True)
    everything = [utterance for person in people for utterance in person]
    each = losses(model, everything)
    if not isinstance(each, Tensor) or each.shape != (len(everything),):
        raise ValueError("not a loss for each recording")
    return each


def _rows(parameter: nn.Parameter, count: int) -> Tensor:
    found = getattr(parameter, "grad_sample", None)
    if not isinstance(found, Tensor) or found.shape != (count, *parameter.shape):
        raise ValueError("not a gradient for each recording")
    return found.detach()


@contextmanager
def _undone(hooks: GradSampleHooks, model: nn.Module) -> Iterator[None]:
    """Afterwards as if there had been none: whatever a failed pass left on layers and weights is gone as well."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", "Full backward hook is firing"
            )  # a first layer has no gradient to pass
            yield
    finally:
        hooks.remove_hooks()
        for module in model.modules():
            for name in ("activations", "max_batch_len", "ft_compute_sample_grad"):
                vars(module).pop(name, None)
        for parameter in model.parameters():
            for name in ("grad_sample", "_current_grad_sample", "_forward_counter", "_norm_sample"):
                vars(parameter).pop(name, None)
        model.zero_grad(set_to_none=True)


def _gradients(model: nn.Module) -> list[Tensor]:
    return [torch.zeros_like(p) if p.grad is None else p.grad.detach().clone() for p in _trainable(model)]


def _people(recordings: int, languages: tuple[str, str]) -> list[list[Utterance]]:
    """Made-up people: of different length, loudness and text, the first of them quiet."""
    return [
        [
            _said(10 * n + i, languages[n % 2], _TEXTS[n], seconds, loudness)
            for i in range(1 + (n % 2) * (recordings - 1))
        ]
        for n, (seconds, loudness) in enumerate(((0.8, 0.01), (1.3, 1.0), (2.1, 3.0), (1.0, 1.0)))
    ]


def _said(seed: int, language: str, text: str, seconds: float, loudness: float) -> Utterance:
    made = made_up(seed, language, int(16_000 * seconds))
    return Utterance(made.record, made.subject, made.language, text, 16_000, loudness * made.audio)


def _steady(how: Callable[[], list[Tensor]]) -> list[Tensor]:
    """Under a fixed generator that is put back: with dropout no two ways draw the same, and they are told apart."""
    state = torch.get_rng_state()
    try:
        torch.manual_seed(0)
        return how()
    finally:
        torch.set_rng_state(state)


def _trainable(model: nn.Module) -> list[nn.Parameter]:
    return [p for p in model.parameters() if p.requires_grad]


def _norm(tensors: Sequence[Tensor]) -> float:
    return float(torch.cat([t.detach().double().flatten() for t in tensors]).norm())


def _refused(why: str) -> PrivacyError:
    return PrivacyError(f"this way of clipping is refused: {why}", code="privacy.mode")
