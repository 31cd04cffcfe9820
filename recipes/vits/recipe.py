"""VITS as coqui publishes it. 83 M parameters, 47 M of them its discriminator; 15 M with ``size: tiny``."""

from dataclasses import replace

import torch

from sandbox.training import bases, batches, corpus, loop, vits

SPEECH = "speech.flac"  # listed in the grant of a dry run only
CLIP = 1000.0


def main(run):
    p = run.parameters
    torch.manual_seed(p["seed"])

    shape = vits.VITS if p["size"] == "full" else vits.tiny(vits.VITS)
    shape = replace(shape, voices=p["voices"])
    model = vits.build(shape)
    bases.start(run, model, shape)

    examples = corpus.examples(run, lambda heard, voice: vits.example(shape, heard, voice), p["voices"])
    feed = batches.Batches(
        examples,
        p["batch_size"],
        torch.Generator().manual_seed(p["seed"]),
        bucket=8,
        collate=lambda some: vits.batch(shape, some),
    )
    optimizers = [
        torch.optim.AdamW(part, lr=p["learning_rate"], betas=(0.8, 0.99), eps=1e-9, weight_decay=0.01)
        for part in vits.parameters(model)  # the discriminator, then the generator
    ]
    decay = 0.999875 ** (p["batch_size"] / len(examples))  # of an epoch, spread over its steps
    schedules = [torch.optim.lr_scheduler.ExponentialLR(optimizer, decay) for optimizer in optimizers]
    loop.train(
        run,
        model,
        feed,
        optimizers,
        schedules,
        steps=p["steps"],
        metadata=shape.released(),
        clip=CLIP,
        deterministic=p["deterministic"],
    )

    if p["speak"] and run.may_save(SPEECH):
        run.save_audio(SPEECH, p["steps"], vits.speak(shape, model.eval(), p["speak"]), 16_000)
