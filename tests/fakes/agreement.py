"""An agreement file and both parties' keys, for tests."""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sandbox.policy.agreement import sign_agreement
from sandbox.statements import Ed25519Signer

PARTY_A = Ed25519Signer(Ed25519PrivateKey.generate())
PARTY_B = Ed25519Signer(Ed25519PrivateKey.generate())
_DIGEST = "4" * 64
#: For programs that have the machine's clock: an end that lies ahead, whatever year it is.
AHEAD = f"{datetime.now(UTC).year + 1}-01-31T23:59:59+08:00"


def lasting(data: bytes) -> bytes:
    """The agreement, ending then instead."""
    return data.replace(b"2027-01-31T23:59:59+08:00", AHEAD.encode())


def agreement_yaml(
    *,
    version: int = 1,
    supersedes: str = "null",
    dataset: str = "digits",
    model: str = "entrusted",
    complete: str = "true",
    intake: str = "direct",
    purposes: str = "train, test",
) -> bytes:
    fine_tuning = "  - {id: optimise, dpv: [ai:ModelTraining]}\n" if "optimise" in purposes else ""
    return f"""\
apiVersion: voice-sandbox/v1alpha1
kind: DataSecurityAgreement
metadata:
  id: dsa-2026-0001
  title: AI语音合成数据安全协议
  version: {version}
  supersedes: {supersedes}
  source_document: {{sha256: {_DIGEST}, complete: {complete}}}
effective: {{from: 2026-02-01T00:00:00+08:00, until: 2027-01-31T23:59:59+08:00}}
parties:
  a:
    legal_name: Example Data Co., Ltd.
    id: {{type: uscc, value: 91000000000000000X}}
    contacts:
      notices: {{name: Data Office, email: dpo@a.example, phone: "+86-000"}}
      incidents: {{name: Duty Officer, email: soc@a.example, phone: "+86-001"}}
      release_approvers: []
  b:
    legal_name: Example TTS Co., Ltd.
    id: {{type: uscc, value: 91000000000000001X}}
    contacts:
      rights: {{name: PI Rights Desk, email: rights@b.example, phone: "+86-100"}}
      pi_officer: {{name: PIPO, email: pipo@b.example, phone: "+86-101"}}
relationship: {{model: {model}, important_data: false, ciio: false}}
purposes:
  - {{id: train, dpv: [ai:ModelTraining]}}
  - {{id: test, dpv: [dpv:ResearchAndDevelopment]}}
  - {{id: evaluate, dpv: [dpv:ServiceOptimisation]}}
{fine_tuning}prohibitions: [speaker_identification]
datasets:
  - id: {dataset}
    categories: [speech_sample, text]
    contains_personal_data: true
    form: electronic
    subjects: {{under_14: 0, aged_14_17: 0, guardian_registry: null, minor_access_approver: null}}
    legal_basis: {{type: consent, pipl_article: "13(1)(1)", separate_consent: true}}
    notice_given:
      {{purpose: true, method: true, retention: true, recipient_named: true, necessity_and_impact: true,
       sha256: {_DIGEST}}}
    impact_assessment: {{sha256: {_DIGEST}, approved_on: 2026-01-25, kept_until: 2029-01-25}}
    purposes: [{purposes}]
    retention: {{until: 2027-01-31T23:59:59+08:00, on_expiry: destroy, grace: P0D}}
    storage: {{regions: [CN-AH]}}
    intake: {intake}
access: {{roles: [ml_engineer], longest: P1Y}}
subprocessors: []
residency: {{process_in: [CN], remote_access_from: [CN], default: deny}}
transfers: []
derivatives:
  classification: party_a_confidential_derivative
  inherits_from_sources: true
  release_default: deny
  serve_external_default: deny
  confidentiality_until: indefinite
  on_source_erasure: quarantine
  on_withdrawal: stop
  dp: {{required: false, unit: speaker, reason: null, max_epsilon: 8.0, max_delta: 1.0e-5}}
channels: {{listen: false, listen_seconds: 0, mel_images: false}}
rights: {{mode: party_b_with_party_a_copy, acknowledge_within: P3D, answer_within: P15D, statutory_max: P30D}}
incidents:
  draft_within: PT5M
  notify_party_a_within: PT1H
  regulator: [{{authority: CAC, trigger: larger, within: PT4H}}]
  final_report_within: P30D
  kill_switch: {{revoke_credentials_within: PT5S, stop_workloads_within: PT10S}}
records: {{audit_log_min: P3Y, network_log_min: P6M, entrustment_record_min: P3Y, impact_assessment_min: P3Y}}
audit: {{party_a_right: true, notice: P10D, evidence_pack: true, independent_every: P1Y}}
termination: {{action: destroy, within: P30D, certificate: required, includes: [source, derivatives, backups]}}
""".encode()


def signed(data: bytes, *signers: Ed25519Signer) -> bytes:
    return sign_agreement(data, list(signers or (PARTY_A, PARTY_B)))
