"""What to do about a run's failure, from its code and the run's own parameters. Pure; the data is not known here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Failure -> what mends it. A code may carry the id of a record behind a colon.
_MENDS: Mapping[str, str] = {
    "recipe.loss_not_finite": "a smaller learning_rate or clip, or float32; {resume}",
    "recipe.not_deterministic": "deterministic: false, or a machine whose operations give the same bits each time",
    "recipe.metric_not_finite": "log only what is a number",
    "recipe.metric_undeclared": "name the metric, with its bounds, in the recipe's card",
    "metric.undeclared": "name the metric, with its bounds, in the recipe's card",
    "recipe.artifact_undeclared": "name the file in the recipe's card",
    "recipe.resume_step": "ask for more steps than the checkpoint has",
    "recipe.resume_data": "go on with the data and batches that the checkpoint was made with, or begin anew",
    "recipe.resume_shape": "go on with the recipe and parameters that made the checkpoint, or begin anew",
    "recipe.no_such_voice": "-p voice=N below the number of the model's voices; 0 where it has one",
    "recipe.sentences": '-p "sentences=one. | two." with 1 to 32 sentences',
    "recipe.nothing_said": "the model says nothing audible for these texts, or none of the recordings can be measured",
    "recipe.vocoder": "leave the vocoder out: this model needs none",
    "recipe.model_shape": "give it a model of a recipe that speaks: `sandbox models show` says what it was made by",
    "recipe.language": "a language as espeak-ng calls it: en, es, fr, it, ru, …",
    "recipe.voiceprint": "build the runner image anew: it lacks the locked Resemblyzer wheel",
    "recipe.voices": "-p voices=N with the number of people in the data, or fewer subjects",
    "recipe.input_undeclared": "the card's `inputs` names what the recipe may read",
    "recipe.no_examples": "give the run records that the recipe can use",
    "base.malformed": "it is cut short, or no checkpoint: download it again and compare its digest",
    "base.pickle": "it asks for code to be run, so it stays closed: take a copy that holds weights alone",
    "base.empty": "it holds no weights: name the file with the model, not its configuration or its optimizer",
    "base.config": "--config is the config.json published beside it: one JSON object, at most 48 KiB as one line",
    "base.model": "name a base of the recipe's own model: `sandbox models show` says which it is of",
    "base.shape": "ask for the sizes and the vocabulary that the base was made with",
    "base.speaker_encoder": "bring the base in with its speaker encoder in the file, under speaker_encoder.",
    "base.tokenizer": "bring the base in with the bytes of its vocab.json as the tensor `tokenizer`: docs/recipes.md",
    "base.language": "leave the recordings of that language out, or take a base that learned it",
    "run.stop_unheard": "the recipe must look at run.stopping between its steps; {resume}",
    "run.time_limit": "ask for a longer compute.time_limit; {resume}",
    "trainer.gone": "it may have been out of memory: {smaller}; {resume}",
    "keeper.gone": "its container died; {resume}",
    "privacy.noise": "more people a step, a smaller model, a larger epsilon; or accept_noise: true",
    "privacy.delta": "a delta below one over the number of people",
    "privacy.mode": "mode: streaming, which is exact for every model",
    "privacy.accountants": "report it: the trainer and the gate count epsilon differently; nothing was registered",
    "privacy.people": "a dataset of more people, or a smaller sample_rate and people_per_step",
    "record.sample_rate": "seal recordings at the rate that the recipe wants; the record: {record}",
    "record.too_long": "cut it or leave its person out; the record: {record}",
    "record.too_short": "correct or leave it out: sandbox data correct; the record: {record}",
    "record.silent": "correct or leave it out: sandbox data correct; the record: {record}",
    "record.clipped": "record it anew at a lower level; the record: {record}",
    "record.symbols": "correct its transcript, or widen the recipe's vocabulary; the record: {record}",
}


def mend_of(failure: str, run: str, parameters: Mapping[str, Any]) -> str:
    """One line of advice; empty where there is none."""
    code, record = _parted(failure)
    smaller = _smaller(parameters)
    if code == "recipe.out_of_memory":
        return f"{smaller}; sandbox runs resume {run} goes on only with the same batches, so begin anew"
    resume = f"sandbox runs resume {run} goes on from its last checkpoint, if it left one"
    return _MENDS.get(code, "").format(resume=resume, smaller=smaller, record=record)


def _parted(failure: str) -> tuple[str, str]:
    code, _, record = failure.partition(":")
    return (code, record) if code.startswith("record.") else (failure, "")


def _smaller(parameters: Mapping[str, Any]) -> str:
    size = parameters.get("batch_size")
    if not isinstance(size, int) or isinstance(size, bool) or size < 2:
        return "ask for more compute.memory"
    again = int(parameters.get("accumulate", 1)) if "accumulate" in parameters else 0
    same = f" and accumulate: {2 * again}, which is the same step" if again else ""
    return f"try batch_size: {size // 2}{same}, or more compute.memory"
