"""A one-run audit of the private engine, on nobody's voice: canaries are made up, and half of them are trained on."""

import numpy as np
import torch
from torch import nn

from sandbox.training import batches, fastpitch
from sandbox.training.audit import audit, claim, silenced
from sandbox.training.run import Utterance
from sandbox.training.soundness import made_up

STEEP = 5.0  # the length of a canary's gradient, over any clip that is worth training with
SHAPE = fastpitch.Shape(hidden=48, inner=96, layers=1, heads=1)


def main(run):
    p = run.parameters
    torch.manual_seed(1)
    claimed = claim(p["epsilon"], p["delta"], p["sample_rate"], p["steps"])
    trained = claimed if p["noise"] else silenced(claimed)
    model, loss, canaries = MODELS[p["model"]](p["canaries"])
    divisor = p["sample_rate"] * p["canaries"] / 2
    found = audit(model, loss, claimed, canaries, divisor=divisor, learning_rate=1e-3, trained=trained)
    for name in ("claim", "lower_bound", "guesses", "correct"):
        run.log(name, p["steps"], getattr(found, name))


def weights(count):
    """A weight for each canary, so that none hides behind another."""
    model = nn.ParameterDict({"weight": nn.Parameter(torch.zeros(count))})
    silence = np.zeros(1, dtype=np.float32)
    people = [[Utterance(str(n), f"canary-{n}", "en", "", 16_000, silence)] for n in range(count)]
    return model, lambda model, utterance: STEEP * model["weight"][int(utterance.record)], people


def voices(count):
    """FastPitch, and noise under a text for each canary."""

    def loss(model, utterance):
        batch = batches.collate([fastpitch.example(SHAPE, utterance)])
        return model.train_step(batch, model.get_criterion())[1]["loss"]

    return fastpitch.build(SHAPE), loss, [[made_up(n, "en")] for n in range(count)]


MODELS = {"weights": weights, "fastpitch": voices}
