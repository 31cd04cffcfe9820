"""Why a key may be destroyed: the gate's signed word that no run holds the voice, or somebody's reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.audit import Receipt, open_receipt
from sandbox.audit.erasure import SETTLED, Speaker, speaker_id
from sandbox.custodian.desk import Desk
from sandbox.errors import Refused

GONE = ("destroyed", "certified")


@dataclass(frozen=True)
class Warrant:
    """Why a key may be destroyed: a verified receipt and its bytes, or somebody's reason for going on without."""

    data: bytes | None
    receipt: Receipt | None
    without: str | None

    def said(self) -> dict[str, str | None]:
        """As the register keeps it."""
        digest = self.receipt.statement.digest if self.receipt else None
        return {"receipt": digest, "without_receipt": self.without}


def warrants_for(
    desk: Desk, speakers: Sequence[Speaker], receipts: Sequence[bytes], without: str
) -> dict[Speaker, Warrant]:
    """On whose word each key may be destroyed: the gate's, or else the person's who says why without it."""
    asked_at = {posting.entry.key: posting.seq for posting in desk.registers.entries("erasure")}
    strangers = [speaker_id(s) for s in speakers if s not in asked_at]
    if strangers or not speakers:
        raise Refused(
            f"nobody asked to erase {', '.join(strangers[:5]) or 'anybody'}", code="erasure.not_asked"
        )
    now, given = desk.now("erasure").erasures, by_speaker(desk, receipts, SETTLED)
    found = {}
    for speaker in speakers:
        data, receipt = given.get(speaker, (None, None))
        if receipt is not None and now[speaker].status not in GONE and receipt.seq < asked_at[speaker]:
            raise Refused(
                f"the receipt is older than the asking for {speaker_id(speaker)}",
                code="receipt.old",
                mend="ask the gate anew",
            )
        if receipt is None and not without.strip():
            raise Refused(
                f"no receipt of the gate speaks of {speaker_id(speaker)}: a run that holds this voice may live",
                code="receipt.missing",
                mend="sandbox erase asks the gate; where it is gone for good: --without-receipt REASON",
            )
        found[speaker] = Warrant(data, receipt, None if receipt else without.strip()[:1000])
    return found


def by_speaker(desk: Desk, receipts: Sequence[bytes], stage: str) -> dict[Speaker, tuple[bytes, Receipt]]:
    """Each receipt, verified, under everybody of whom it speaks.

    Raises Refused: it saw a register that is not this one, as it went on before a restore.
    """
    opened = [(data, open_receipt(data, desk.gate_keys(), stage)) for data in receipts]
    entered = (
        {(posting.seq, posting.digest) for posting in desk.registers.entries("erasure")} if opened else set()
    )
    if any((receipt.seq, receipt.head) not in entered for _, receipt in opened):
        raise Refused(
            "the receipt speaks of another register than this one",
            code="receipt.foreign",
            mend="ask the gate anew",
        )
    return {speaker: (data, receipt) for data, receipt in opened for speaker in receipt.speakers}
