"""The records of a dataset as its index has them: ids, whose, how long. Neither a word nor a file's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sandbox.custodian.desk import Desk
from sandbox.custodian.people import APPROVER, STEWARD, require
from sandbox.records import check_id
from sandbox.sealing.previous import open_standing
from sandbox.service.paging import limit_of, number_of

PAGE = 500


def list_records(desk: Desk, caller: str, dataset: str, query: Mapping[str, str]) -> dict[str, Any]:
    """One page; ``subject`` narrows, ``after`` is the ``next`` of the page before.

    Raises:
        NotFound: no such dataset.
    """
    require(desk, caller, STEWARD, APPROVER)
    check_id("dataset", dataset)
    hands = desk.hands(dataset)
    before, _ = open_standing(desk.folder(dataset), dataset, hands.head, hands.keys, hands.trusted)
    numbers = np.arange(len(before.rows))
    if "subject" in query:
        numbers = numbers[before.rows.of_subjects([check_id("subject", query["subject"])])]
    after, limit = number_of(query), limit_of(query, PAGE)
    page = before.rows.where(numbers[after : after + limit])
    more = after + limit < len(numbers)
    return {
        "items": [
            {
                "record": row.record,
                "subject": row.subject,
                "revision": row.revision,
                "seconds": round(row.samples / row.sample_rate, 3),
                "characters": row.characters,
                "language": row.language,
            }
            for row in page
        ],
        "next": str(after + limit) if more else "",
        "limit": limit,
    }
