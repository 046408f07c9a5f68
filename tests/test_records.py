"""One reader for every YAML record: what it reads, and what it says of the rest, all at once."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest

from salvage.problems import InputError
from salvage.records import MOST_BYTES, Kind, Reader, one_of, whole_number


@dataclass(frozen=True)
class Site:
    SHORT: ClassVar = "city"

    city: str
    beds: Annotated[int, whole_number(1, 99)] | None = None


@dataclass(frozen=True)
class Trial:
    name: str
    phase: Literal["1", "2"] = "1"
    blind: Annotated[bool, "whether nobody knows the arm"] = False
    share: Annotated[float, Kind(float, "a number")] = 0.5
    in_: tuple[str, ...] = ()
    sites: tuple[Site, ...] = ()
    arms: dict[Annotated[str, one_of(("old", "new"))], str] = field(default_factory=dict)

    def contradictions(self) -> Any:
        if self.blind and self.phase == "1":
            yield "blind", "true", "false in phase 1"


def read(tmp_path: Path, text: str | bytes) -> tuple[Trial, Reader]:
    path = tmp_path / "trial.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    reader = Reader(path.name, "The trial cannot be read")
    return reader.record(Trial, reader.load(path)), reader


def refused(tmp_path: Path, text: str | bytes) -> str:
    with pytest.raises(InputError, match="The trial cannot be read: 1 problem\n") as caught:
        read(tmp_path, text)
    return str(caught.value.problems[0])


def test_fields_of_every_type(tmp_path: Path) -> None:
    text = """
name: 0.40
phase: 2
blind: yes
share:
in: one
sites: [Rome, {city: " Oslo ", beds: 7}]
arms: {old: R-CHOP}
"""
    trial, reader = read(tmp_path, b"\xef\xbb\xbf" + text.encode())
    assert not reader.problems
    sites = (Site("Rome"), Site("Oslo", 7))
    assert trial == Trial("0.40", "2", True, 0.5, ("one",), sites, {"old": "R-CHOP"})


def test_blanks_are_defaults(tmp_path: Path) -> None:
    text = "name: x\nphase: ''\nblind: null\nin:\nsites: ~\narms:\n"
    assert read(tmp_path, text)[0] == Trial("x")


def test_every_problem_at_once(tmp_path: Path) -> None:
    text = """
names: x
phase: 3
blind: perhaps
share: half
sites: [{beds: 100}, [Rome], {city: {a: b}}, ~]
arms: {news: x, old: ""}
"""
    _, reader = read(tmp_path, text)
    assert list(map(str, reader.problems)) == [
        "trial.yaml, column names; expected one of the keys name, phase, blind, share, in, sites, "
        "arms (did you mean name?)",
        "trial.yaml, column name; expected text",
        'trial.yaml, column phase: found "3"; expected one of 1, 2',
        'trial.yaml, column blind: found "perhaps"; expected true or false',
        'trial.yaml, column share: found "half"; expected a number',
        "trial.yaml, column sites[1].city; expected text",
        'trial.yaml, column sites[1].beds: found "100"; expected a whole number from 1 to 99',
        'trial.yaml, column sites[2].city: found "["Rome"]"; expected text',
        'trial.yaml, column sites[3].city: found "{"a": "b"}"; expected text',
        "trial.yaml, column sites[4].city; expected text",
        "trial.yaml, column arms.news; expected one of the keys old, new (did you mean new?)",
        "trial.yaml, column arms.old; expected text",
    ]
    with pytest.raises(InputError, match="12 problems"):
        reader.check()


def test_fields_that_do_not_fit_together(tmp_path: Path) -> None:
    (problem,) = read(tmp_path, "name: x\nblind: true\n")[1].problems
    assert (problem.column, problem.expected) == ("blind", "false in phase 1")


@pytest.mark.parametrize("content", ["- a\n", "just words\n"])
def test_a_file_that_holds_no_record(tmp_path: Path, content: str) -> None:
    (problem,) = read(tmp_path, content)[1].problems
    assert problem.expected == "key: value lines"


def test_a_list_of_records_is_a_list(tmp_path: Path) -> None:
    (problem,) = read(tmp_path, "name: x\nsites: Rome\n")[1].problems
    assert (problem.column, problem.value) == ("sites", "Rome")


LEVELS = list(zip("abcdefgh", "bcdefghi", strict=True))
BOMB = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in LEVELS)
MERGE_BOMB = "a: &a {x: y}\n" + "".join(
    f"{b}: &{b} {{<<: [{', '.join([f'*{a}'] * 10)}]}}\n" for a, b in LEVELS
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: [\n", "trial.yaml, row 2; expected a YAML file in UTF-8 ("),
        ("name: x\nname: y\n", "row 2; expected a YAML file in UTF-8 (name is given twice)"),
        ("name: x\n---\nname: y\n", "row 2; expected a YAML file"),
        ("name: !!python/object/apply:os.system ['true']\n", "row 1; expected a YAML file"),
        ("name: !!timestamp 2020-01-01\n", "row 1; expected a YAML file"),
        ("name: !mine x\n", "row 1; expected a YAML file"),
        ("? [a]\n: x\n", "row 1; expected a YAML file"),
        ("name: *x\n", "row 1; expected a YAML file"),
        ("name: &x [*x]\n", "at most 100,000 values"),
        (BOMB, "at most 100,000 values"),
        (MERGE_BOMB, "at most 100,000 values"),
        ("[" * 20_000 + "]" * 20_000, "a YAML file in UTF-8 (maximum recursion depth"),
        ("name: " + "x" * MOST_BYTES, "at most 1,000,000 bytes"),
        (b"name: \xff\n", "a YAML file in UTF-8 (invalid start byte)"),
        (b"name: \0\n", "a YAML file in UTF-8 ("),
    ],
)
def test_what_is_no_safe_yaml_is_one_problem(
    tmp_path: Path, text: str | bytes, expected: str
) -> None:
    assert expected in refused(tmp_path, text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        Reader("absent.yaml").load(tmp_path / "absent.yaml")


def test_an_anchor_and_a_merge_are_read(tmp_path: Path) -> None:
    text = "name: x\nsites: [&rome {city: Rome, beds: 7}, *rome, {<<: *rome, beds: 8}]\n"
    assert read(tmp_path, text)[0].sites == (Site("Rome", 7), Site("Rome", 7), Site("Rome", 8))


def test_a_key_that_a_merge_takes_over_is_not_given_twice(tmp_path: Path) -> None:
    """Whatever is merged into what, and in which order it is made."""
    path = tmp_path / "nested.yaml"
    path.write_text("a: [[&b {<<: {x: 1, y: 2}, y: 3}]]\nc: {<<: *b, z: 4}\n")
    expected = {"a": [[{"x": "1", "y": "3"}]], "c": {"x": "1", "y": "3", "z": "4"}}
    assert Reader(path.name).load(path) == expected


def test_a_key_cannot_break_the_message(tmp_path: Path) -> None:
    (problem,) = read(tmp_path, 'name: x\n"\\e[31mred\\n": x\n')[1].problems
    assert str(problem).isprintable()
