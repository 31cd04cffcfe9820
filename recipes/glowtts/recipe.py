"""GlowTTS as coqui publishes it: phonemes, an invertible flow. 28.6 M parameters; 0.11 M with ``size: tiny``."""

from dataclasses import replace

import torch

from sandbox.training import bases, batches, corpus, glowtts, loop, schedules

SPEECH = "speech.flac"  # listed in the grant of a dry run only


def main(run):
    p = run.parameters
    torch.manual_seed(p["seed"])

    shape = glowtts.GLOWTTS if p["size"] == "full" else glowtts.tiny(glowtts.GLOWTTS)
    shape = replace(shape, voices=p["voices"])
    model = glowtts.build(shape)
    started = bases.start(run, model, shape)

    examples = corpus.examples(run, lambda heard, voice: glowtts.example(shape, heard, voice), p["voices"])
    feed = batches.Batches(
        examples,
        p["batch_size"],
        torch.Generator().manual_seed(p["seed"]),
        bucket=8,
        collate=lambda some: glowtts.batch(shape, some),
    )
    if not (run.resumes or started):
        glowtts.initialise(model, glowtts.batch(shape, examples[: p["batch_size"]]))

    radam = torch.optim.RAdam(
        model.parameters(), lr=p["learning_rate"], betas=(0.9, 0.998), weight_decay=1e-6
    )
    noam = schedules.noam(radam, warmup_steps=p["warmup_steps"])
    loop.train(
        run,
        model,
        feed,
        [radam],
        [noam],
        steps=p["steps"],
        metadata=shape.released(),
        accumulate=p["accumulate"],
        deterministic=p["deterministic"],
    )

    if p["speak"] and run.may_save(SPEECH):
        run.save_audio(SPEECH, p["steps"], glowtts.speak(shape, model.eval(), p["speak"]), 16_000)
