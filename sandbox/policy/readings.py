"""How each field of an agreement is read when two versions are compared: which way it allows more.

A field that has no reading here is one of which no program can tell the way: its change counts as allowing more
(default deny 2), and a person looks at it. A new field of ``terms`` therefore starts on the safe side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from sandbox.policy.terms import Approver, DatasetTerms, PurposeTerms, Regulator, Subprocessor, Transfer


class Sense(Enum):
    """What a change of a field means.

    MOST and LEAST are numbers, times and spans: a larger MOST, a smaller LEAST allows more. ALLOWED, FORBIDDEN and
    DEMANDED are lists, flags, or things that may be absent. RANKED are words, from the strictest to the loosest; one
    that is not ranked is the loosest. SAID allows nothing and forbids nothing.
    """

    MOST = "most"
    LEAST = "least"
    ALLOWED = "allowed"
    FORBIDDEN = "forbidden"
    DEMANDED = "demanded"
    RANKED = "ranked"
    SAID = "said"


@dataclass(frozen=True)
class Reading:
    """``what`` is how people call the field; ``ranks`` is for RANKED only."""

    sense: Sense
    what: str
    ranks: tuple[str, ...] = ()


#: What tells the entries of a list from each other. A list of anything else is compared as one value.
NAMED: Mapping[type, str] = {
    PurposeTerms: "id",
    DatasetTerms: "id",
    Approver: "id",
    Subprocessor: "name",
    Transfer: "to",
    Regulator: "authority",
}

_S = Sense
_CONTACTS = ("a.contacts.notices", "a.contacts.incidents", "b.contacts.rights", "b.contacts.pi_officer")

#: Place -> reading. ``[]`` stands for any entry of a list, and alone for an entry that comes or goes.
READINGS: Mapping[str, Reading] = {
    "metadata.title": Reading(_S.SAID, "the title"),
    "metadata.version": Reading(_S.SAID, "the version"),
    "metadata.supersedes": Reading(_S.SAID, "the version that it follows"),
    "metadata.source_document.sha256": Reading(_S.SAID, "the signed paper that it encodes"),
    "metadata.source_document.complete": Reading(_S.DEMANDED, "the complete text"),
    "effective.from": Reading(_S.LEAST, "in force from"),
    "effective.until": Reading(_S.MOST, "in force until"),
    **{
        f"parties.{contact}.{field}": Reading(_S.SAID, f"the contact's {field}")
        for contact in _CONTACTS
        for field in ("name", "email", "phone")
    },
    "parties.a.contacts.release_approvers[]": Reading(_S.ALLOWED, "releases signed by"),
    "relationship.important_data": Reading(_S.DEMANDED, "the duties for important data"),
    "relationship.ciio": Reading(_S.DEMANDED, "the duties for critical infrastructure"),
    "purposes[]": Reading(_S.ALLOWED, "the purpose"),
    "prohibitions": Reading(_S.FORBIDDEN, ""),
    "datasets[]": Reading(_S.ALLOWED, "the dataset"),
    "datasets[].categories": Reading(_S.ALLOWED, "data of the kind"),
    "datasets[].contains_personal_data": Reading(_S.DEMANDED, "that it is treated as personal data"),
    "datasets[].subjects.under_14": Reading(_S.MOST, "children under 14"),
    "datasets[].subjects.aged_14_17": Reading(_S.MOST, "minors of 14 to 17"),
    "datasets[].subjects.guardian_registry": Reading(_S.DEMANDED, "the registry of guardians"),
    "datasets[].subjects.minor_access_approver": Reading(_S.DEMANDED, "the approver of access to minors"),
    "datasets[].legal_basis.type": Reading(_S.RANKED, "the legal basis", ("consent",)),
    "datasets[].legal_basis.separate_consent": Reading(_S.DEMANDED, "separate consent"),
    **{
        f"datasets[].notice_given.{field}": Reading(_S.DEMANDED, f"that data subjects are told: {said}")
        for field, said in (
            ("purpose", "the purpose"),
            ("method", "the method"),
            ("retention", "how long it is kept"),
            ("recipient_named", "who receives it"),
            ("necessity_and_impact", "necessity and impact"),
        )
    },
    "datasets[].impact_assessment": Reading(_S.DEMANDED, "an impact assessment"),
    "datasets[].impact_assessment.kept_until": Reading(_S.LEAST, "the assessment is kept until"),
    "datasets[].purposes": Reading(_S.ALLOWED, "the purpose"),
    "datasets[].retention.until": Reading(_S.MOST, "kept until"),
    "datasets[].retention.grace": Reading(_S.MOST, "kept on after that for"),
    "datasets[].storage.regions": Reading(_S.ALLOWED, "storage in"),
    "datasets[].intake": Reading(_S.RANKED, "how recordings come in", ("consignment", "direct")),
    "access.roles": Reading(_S.ALLOWED, "access for the role"),
    "access.longest": Reading(_S.MOST, "the longest access"),
    "access.review_every": Reading(_S.MOST, "an access is reviewed every"),
    "subprocessors[]": Reading(_S.ALLOWED, "the sub-processor"),
    "subprocessors[].purposes": Reading(_S.ALLOWED, "the purpose"),
    "subprocessors[].approval_sha256": Reading(_S.DEMANDED, "Party A's approval"),
    "residency.process_in": Reading(_S.ALLOWED, "processing in"),
    "residency.remote_access_from": Reading(_S.ALLOWED, "remote access from"),
    "residency.default": Reading(_S.RANKED, "regions that are not listed", ("deny",)),
    "transfers[]": Reading(_S.ALLOWED, "the transfer to"),
    "transfers[].mechanism": Reading(_S.DEMANDED, "a statutory mechanism"),
    "transfers[].separate_consent": Reading(_S.DEMANDED, "separate consent"),
    "transfers[].impact_assessment_sha256": Reading(_S.DEMANDED, "an impact assessment"),
    "transfers[].party_a_approval_sha256": Reading(_S.DEMANDED, "Party A's approval"),
    "derivatives.inherits_from_sources": Reading(
        _S.DEMANDED, "that results are as confidential as their sources"
    ),
    "derivatives.release_default": Reading(_S.RANKED, "release unless said otherwise", ("deny",)),
    "derivatives.serve_external_default": Reading(
        _S.RANKED, "serving others unless said otherwise", ("deny",)
    ),
    "derivatives.confidentiality_until": Reading(
        _S.RANKED, "results are confidential until", ("indefinite",)
    ),
    "derivatives.on_source_erasure": Reading(
        _S.RANKED, "results of an erased person", ("destroy", "retrain_without", "quarantine")
    ),
    "derivatives.on_withdrawal": Reading(_S.RANKED, "a run when somebody withdraws", ("stop", "replan")),
    "derivatives.dp.required": Reading(_S.DEMANDED, "differential privacy"),
    "derivatives.dp.unit": Reading(_S.RANKED, "the unit of privacy", ("speaker", "utterance")),
    "derivatives.dp.reason": Reading(_S.SAID, "the reason for the unit of privacy"),
    "derivatives.dp.max_epsilon": Reading(_S.MOST, "the largest epsilon of a person"),
    "derivatives.dp.max_delta": Reading(_S.MOST, "the largest delta"),
    "channels.listen": Reading(_S.ALLOWED, "listening to results"),
    "channels.listen_seconds": Reading(_S.MOST, "seconds that may be heard"),
    "channels.mel_images": Reading(_S.ALLOWED, "images of spectra"),
    "rights.acknowledge_within": Reading(_S.MOST, "a data subject's request is acknowledged within"),
    "rights.answer_within": Reading(_S.MOST, "a data subject's request is answered within"),
    "rights.statutory_max": Reading(_S.MOST, "the law's longest time for an answer"),
    "incidents.draft_within": Reading(_S.MOST, "an incident is drafted within"),
    "incidents.notify_party_a_within": Reading(_S.MOST, "Party A hears of an incident within"),
    "incidents.regulator[]": Reading(_S.DEMANDED, "notice of an incident to"),
    "incidents.regulator[].within": Reading(_S.MOST, "hears of an incident within"),
    "incidents.final_report_within": Reading(_S.MOST, "the final report comes within"),
    "incidents.kill_switch.revoke_credentials_within": Reading(_S.MOST, "credentials are revoked within"),
    "incidents.kill_switch.stop_workloads_within": Reading(_S.MOST, "runs are stopped within"),
    "records.audit_log_min": Reading(_S.LEAST, "the audit log is kept for"),
    "records.network_log_min": Reading(_S.LEAST, "the network log is kept for"),
    "records.entrustment_record_min": Reading(_S.LEAST, "records of entrusting are kept for"),
    "records.impact_assessment_min": Reading(_S.LEAST, "impact assessments are kept for"),
    "audit.party_a_right": Reading(_S.DEMANDED, "audits by Party A"),
    "audit.notice": Reading(_S.MOST, "Party A announces an audit before"),
    "audit.evidence_pack": Reading(_S.DEMANDED, "an evidence pack"),
    "audit.independent_every": Reading(_S.MOST, "an independent audit every"),
    "termination.within": Reading(_S.MOST, "everything is destroyed after the end within"),
    "termination.includes": Reading(_S.DEMANDED, "the destruction, at the end, of"),
}
