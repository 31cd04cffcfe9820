"""FastPitch of 1.3 M parameters learns to say numbers from 31 recordings, in some four minutes on two cores."""

import torch

from sandbox.training import batches, fastpitch, loop, usable

WARMUP_STEPS = 50
HEARD = usable.Wanted(sample_rate=16_000, characters=fastpitch.LATIN + " ")
SPEECH = "speech.flac"  # listed in the grant of a dry run only


def main(run):
    steps, size, seed = run.parameters["steps"], run.parameters["batch_size"], run.parameters["seed"]
    torch.manual_seed(seed)

    shape = fastpitch.Shape()
    model = fastpitch.build(shape)
    examples = [fastpitch.example(shape, utterance) for utterance in usable.usable(run.stream(), HEARD)]
    feed = batches.Batches(examples, size, torch.Generator().manual_seed(seed))

    optimizer = torch.optim.AdamW(model.parameters(), lr=run.parameters["learning_rate"], fused=True)
    warmup = torch.optim.lr_scheduler.LinearLR(optimizer, 1 / WARMUP_STEPS, total_iters=WARMUP_STEPS)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    loop.train(
        run,
        model,
        feed,
        [optimizer],
        [warmup, cosine],
        steps=steps,
        metadata=fastpitch.released(shape),
    )

    if run.parameters["speak"] and run.may_save(SPEECH):
        run.save_audio(SPEECH, steps, fastpitch.speak(shape, model.eval(), run.parameters["speak"]), 16_000)
