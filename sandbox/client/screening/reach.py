"""Where somebody can be reached: e-mail, telephone, postal address."""

from __future__ import annotations

import re
from collections.abc import Iterator

EMAIL = re.compile(
    r"[A-Za-z0-9_.+%-]+ ?(?:@|\(at\)|\[at\]| at ) ?"
    r"[A-Za-z0-9-]+(?:(?:\.| dot )[A-Za-z0-9-]+)*(?:\.| dot )[A-Za-z]{2,24}(?![A-Za-z])",
    re.IGNORECASE | re.ASCII,
)
_EDGE, _END = r"(?<![A-Za-z0-9])", r"(?![A-Za-z0-9])"
PHONES = tuple(
    re.compile(_EDGE + form + _END, re.ASCII)
    for form in (
        r"(?:(?:\+|00)?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}",  # China, mobile
        r"(?:(?:\+|00)86[- ]?)?\(?0?\d{2,3}\)?[- ]\d{4}[- ]?\d{3,4}",  # China, with its area
        r"(?:\+|00)[1-9]\d{0,2}(?:[ ./()-]{0,3}\d){6,12}",  # anywhere, with its country
        r"\(?0\d{1,5}\)?(?:[ ./-]{0,2}\d){5,9}",  # most of Europe, with the trunk's zero
        r"[2-9]\d{1,2}(?:[ .-]\d{2,4}){2,4}",  # Spain, Italy, Poland, the Nordic countries: in groups
        r"[6789]\d{8}",
    )
)
_DIGITS = range(8, 16)  # of a telephone number (ITU-T E.164 ends at 15)

_LATIN = r"[^\W\d_][\w'’.-]*"
_ENGLISH = "Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Close|Square|Terrace|Place|Court|Crescent|Boulevard|Way|Row"
_GERMANIC = "straße|strasse|str\\.|weg|platz|allee|gasse|gade|gatan|vägen|straat|laan|gracht|katu|tie"
_FRENCH = "rue|avenue|boulevard|place|quai|chemin|allée|impasse|route"
_SOUTHERN = "via|viale|piazza|corso|calle|avenida|plaza|paseo|rua|praça|ulica|ul\\.|ulitsa|utca"
_HAN = r"[\u4e00-\u9fff]"
ADDRESSES = tuple(
    re.compile(form, flags)
    for form, flags in (
        (
            rf"{_HAN}{{1,8}}(?:路|街|大道|巷|弄|胡同|道|里|村)\s?\d{{1,5}}\s?(?:号|弄)[\u4e00-\u9fff\d]{{0,16}}",
            0,
        ),
        (rf"{_HAN}{{2,8}}(?:省|自治区|市|州|盟){_HAN}{{1,8}}(?:区|县|旗|镇|乡)[\u4e00-\u9fff\d]{{0,20}}", 0),
        (
            rf"(?:{_HAN}{{2,8}})?\d{{1,4}}\s?(?:号楼|栋|幢|座)\s?\d{{0,2}}\s?(?:单元)?\s?\d{{1,5}}\s?(?:室|号)",
            0,
        ),
        (rf"\b\d{{1,5}}[a-z]?,? (?:{_LATIN} ){{1,3}}(?:{_ENGLISH})\b\.?", re.IGNORECASE),
        (rf"\b[A-ZÄÖÜÅØ][\w-]*(?:{_GERMANIC}) \d{{1,4}}[a-z]?\b", 0),
        (rf"\b(?:[Aa]n der|[Aa]m|[Ii]m|[Zz]ur|[Zz]um) {_LATIN} \d{{1,4}}[a-z]?\b", 0),
        (rf"\b\d{{1,4}}(?: ?bis| ?ter)?,? (?:{_FRENCH})(?: {_LATIN}){{1,4}}", re.IGNORECASE),
        (rf"\b(?:{_SOUTHERN})(?: {_LATIN}){{1,4}},? (?:n[.º°]? ?)?\d{{1,4}}\b", re.IGNORECASE),
        (
            r"\b[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}\b",
            0,
        ),  # a postcode of the United Kingdom is some fifteen houses
    )
)


def emails(text: str) -> Iterator[tuple[int, int]]:
    yield from (found.span() for found in EMAIL.finditer(text))


def phones(text: str) -> Iterator[tuple[int, int]]:
    for form in PHONES:
        for found in form.finditer(text):
            if sum(mark.isdigit() for mark in found[0]) in _DIGITS:
                yield found.span()


def addresses(text: str) -> Iterator[tuple[int, int]]:
    for form in ADDRESSES:
        yield from (found.span() for found in form.finditer(text))
