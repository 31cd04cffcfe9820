"""Learning rates over steps."""

from __future__ import annotations

import torch
from trainer.torch import NoamLR

from sandbox.training.schedules import noam


def test_noam_is_coquis() -> None:
    found = []
    for make in (noam, NoamLR):
        adam = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
        schedule, rates = make(adam, warmup_steps=10), list[float]()
        for _ in range(40):
            adam.step()
            schedule.step()
            rates.append(schedule.get_last_lr()[0])
        found.append(rates)
    torch.testing.assert_close(*map(torch.tensor, found))
    assert max(found[0]) == found[0][8] and abs(found[0][8] - 1e-3) < 1e-9
