"""The averaged weights against their closed form."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sandbox.training.ema import Average


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, -2.0]))
        self.register_buffer("seen", torch.tensor(0))


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.999])
def test_an_average_is_its_closed_form(decay: float) -> None:
    model = Counting()
    average, history = Average(model, decay), [model.weight.detach().clone()]
    for step in range(1, 51):
        with torch.no_grad():
            model.weight.add_(torch.tensor([0.1 * step, -0.3]))
            model.seen += 1
        average.update(model)
        history.append(model.weight.detach().clone())
    first, *rest = history
    expected = decay**50 * first + sum((1 - decay) * decay ** (50 - k) * w for k, w in enumerate(rest, 1))
    torch.testing.assert_close(average.state_dict()["weight"], expected, rtol=1e-5, atol=1e-5)
    assert int(average.state_dict()["seen"]) == 50  # a counter is no average


def test_an_average_is_no_view_of_the_model() -> None:
    model = Counting()
    average = Average(model, 0.9)
    with torch.no_grad():
        model.weight.add_(1)
    assert average.state_dict()["weight"].tolist() == [1.0, -2.0]


@pytest.mark.parametrize("decay", [-0.1, 1.0, 2.0])
def test_a_decay_that_never_forgets_or_is_none_is_refused(decay: float) -> None:
    with pytest.raises(ValueError, match="decay"):
        Average(Counting(), decay)
