"""HiFi-GAN V1 turns log-mels into sound. 84.7 M parameters, 13.9 M its generator's; 0.67 M with ``size: tiny``."""

import torch

from sandbox.training import bases, batches, corpus, hifigan, loop, usable

SPEECH = "speech.flac"  # listed in the grant of a dry run only


def main(run):
    p = run.parameters
    torch.manual_seed(p["seed"])

    shape = hifigan.V1 if p["size"] == "full" else hifigan.tiny(hifigan.V1)
    model = hifigan.build(shape)
    bases.start(run, model, shape)

    clips = [hifigan.example(heard) for heard in usable.usable(run.stream(), corpus.HEARD)]
    chance = torch.Generator().manual_seed(p["seed"])  # of order and segments; a checkpoint keeps it
    feed = batches.Batches(
        clips, p["batch_size"], chance, collate=lambda some: hifigan.batch(shape, some, chance)
    )
    optimizers = [
        torch.optim.AdamW(part, lr=p["learning_rate"], betas=(0.8, 0.99), weight_decay=0.01)
        for part in hifigan.parameters(model)  # the discriminator, then the generator
    ]
    decay = 0.999 ** (p["batch_size"] / len(clips))  # of an epoch, spread over its steps
    schedules = [torch.optim.lr_scheduler.ExponentialLR(optimizer, decay) for optimizer in optimizers]
    loop.train(
        run,
        model,
        feed,
        optimizers,
        schedules,
        steps=p["steps"],
        metadata=shape.released(),
        deterministic=p["deterministic"],
    )

    if p["speak"] and run.may_save(SPEECH):  # copy synthesis: a public recording through its mel and back
        clip = next((clip for clip in clips if clip.text == p["speak"]), clips[0])
        run.save_audio(SPEECH, p["steps"], hifigan.sound(model.eval(), clip.mel), 16_000)
