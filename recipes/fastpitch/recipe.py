"""FastPitch as coqui publishes it: phonemes, pitch, its own aligner. 37.5 M parameters; 0.12 M with ``size: tiny``."""

from dataclasses import replace

import torch

from sandbox.training import bases, batches, corpus, fastpitch, loop, schedules

SPEECH = "speech.flac"  # listed in the grant of a dry run only


def main(run):
    p = run.parameters
    torch.manual_seed(p["seed"])

    shape = fastpitch.FASTPITCH if p["size"] == "full" else fastpitch.tiny(fastpitch.FASTPITCH)
    shape = replace(shape, voices=p["voices"] if p["voices"] > 1 else 0)
    model = fastpitch.build(shape)
    bases.start(run, model, shape)

    examples = corpus.examples(run, lambda heard, voice: fastpitch.example(shape, heard, voice), p["voices"])
    feed = batches.Batches(
        examples,
        p["batch_size"],
        torch.Generator().manual_seed(p["seed"]),
        bucket=8,
        collate=lambda some: fastpitch.batch(some, voices=p["voices"] > 1),
    )
    adam = torch.optim.Adam(model.parameters(), lr=p["learning_rate"], betas=(0.9, 0.998), weight_decay=1e-6)
    noam = schedules.noam(adam, warmup_steps=p["warmup_steps"])
    loop.train(
        run,
        model,
        feed,
        [adam],
        [noam],
        steps=p["steps"],
        metadata=shape.released(),
        accumulate=p["accumulate"],
        mixed=p["mixed"],
        deterministic=p["deterministic"],
    )

    if p["speak"] and run.may_save(SPEECH):
        run.save_audio(SPEECH, p["steps"], fastpitch.speak(shape, model.eval(), p["speak"]), 16_000)
