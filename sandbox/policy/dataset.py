"""Dataset and inputs: known, under this agreement, still kept, nobody erased in them, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sandbox.policy.facts import Facts, ManifestFacts, chosen, speakers
from sandbox.policy.fields import moment_or_day
from sandbox.policy.rule import BOTH, Finding, Rule
from sandbox.runs import BASE, CONFIG, PUBLIC_FILES, RESUME, VOCODER, Request, utc

FINE_TUNING = "optimise"


def asked(request: Request) -> tuple[str, int | None] | None:
    """``digits@3`` -> ("digits", 3); ``digits`` -> ("digits", None), the head."""
    if request.dataset is None:
        return None
    name, _, version = request.dataset.partition("@")
    return name, int(version) if version.isdigit() else None


def _needed(request: Request, facts: Facts) -> Iterator[Finding]:
    if facts.recipe and facts.recipe.dataset == "required" and request.dataset is None:
        yield Finding(request.recipe, "it needs a dataset")


def _unexpected(request: Request, facts: Facts) -> Iterator[Finding]:
    if facts.recipe and facts.recipe.dataset != "required" and request.dataset is not None:
        yield Finding(request.recipe, "it takes no dataset, so none is opened for it")


def _found(request: Request, facts: Facts) -> ManifestFacts | None:
    wanted = asked(request)
    found = facts.manifest
    if (
        wanted is None
        or found is None
        or found.dataset != wanted[0]
        or wanted[1] not in (None, found.version)
    ):
        return None
    return found


def _unknown(request: Request, facts: Facts) -> Iterator[Finding]:
    if request.dataset is not None and _found(request, facts) is None:
        yield Finding(request.dataset, "no such dataset is sealed")
    if request.dataset is None and facts.manifest is not None:
        yield Finding(facts.manifest.dataset, "was not asked for")


def _unregistered(request: Request, facts: Facts) -> Iterator[Finding]:
    found, entry = _found(request, facts), facts.registered
    if found and (
        entry is None
        or (entry.dataset, entry.version, entry.manifest) != (found.dataset, found.version, found.digest)
        or set(entry.subjects) != set(found.subjects)
    ):
        yield Finding(
            f"{found.dataset}@{found.version}", "register and manifest name different people or bytes"
        )


def _not_reviewed(request: Request, facts: Facts) -> Iterator[Finding]:
    """V11: every record came from a consignment that two people reviewed, unless both parties signed otherwise."""
    found, entry = _found(request, facts), facts.registered
    limits = facts.terms.datasets.get(found.dataset) if found and facts.terms else None
    if found is None or entry is None or limits is None:
        return
    if (entry.direct or not entry.consignments) and limits.intake != "direct":
        yield Finding(f"{found.dataset}@{found.version}", "some record came in without a consignment")
    known = {row.consignment: row for row in facts.intake}
    for name in entry.consignments:
        row = known.get(name)
        if row is None or (row.state, row.dataset, row.agreement) != (
            "accepted",
            found.dataset,
            found.agreement,
        ):
            yield Finding(
                name, f"this consignment is {row.state if row else 'unknown'}, not accepted for the dataset"
            )
        elif len({review.reviewer for review in row.reviews} - {row.received_by}) < 2:
            yield Finding(name, "two different people did not review it")


def _not_listed(request: Request, facts: Facts) -> Iterator[Finding]:
    if facts.terms is None:
        return
    for name in sorted({dataset for dataset, _ in speakers(request, facts)}):
        if name not in facts.terms.datasets:
            yield Finding(name, "the agreement does not list it")


def _foreign(request: Request, facts: Facts) -> Iterator[Finding]:
    found = _found(request, facts)
    if found and found.agreement != request.agreement:
        yield Finding(found.dataset, f"it belongs to {found.agreement}")


def _outdated(request: Request, facts: Facts) -> Iterator[Finding]:
    found = _found(request, facts)
    if (
        found
        and facts.terms
        and found.agreement == request.agreement
        and found.agreement_digest != facts.terms.digest
    ):
        yield Finding(
            f"{found.dataset}@{found.version}", "it was sealed under another version of the agreement"
        )


def _expired(request: Request, facts: Facts) -> Iterator[Finding]:
    found = _found(request, facts)
    if found is None:
        return
    ends = [moment_or_day(found.retention_until)]
    if facts.terms and found.dataset in facts.terms.datasets:
        ends.append(facts.terms.datasets[found.dataset].retention_until)
    if facts.now >= min(ends):
        yield Finding(found.dataset, f"it could be kept until {utc(min(ends))}")


def _empty(request: Request, facts: Facts) -> Iterator[Finding]:
    if _found(request, facts) and not chosen(request, facts):
        yield Finding(str(request.dataset), "no subject is left to hear")
    if (
        request.dataset is None
        and not speakers(request, facts)
        and not set(request.inputs) - set(facts.inputs)
        and not any(found.public or found.bases for found in facts.inputs.values())
    ):
        yield Finding(request.recipe, "the run hears nobody: neither a dataset nor an input with a lineage")


def _strangers(request: Request, facts: Facts) -> Iterator[Finding]:
    found = _found(request, facts)
    if found:
        for subject in chosen(request, facts):
            if subject not in found.subjects and subject not in found.tombstones:
                yield Finding(subject, f"does not speak in {found.dataset}@{found.version}")


def _erased(request: Request, facts: Facts) -> Iterator[Finding]:
    gone = {entry.key for entry in facts.erasures}
    if facts.manifest:
        gone |= {(facts.manifest.dataset, subject) for subject in facts.manifest.tombstones}
    for dataset, subject in speakers(request, facts):
        if (dataset, subject) in gone:
            yield Finding(subject, f"asked to be forgotten ({dataset})")


def _inputs(request: Request, facts: Facts) -> Iterator[Finding]:
    if facts.recipe is None:
        return
    for name in facts.recipe.inputs:
        if name not in request.inputs and name not in _may_lack(facts):
            yield Finding(name, f"{request.recipe} needs it")
    for name in request.inputs:
        if name not in facts.recipe.inputs:
            yield Finding(name, f"{request.recipe} takes no such input")
    if {BASE, RESUME} <= set(request.inputs) and may_begin_fresh(facts.recipe.purposes):
        yield Finding(BASE, "a run goes on from a checkpoint or starts from a model, not both")


def _may_lack(facts: Facts) -> tuple[str, ...]:
    """A run may begin, or go on; a recipe that trains from fresh weights may start from a model; a vocoder may help."""
    fresh = facts.recipe is not None and may_begin_fresh(facts.recipe.purposes)
    return (RESUME, CONFIG, VOCODER, BASE) if fresh else (RESUME, CONFIG, VOCODER)


def may_begin_fresh(purposes: Collection[str]) -> bool:
    """Whether a recipe trains from fresh weights too. One that does not needs its base also where it goes on."""
    return "train" in purposes


def _public_file(request: Request, facts: Facts) -> Iterator[Finding]:
    """What nobody checked is opened where nothing of anybody is, by a recipe that takes it, and with its papers."""
    for name, found in facts.inputs.items():
        if found.public is not (name in PUBLIC_FILES):
            why = "a public file is no model" if found.public else "it is no public file"
            yield Finding(found.model, f"{why}: not the input {name}")
        elif found.public and (request.dataset is not None or _sealed(facts)):
            yield Finding(found.model, "it would be opened beside what is sealed")
        elif found.public and not all(request.parameters.get(word) for word in ("licence", "source")):
            yield Finding(found.model, "its licence and its source are not named")


def _sealed(facts: Facts) -> bool:
    takes = facts.recipe is not None and facts.recipe.dataset != "none"
    return takes or any(not found.public for found in facts.inputs.values())


def _fine_tuning(request: Request, facts: Facts) -> Iterator[Finding]:
    if request.purpose == FINE_TUNING:
        return
    if BASE in request.inputs:
        yield Finding(request.inputs[BASE], f"asked for as {request.purpose}")
    resumed = facts.inputs.get(RESUME)
    if resumed is not None and resumed.purpose == FINE_TUNING:
        yield Finding(resumed.model, f"it is a fine-tuning's, asked for as {request.purpose}")


def _input_unknown(request: Request, facts: Facts) -> Iterator[Finding]:
    for name, model in request.inputs.items():
        found = facts.inputs.get(name)
        lineage = found is not None and (found.speakers or found.bases or found.public)
        if found is None or found.model != model or not found.digest or not lineage:
            yield Finding(model, "no such model, or one without a lineage, is known here")


def _tainted(_: Request, facts: Facts) -> Iterator[Finding]:
    for found in facts.inputs.values():
        if found.taint:
            yield Finding(found.model, f"it is tainted: {found.taint}")


def _withdrawn(_: Request, facts: Facts) -> Iterator[Finding]:
    for found in facts.inputs.values():
        if found.withdrawn:
            yield Finding(
                found.model, f"it was made from voices whose consent was withdrawn: {found.withdrawn}"
            )


def _input_foreign(request: Request, facts: Facts) -> Iterator[Finding]:
    for found in facts.inputs.values():
        others = sorted(set(found.agreements) - {request.agreement})
        if others or not (found.agreements or found.public):
            yield Finding(found.model, f"it comes from {', '.join(others) or 'no agreement'}")


RULES = (
    Rule(
        "dataset.needed", "4.1", "The recipe needs a dataset and none is named.", "name one: dataset: NAME",
        _needed,
    ),
    Rule(
        "dataset.unexpected", "3.4", "The recipe takes no dataset.", "leave `dataset` out", _unexpected,
    ),
    Rule(
        "dataset.unknown", "default deny 3", "The dataset, or this version of it, is not sealed.",
        "sandbox data list shows what is", _unknown,
    ),
    Rule(
        "dataset.unregistered", "2.3 (V26)", "Register and manifest of the dataset differ.",
        "an incident until the custodian explains it", _unregistered,
    ),
    Rule(
        "dataset.not_reviewed", "2.4 (V11)", "A record of the dataset did not come from an accepted consignment.",
        "have it packed, received and reviewed: sandbox data pack; or agree on intake: direct", _not_reviewed,
    ),
    Rule(
        "dataset.not_listed", "2.1; default deny 3", "The agreement does not list the dataset.",
        "agree on a new version that lists it", _not_listed,
    ),
    Rule(
        "dataset.foreign", "3.3", "The dataset belongs to another agreement.", "name that agreement", _foreign,
    ),
    Rule(
        "dataset.agreement_outdated", "4.2, I-9", "The dataset was sealed under another version of the agreement.",
        "have the custodian sign a manifest under the active version", _outdated,
    ),
    Rule(
        "dataset.expired", "2.3, I-2", "The time that the dataset may be kept is over.",
        "it is to be destroyed or returned", _expired,
    ),
    Rule(
        "subjects.empty", "default deny 5", "Nobody is left whose voice the run could hear.",
        "an empty list is a refusal: name subjects that the manifest lists", _empty,
    ),
    Rule(
        "subjects.unknown", "default deny 5", "A subject does not speak in the dataset.",
        "who exists is what the manifest says: leave the subject out", _strangers,
    ),
    Rule(
        "subject.erased", "5.2; PIPL 47", "A data subject asked to be forgotten.",
        "leave the subject out; nothing made from their voice can be used", _erased,
    ),
    Rule(
        "input.unexpected", "3.4", "The inputs named are not those of the recipe's card.",
        "name exactly the inputs of its card", _inputs, BOTH,
    ),
    Rule(
        "input.unknown", "default deny 3", "An input is no model of a settled run.",
        "sandbox runs list shows what was made", _input_unknown,
    ),
    Rule(
        "input.tainted", "5.2, 3.3", "An input descends from data that must not be used any more.",
        "train it anew without that data", _tainted,
    ),
    Rule(
        "input.withdrawn", "2.3; PIPL 15", "An input was made from a voice whose consent was withdrawn since.",
        "train it anew without that voice; a new consent covers what is made from then on", _withdrawn,
    ),
    Rule(
        "input.foreign", "3.3 (cross-client use)", "An input descends from another agreement's data.",
        "use a model of this agreement", _input_foreign,
    ),
    Rule(
        "input.public_file", "3.2(c)", "A published file is opened alone, and with its licence and source.",
        "bring it in first: sandbox recipe import-base FILE", _public_file,
    ),
    Rule(
        "input.fine_tuning", "4.1", "Starting from a model is fine-tuning, which is another purpose than training.",
        "ask for it as purpose: optimise", _fine_tuning,
    ),
)  # fmt: skip
