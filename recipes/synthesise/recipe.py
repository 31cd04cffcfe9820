"""A sealed model says a batch of sentences. Each sound leaves sealed, and its file says that a program made it."""

import torch

from sandbox.training import speaking

MOST = 32  # the card's items: 01 to 32
RATE = 16_000  # Hz


def main(run):
    p = run.parameters
    torch.manual_seed(p["seed"])
    speaker = speaking.restore(*[run.input(name) for name in ("model", "vocoder") if name in run.inputs])
    sentences = speaking.sentences(p["sentences"], MOST)
    for n, sentence in enumerate(sentences, 1):
        sound = speaker.say(sentence, p["language"], p["voice"])
        run.save_audio(f"audio/{n:02}.flac", n, sound, RATE)
        run.log("seconds", n, len(sound) / RATE)
        run.progress(n, len(sentences))
        if run.stopping:
            break
