"""A frozen FastPitch learns a little more, privately: the engine trains low-rank adapters alone, and they alone leave.

The base is the input `base`, a model of `digits` or `fastpitch`. What epsilon bounds is told of this run's people;
of those that the base was made from it says nothing.
"""

from sandbox.training import adapters, corpus, fastpitch


def model(setting):
    p = setting.parameters
    shape, model = adapters.of_base(setting.inputs["base"], p["rank"], phonemes=p["text"] == "phonemes")
    model.shape, model.rank = shape, p["rank"]
    return model


def loss(model, utterance):
    example = corpus.alone(fastpitch.example(model.shape, utterance))
    _, losses = model.train_step(fastpitch.batch([example]), model.get_criterion())
    return losses["loss"]


def released(model):
    return adapters.released(model.shape, model.rank)
