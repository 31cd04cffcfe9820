"""How much of a seeded set of identifiers is found: a figure for each kind, with a floor that it must not fall below.

Names come in equal parts from the scanner's own lists and from outside them, and so do forms of addresses and numbers:
a scanner that is measured on its own lists finds everything.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import pytest
from stdnum.cn import ric
from stdnum.de import idnr
from stdnum.es import dni
from stdnum.it import codicefiscale
from stdnum.nl import bsn
from stdnum.pl import pesel

from sandbox.client.screening import known_names, redacted, screen

SEEDED = 200  # of each kind
CARRIERS_EN = ("please write to {} today", "{} is what she said", "we noted {} and went on", "it is {}")
CARRIERS_ZH = ("请联系{}谢谢", "他说{}然后离开", "记下{}", "是{}吗")
WORDS = dict(zip("0123456789", "zero one two three four five six seven eight nine".split(), strict=True))  # noqa: SIM905
HAN = dict(zip("0123456789", "零一二三四五六七八九", strict=True))


def digits(draw: random.Random, count: int, first: str = "0123456789") -> str:
    return draw.choice(first) + "".join(draw.choices("0123456789", k=count - 1))


def chinese_card(draw: random.Random) -> str:
    date = f"{draw.randint(1950, 2015)}{draw.randint(1, 12):02d}{draw.randint(1, 28):02d}"
    body = draw.choice(["110105", "340104", "440306", "510107"]) + date + digits(draw, 3)
    return body + ric.calc_check_digit(body + "0")


def until_valid(make: Callable[[], str], valid: Callable[[str], bool]) -> str:
    return next(number for number in iter(make, None) if valid(number))


def european_number(draw: random.Random) -> str:
    person = (
        "".join(draw.choices("BCDFGLMNPRSTV", k=6)) + f"{draw.randint(50, 99)}A{draw.randint(10, 28)}H501"
    )
    return draw.choice(
        [
            until_valid(lambda: digits(draw, 11, "123456789"), idnr.is_valid),
            until_valid(lambda: digits(draw, 9), bsn.is_valid),
            until_valid(
                lambda: f"{draw.randint(50, 99)}{draw.randint(1, 12):02d}{digits(draw, 7, '012')}",
                pesel.is_valid,
            ),
            (number := digits(draw, 8)) + dni.calc_check_digit(number),
            person + codicefiscale.calc_check_digit(person),
        ]
    )


def id_number(draw: random.Random) -> str:
    return chinese_card(draw) if draw.random() < 0.5 else european_number(draw)


def phone(draw: random.Random) -> str:
    mobile = "1" + digits(draw, 1, "3456789") + digits(draw, 9)
    return draw.choice(
        [
            mobile,
            f"{mobile[:3]} {mobile[3:7]} {mobile[7:]}",
            f"+86-{mobile}",
            "".join(HAN[mark] for mark in mobile),
            " ".join(WORDS[mark] for mark in mobile),
            f"0{digits(draw, 2, '123456789')}-{digits(draw, 8, '2345678')}",
            f"+49 {digits(draw, 3, '123456789')} {digits(draw, 7)}",
            f"+44 7{digits(draw, 3)} {digits(draw, 6)}",
            "0" + " ".join([digits(draw, 1, "123456789"), *(digits(draw, 2) for _ in range(4))]),
            f"{digits(draw, 3, '6789')} {digits(draw, 3)} {digits(draw, 3)}",
        ]
    )


def email(draw: random.Random) -> str:
    name = "".join(draw.choices("abcdefghijklmnopqrstuvwxyz._-", k=8)).strip("._-") or "a"
    host = "".join(draw.choices("abcdefghijklmnop", k=6)) + draw.choice([".com", ".cn", ".co.uk", ".eu"])
    spoken = f"{name.replace('.', '')} at {host.replace('.', ' dot ')}"
    return spoken if draw.random() < 0.2 else f"{name}@{host}"


def address(draw: random.Random) -> str:
    number = str(draw.randint(1, 399))
    return draw.choice(
        [
            f"{draw.choice(['合肥市蜀山区', ''])}{draw.choice('建望长中')}{draw.choice('设江安山')}路{number}号",
            f"安徽省合肥市包河区{draw.choice(['滨湖', '大圩', '骆岗'])}街道",
            f"{draw.choice(['翠竹', '阳光', '锦绣'])}小区{draw.randint(1, 30)}栋{draw.randint(1, 4)}单元{number}室",
            f"{number} {draw.choice(['Maple', 'High', 'Old Mill'])} {draw.choice(['Street', 'Road', 'Close'])}",
            f"{draw.choice(['Haupt', 'Garten', 'Linden'])}{draw.choice(['straße', 'weg', 'allee'])} {number}",
            f"{number} {draw.choice(['rue', 'avenue'])} {draw.choice(['de la République', 'Victor Hugo'])}",
            f"{draw.choice(['Via', 'Calle', 'Rua', 'ulica'])} {draw.choice(['Garibaldi', 'Mayor', 'Polna'])} {number}",
            f"flat {number}, {draw.choice(['Rose', 'Ivy'])} Cottage",  # no form that the scanner knows
        ]
    )


def name(draw: random.Random) -> str:
    listed = [
        draw.choice("王李张刘陈") + draw.choice("伟芳娜敏静"),
        draw.choice(["Zhang", "Liu", "Huang"]) + " " + draw.choice(["Xiaoyan", "Boqin", "Yuze"]),
        draw.choice(["Thomas", "Giulia", "Katarzyna", "Jean"])
        + " "
        + draw.choice(["Okoro", "Brandt", "Silva"]),
    ]
    unlisted = [
        draw.choice("王李张") + draw.choice("翊喆翾砚") + draw.choice("岫昀礽"),
        f"{draw.choice(['Mr', 'Frau', 'Madame', 'Señora'])} {draw.choice(['Vandermolen', 'Quispe', 'Achterberg'])}",
        "my name is " + draw.choice(["Ottoline", "Thorfinn", "Zdeňka"]),
        draw.choice(["Ottoline Vance", "Thorfinn Skog", "Zdeňka Hrubá"]),  # nothing tells that it is a name
    ]
    return draw.choice(listed if draw.random() < 0.5 else unlisted)


#: Kind -> how one is made, and the least recall that is let pass.
SEEDS = {
    "id_number": (id_number, 1.0),
    "phone": (phone, 0.97),
    "email": (email, 0.97),
    "address": (address, 0.85),
    "name": (name, 0.75),
}


def found(kind: str) -> tuple[int, list[str]]:
    draw = random.Random(f"seeded {kind}")
    missed = []
    for _ in range(SEEDED):
        said = SEEDS[kind][0](draw)
        carrier = draw.choice(
            CARRIERS_ZH if any("\u4e00" <= mark <= "\u9fff" for mark in said) else CARRIERS_EN
        )
        text = carrier.format(said)
        core = re.sub(r"^(my name is|Mr|Frau|Madame|Señora) ", "", said)
        at = text.index(core)
        hits = [hit for hit in screen(text) if hit.start < at + len(core) and at < hit.end]
        if set(range(at, at + len(core))) - {place for hit in hits for place in range(hit.start, hit.end)}:
            missed.append(said)  # a part of it that is left counts as all of it
    return SEEDED - len(missed), missed


@pytest.mark.parametrize("kind", SEEDS)
def test_recall_on_a_seeded_set(kind, record_property, capsys):
    count, missed = found(kind)
    recall = count / SEEDED
    record_property(f"recall_{kind}", recall)
    with capsys.disabled():
        print(f"\n  recall {kind:<10} {count} of {SEEDED} = {recall:.3f}")
    assert recall >= SEEDS[kind][1], sorted(set(missed))[:20]


CLEAN = [
    "one two three",
    "the meeting is on the twelfth",
    "今天天气很好",
    "press 1 for more",
    "room 12 is free",
    "",
]


@pytest.mark.parametrize("text", CLEAN)
def test_ordinary_words_are_left_alone(text):
    assert screen(text) == [] and redacted(text, []) == text


def test_a_hit_is_redacted_where_it_stood():
    text = "ring １３８００１３８０００ or foo@bar.org, Mr Quispe"
    assert redacted(text, screen(text)) == "ring [phone] or [email], Mr [name]"


def test_a_card_number_with_a_wrong_check_digit_is_no_card_number():
    for number in ("11010519491231002X", "110105 19491231 002x", "110105 1949 1231 002X"):
        assert [hit.kind for hit in screen(number)] == ["id_number"]
    assert "id_number" not in {hit.kind for hit in screen("110105194912310021")}


def test_the_speakers_own_names_are_looked_for():
    known = known_names(["Vance, Ottoline", "Ottoline Vance", "陈翊岫", "p225", "19", "A"])
    assert known == {"vance ottoline", "ottoline vance", "陈翊岫"}
    assert screen("good morning ottoline vance") == screen("那是陈翊岫的") == []
    assert [hit.kind for hit in screen("good morning ottoline vance", known)] == ["name"]
    assert [hit.kind for hit in screen("那是陈翊岫的", known)] == ["name"]
