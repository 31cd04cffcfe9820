"""A tiny FastPitch over five languages. The engine trains it with differential privacy; here are model and loss.

The model is told the language, never the person: a table of speakers would be a release of its own.
"""

from sandbox.training import batches, corpus, fastpitch

LANGUAGES = ("en", "es", "fr", "it", "ru")
SHAPE = fastpitch.Shape(
    characters=fastpitch.LATIN + fastpitch.ACCENTS + fastpitch.CYRILLIC,
    hidden=48,
    inner=96,
    layers=1,
    heads=1,
    voices=len(LANGUAGES),
)


def model(_run):
    return fastpitch.build(SHAPE)


def loss(model, utterance):
    example = corpus.alone(fastpitch.example(SHAPE, utterance, LANGUAGES.index(utterance.language)))
    _, losses = model.train_step(batches.collate([example], voices=True), model.get_criterion())
    return losses["loss"]


def released(_model):
    return fastpitch.released(SHAPE)
