"""Tacotron 2 with double decoder consistency as coqui publishes it. 47.7 M parameters; 0.26 M with ``size: tiny``."""

from dataclasses import replace

import torch

from sandbox.training import bases, batches, corpus, loop, schedules, tacotron2

SPEECH = "speech.flac"  # listed in the grant of a dry run only


def main(run):
    p = run.parameters
    torch.manual_seed(p["seed"])

    shape = tacotron2.TACOTRON2_DDC if p["size"] == "full" else tacotron2.tiny(tacotron2.TACOTRON2_DDC)
    shape = replace(shape, voices=p["voices"])
    model = tacotron2.build(shape)
    bases.start(run, model, shape)

    examples = corpus.examples(
        run, lambda heard, voice: tacotron2.example(shape, heard, voice), p["voices"], tacotron2.HEARD
    )
    feed = batches.Batches(
        examples,
        p["batch_size"],
        torch.Generator().manual_seed(p["seed"]),
        bucket=8,
        collate=lambda some: tacotron2.batch(shape, some),
    )
    radam = torch.optim.RAdam(
        model.parameters(), lr=p["learning_rate"], betas=(0.9, 0.998), weight_decay=1e-6
    )
    noam = schedules.noam(radam, warmup_steps=p["warmup_steps"])
    loop.train(
        run,
        model,
        feed,
        [radam],
        [noam, tacotron2.Gradual(model)],
        steps=p["steps"],
        metadata=shape.released(),
        accumulate=p["accumulate"],
        deterministic=p["deterministic"],
    )

    if p["speak"] and run.may_save(SPEECH):
        run.save_audio(SPEECH, p["steps"], tacotron2.speak(shape, model.eval(), p["speak"]), 16_000)
