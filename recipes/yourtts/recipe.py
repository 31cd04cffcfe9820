"""YourTTS, tuned from a base: a voice is told by a vector. 86.8 M parameters; 15.6 M with ``size: tiny``."""

import torch

from sandbox.training import batches, corpus, loop, yourtts

CLIP = 1000.0


def main(run):
    p = run.parameters
    torch.manual_seed(p["seed"])

    base = run.input("base")
    sizes = yourtts.YOURTTS if p["size"] == "full" else yourtts.tiny(yourtts.YOURTTS)
    shape = yourtts.shape_of(base, sizes)
    model = yourtts.build(shape)
    voice = yourtts.load(shape, model, base)
    del base

    examples = corpus.examples(run, lambda heard, _: yourtts.example(shape, heard, voice))
    feed = batches.Batches(
        examples,
        p["batch_size"],
        torch.Generator().manual_seed(p["seed"]),
        bucket=8,
        collate=lambda some: yourtts.batch(shape, some),
    )
    optimizers = [
        torch.optim.AdamW(part, lr=p["learning_rate"], betas=(0.8, 0.99), eps=1e-9, weight_decay=0.01)
        for part in yourtts.parameters(model)  # the discriminator, then the generator
    ]
    decay = 0.999875 ** (p["batch_size"] / len(examples))  # of an epoch, spread over its steps
    schedules = [torch.optim.lr_scheduler.ExponentialLR(optimizer, decay) for optimizer in optimizers]
    loop.train(
        run, model, feed, optimizers, schedules, steps=p["steps"], metadata=shape.released(), clip=CLIP
    )
