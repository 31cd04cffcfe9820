"""`sandbox data seal --dry-run`: shown at home, with no service, no login, and nothing written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NoReturn

import pytest

from sandbox import client
from sandbox.cli.data_rehearsal import picture, plot
from sandbox.cli.show import _ASCII
from sandbox.client.rehearsal import Bin, Rehearsal
from tests.cli.conftest import Sandbox
from tests.client.studios import STUDIOS, listing, put
from tests.fakes.studio import wave


@pytest.fixture(autouse=True)
def nobody_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def asked(state: Path) -> NoReturn:
        raise AssertionError("a rehearsal asked a service")

    monkeypatch.setattr(client, "custodian", asked)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def studio(tmp_path: Path) -> Path:
    """Three good recordings of two people in two languages."""
    folder = tmp_path / "studio"
    for n, seconds in enumerate((0.25, 0.25, 0.45)):
        put(folder / f"{n}.wav", wave(n, seconds=seconds))
    listing(
        folder,
        ("0.wav", "one secret", "spk_anna", "en"),
        ("1.wav", "two", "spk_anna", "en"),
        ("2.wav", "tre", "spk_ben0", "it"),
    )
    return folder


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_good_folder_is_shown_and_nothing_is_written(
    sandbox: Sandbox, studio: Path, tmp_path: Path
) -> None:
    before = everything(tmp_path)
    said = sandbox("data", "seal", str(studio), "--dry-run")
    assert said.code == 0, said.err
    assert "3 recordings of studio, laid out as CSV" in said.out
    assert "would seal 3 recordings" in said.out and "· 1 s" in said.out
    assert "2: spk_anna 2, spk_ben0 1" in said.out and "en 2, it 1" in said.out and "16000 Hz 3" in said.out
    bars = [line.split()[-2:] for line in said.out.splitlines() if " s  " in line]
    assert [(len(bar) if bar.strip("█#") == "" else 0, count) for bar, count in bars[::2]] == [
        (40, "2"),
        (20, "1"),
    ]
    assert "secret" not in said.out
    assert everything(tmp_path) == before


def test_a_bad_folder_is_exit_code_3_with_every_problem_and_its_files(sandbox: Sandbox, studio: Path) -> None:
    put(studio / "1.wav", b"")
    put(studio / "2.wav", wave(2, channels=2))
    said = sandbox("data", "seal", str(studio), "--dry-run")
    assert said.code == 3 and "seal.bad_recordings" in said.err and "2 of 3 recordings" in said.err
    lines = [line.strip() for line in said.out.splitlines()]
    assert "audio.empty" in said.out and "1.wav" in lines and "2.wav" in lines
    assert "--downmix makes mono" in said.out and "would seal 1 recording " in said.out
    assert not Path("None.quarantine.csv").exists() and not list(Path.cwd().glob("*.quarantine.csv"))


def test_a_wish_that_mends_it_is_heard(sandbox: Sandbox, studio: Path) -> None:
    put(studio / "2.wav", wave(2, channels=2))
    wish = ("--downmix", "--resample", "22050", "--set-aside")
    said = sandbox("data", "seal", str(studio), "--dry-run", *wish)
    assert said.code == 0 and "22050 Hz" in said.out and "1 in stereo, made mono" in said.out
    assert sandbox("data", "seal", str(studio), "--dry-run", "--downmix", "--max-seconds", "0.1").code == 3


def test_set_aside_does_not_make_a_bad_folder_good(sandbox: Sandbox, studio: Path) -> None:
    put(studio / "1.wav", b"")
    assert sandbox("data", "seal", str(studio), "--dry-run", "--set-aside").code == 3


def test_a_program_gets_the_same_as_data(sandbox: Sandbox, studio: Path) -> None:
    put(studio / "1.wav", b"")
    said = sandbox("data", "seal", str(studio), "--dry-run", "--json")
    told, error = (json.loads(line) for line in said.out.splitlines())
    assert said.code == 3 and error["error"]["code"] == "seal.bad_recordings"
    assert (told["event"], told["layout"], told["records"], told["set_aside"]) == ("rehearsed", "CSV", 2, 1)
    assert told["people"] == {"spk_anna": 1, "spk_ben0": 1} and told["languages"] == {"en": 1, "it": 1}
    assert sum(entry["count"] for entry in told["lengths_s"]) == 2
    (problem,) = told["problems"]
    assert problem["code"] == "audio.empty" and problem["files"] == ["1.wav"]


@pytest.mark.parametrize("name", STUDIOS)
def test_speakers_without_a_pseudonym_are_a_problem_and_a_list_mends_it(
    name: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    STUDIOS[name](tmp_path / "s")
    (tmp_path / "names.csv").write_text(
        f"p225,spk_a1\np226,spk_b2\n84,spk_84\n174,spk_17\n7,spk_07\n{'c1' * 64},spk_c1\n"
    )
    arguments = (
        "data",
        "seal",
        str(tmp_path / "s"),
        "--dry-run",
        "--language",
        "en",
        "--subject",
        "spk_lj00",
    )
    said = sandbox(*arguments)
    assert said.code == (0 if name in ("CSV", "LJSpeech") else 3)
    assert ("subject.invalid" in said.out) == (said.code == 3)
    said = sandbox(*arguments, "--subjects", str(tmp_path / "names.csv"))
    assert said.code == 0 and f"laid out as {name}" in said.out


def test_sealing_itself_still_needs_a_dataset_and_an_agreement(sandbox: Sandbox, studio: Path) -> None:
    for given in ((), ("--dataset", "digits"), ("--agreement", "dsa-2026-0001")):
        said = sandbox("data", "seal", str(studio), *given)
        assert said.code == 2 and "--dataset and --agreement" in said.err


@pytest.mark.parametrize(
    "wish", [("--resample", "100"), ("--max-seconds", "0"), ("--max-seconds", "301")], ids=str
)
def test_a_wish_that_the_custodian_would_refuse_is_refused_at_once(
    sandbox: Sandbox, studio: Path, wish: tuple[str, str]
) -> None:
    assert sandbox("data", "seal", str(studio), "--dry-run", *wish).code == 2


def test_a_long_list_of_files_is_cut_and_no_name_moves_the_cursor() -> None:
    found = Rehearsal()
    found.problems["audio.empty"] = ["\x1b[2J[bold]0.wav", *(f"{n}.wav" for n in range(1, 20))]
    lines = list(picture("studio", "CSV", found, _ASCII))
    assert "    \ufffd[2J[bold]0.wav" in lines and "    7.wav" in lines and "    8.wav" not in lines
    assert lines[-1] == "    and 12 more; --json lists all"


def test_many_people_are_counted_and_the_busiest_named() -> None:
    found = Rehearsal(lengths=[1.0])
    found.people.update({f"spk_{n:02}": 100 - n for n in range(30)})
    people = next(line for line in picture("studio", "VCTK", found, _ASCII) if "people" in line)
    assert "30: spk_00 100, spk_01 99" in people and people.endswith("spk_07 93, and 22 more")


def test_a_name_in_brackets_is_shown_as_it_is(sandbox: Sandbox, studio: Path) -> None:
    listing(studio, ("[red]:smile:.wav", "word", "spk_anna", "en"))
    assert "[red]:smile:.wav" in sandbox("data", "seal", str(studio), "--dry-run").out


def test_a_bin_that_is_not_empty_shows_a_sign_and_an_empty_one_none() -> None:
    lines = list(plot([Bin(0, 1, 1000), Bin(1, 2, 0), Bin(2, 3, 1)], "#"))
    assert [line.count("#") for line in lines] == [40, 0, 1]
