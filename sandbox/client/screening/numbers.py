"""Identity-card and personal numbers of China and Europe: a pattern finds a candidate, its check digits decide."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module

from stdnum.cn import ric
from stdnum.exceptions import ValidationError

#: Module of python-stdnum -> how the number is written. The module's own check digits and dates decide.
KINDS: dict[str, str] = {
    "cn.ric": r"\d{6} ?\d{4} ?\d{4} ?\d{3}[\dXx]",
    "at.vnr": r"\d{4} ?\d{6}",
    "be.nn": r"\d{2}\.?\d{2}\.?\d{2}[- ]?\d{3}[. ]?\d{2}",
    "bg.egn": r"\d{10}",
    "ch.ssn": r"756[. ]?\d{4}[. ]?\d{4}[. ]?\d{2}",
    "cz.rc": r"\d{6}[/ ]?\d{3,4}",
    "de.idnr": r"\d{2} ?\d{3} ?\d{3} ?\d{3}",
    "dk.cpr": r"\d{6}[- ]?\d{4}",
    "ee.ik": r"\d{11}",
    "es.dni": r"\d{8}[- ]?[A-Za-z]",
    "es.nie": r"[XYZxyz][- ]?\d{7}[- ]?[A-Za-z]",
    "fi.hetu": r"\d{6}[-+A]\d{3}[0-9A-Za-z]",
    "fr.nir": r"[12] ?\d{2} ?\d{2} ?\d[\dAB] ?\d{3} ?\d{3} ?\d{2}",
    "gb.nhs": r"\d{3}[- ]?\d{3}[- ]?\d{4}",
    "gr.amka": r"\d{11}",
    "hr.oib": r"\d{11}",
    "ie.pps": r"\d{7}[A-Wa-w][ABWTXZabwtxz]?",
    "it.codicefiscale": r"[A-Za-z]{6} ?\d{2}[A-Za-z]\d{2} ?[A-Za-z]\d{3}[A-Za-z]",
    "lt.asmens": r"\d{11}",
    "nl.bsn": r"\d{9}",
    "no.fodselsnummer": r"\d{6} ?\d{5}",
    "pl.pesel": r"\d{11}",
    "pt.cc": r"\d{8} ?\d ?[A-Za-z0-9]{2}\d",
    "ro.cnp": r"\d{13}",
    "se.personnummer": r"(?:\d{2})?\d{6}[-+]?\d{4}",
    "sk.rc": r"\d{6}[/ ]?\d{3,4}",
}
#: The United Kingdom's insurance number has no check digit.
INSURANCE = re.compile(
    r"(?<![A-Za-z0-9])[A-CEGHJ-PR-TW-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D](?![A-Za-z0-9])",
    re.IGNORECASE | re.ASCII,
)
_FOUND = {
    name: re.compile(rf"(?<![A-Za-z0-9]){form}(?![A-Za-z0-9])", re.ASCII) for name, form in KINDS.items()
}


def identity_numbers(text: str) -> Iterator[tuple[int, int]]:
    """Where one stands; the same place may come more than once."""
    for name, form in _FOUND.items():
        for candidate in form.finditer(text):
            if _valid(name, candidate[0]):
                yield candidate.span()
    yield from (found.span() for found in INSURANCE.finditer(text))


def _valid(name: str, number: str) -> bool:
    if name == "cn.ric":
        return _chinese_card(number)
    return bool(import_module(f"stdnum.{name}").is_valid(number))


def _chinese_card(number: str) -> bool:
    """Date and check digit (GB 11643); the place is not asked, for the library's list of places has gaps."""
    number = number.replace(" ", "").upper()
    try:
        ric.get_birth_date(number)
    except ValidationError:
        return False
    return number[-1] == ric.calc_check_digit(number)
