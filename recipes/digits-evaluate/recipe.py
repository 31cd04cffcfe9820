"""Say the numbers with a sealed model; a recogniser that never met the voice says what it hears (pocketsphinx, JSGF).

``heard`` at step i is the index of the word that was heard for word i, or -1 for none.
"""

import numpy as np
import torch
from pocketsphinx import Decoder

from sandbox.training import fastpitch

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
         "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"]  # fmt: skip
RATE = 16_000  # Hz
QUIET = 0.2  # seconds before and after each word
ROOM = 1e-3  # a room's noise, -60 dB: digital silence upsets the recogniser


def main(run):
    given = run.input("model")
    shape, model = fastpitch.restore(given.tensors, given.metadata)
    torch.manual_seed(0)
    answers = []
    for index, word in enumerate(WORDS):
        sound = fastpitch.speak(shape, model, word).numpy()
        answer = recognise(sound)
        answers.append({"word": word, "heard": answer, "seconds": round(len(sound) / RATE, 3)})
        run.save_audio(f"audio/{word}.flac", index, sound, RATE)
        run.log("heard", index, WORDS.index(answer) if answer in WORDS else -1)
        run.progress(index + 1, len(WORDS))
    understood = sum(a["word"] == a["heard"] for a in answers)
    run.log("understood", len(WORDS), understood)
    run.save_json("report.json", len(WORDS), {"understood": understood, "of": len(WORDS), "words": answers})


def recognise(sound):
    """The word of WORDS that is heard, or None; a fresh recogniser each time, which learned nothing from the last."""
    decoder = Decoder(samprate=RATE, lm=None, loglevel="FATAL")
    decoder.add_jsgf_string("words", f"#JSGF V1.0;\ngrammar words;\npublic <word> = {' | '.join(WORDS)};\n")
    decoder.activate_search("words")
    pad = np.zeros(int(QUIET * RATE), dtype=np.float32)
    audio = np.concatenate([pad, sound, pad])
    audio += ROOM * np.random.default_rng(0).standard_normal(len(audio)).astype(np.float32)
    decoder.start_utt()
    decoder.process_raw((np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()
    return decoder.hyp().hypstr if decoder.hyp() else None
