"""XTTS v2, its GPT tuned from a base: codes of sound from text and a sample. 441 M parameters; tiny is for tests."""

import torch

from sandbox.training import batches, loop, xtts


def main(run):
    p = run.parameters
    torch.manual_seed(p["seed"])

    base = run.input("base")
    tokenizer = xtts.vocabulary_of(base)
    shape = xtts.shape_of(tokenizer, xtts.XTTS if p["size"] == "full" else xtts.tiny(xtts.XTTS))
    model = xtts.build(shape)
    ears = xtts.load(shape, model, base)
    del base

    feed = batches.Batches(
        xtts.examples(run, tokenizer, ears),
        p["batch_size"],
        torch.Generator().manual_seed(p["seed"]),
        bucket=8,
        collate=lambda some: xtts.batch(ears, some),
        length=lambda one: len(one.codes),
    )
    adam = torch.optim.AdamW(xtts.groups(model), lr=p["learning_rate"], betas=(0.9, 0.96), eps=1e-8)
    halved = torch.optim.lr_scheduler.MultiStepLR(adam, [900_000, 2_700_000, 5_400_000], gamma=0.5)
    loop.train(
        run,
        model,
        feed,
        [adam],
        [halved],
        steps=p["steps"],
        metadata=shape.released(),
        accumulate=p["accumulate"],
        mixed=p["mixed"],
    )
