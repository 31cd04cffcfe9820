"""How good is a sealed model? It says texts that were recorded, and each sound is measured against the recording.

Only numbers leave: medians, quartiles and counts over all utterances, never a text, a sound or a record's id.
"""

import torch

from sandbox.training import corpus, evaluation, heldout, lengths, speaking, usable

HEARD = usable.Wanted(sample_rate=16_000)


def main(run):
    p = run.parameters
    torch.manual_seed(p["seed"])
    speaker = speaking.restore(*[run.input(name) for name in ("model", "vocoder") if name in run.inputs])
    own = corpus.voices(run.records, speaker.rows) if p["voice"] < 0 else {}

    pairs, left_out, most = [], 0, min(p["most"], len(run.records))
    for heard in run.stream():
        if p["held_out"] and not heldout.held_out(heard.text, p["held_out"]):
            continue
        if usable.fault_of(heard, HEARD):
            left_out += 1
            continue
        voice = own.get(heard.subject, p["voice"])
        said = speaker.say(heard.text, heard.language, voice)
        if speaking.audible(said):
            pairs.append(evaluation.Pair(heard, said, lengths.error_ms(speaker, heard, voice)))
        else:
            left_out += 1
        run.progress(len(pairs), most)
        if len(pairs) == most or run.stopping:
            break
    evaluation.tell(run, pairs, left_out)
