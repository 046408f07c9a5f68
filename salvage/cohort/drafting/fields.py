"""What the files of a hospital hold: groups of rows of one kind, and what their columns may be.

A REDCap data dictionary beside an export adds labels, choices and checkboxes; without an export,
its forms say what one will hold.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

from salvage.cohort import schema
from salvage.cohort.cells import parse_date, plain_text, read_dates
from salvage.cohort.dates import INFUSION_DATE, date_column
from salvage.cohort.files import FORMATS, WORKBOOKS, SourceFile, sheets
from salvage.cohort.importing.mapping import AUTO_DATE, TIME_ZERO
from salvage.cohort.importing.matching import fitting
from salvage.cohort.importing.times import USUAL
from salvage.cohort.schema import Column, TableSchema
from salvage.cohort.written import codes_of, meant, written
from salvage.problems import InputError, Problem

#: Columns by which REDCap parts the rows of an export, raw and with labels.
_EVENT: Final = ("redcap_event_name", "Event Name")
_FORM: Final = ("redcap_repeat_instrument", "Repeat Instrument")
#: In an export with labels, a checkbox; in any export, whether a form is complete.
_BOX: Final = re.compile(r".*\(choice=(.*)\)")
_STATUS: Final = re.compile(r".*_complete|Complete\?( #\d+)?")
#: What the choices of some kinds of fields are, which a dictionary does not list.
_CHOICES: Final = {
    "yesno": {"1": "Yes", "0": "No"},
    "truefalse": {"1": "True", "0": "False"},
    "checkbox": {"1": "Checked", "0": "Unchecked"},
}
#: Files that hold labels beside their codes.
_LABELLED: Final = (".sav", ".zsav", ".por", ".dta")
#: More texts than these are no codes.
MOST_CODES: Final = 15
#: Codes that REDCap and others store for a value that is missing, beside the words for it.
_MISSING: Final = re.compile(r"-\d+|-?(9{2,4}|8{2,3})(\.0)?|nask|asku|unk|ni|nav|np|inv|oth|na")
#: Columns of several lines in one row, such as salv2_start.
NUMBERED: Final = re.compile(r"(.*?)_?(?<!\d)([1-9])(?!\d)(.*)")
#: Dates from which columns of the patients are made.
DATES: Final = {
    name: Column(name, "month", meaning)
    for name, meaning in {
        TIME_ZERO: "Date of the first CAR-T infusion",
        "born": "Date of birth",
        "death": "Date of death",
        "contact": "Last contact",
    }.items()
}


class Noted(NamedTuple):
    """What stands in a line of a draft, and what is said of it behind it."""

    text: Any
    note: str


@dataclass(frozen=True, eq=False)
class Field:
    """One column of a source: its name and label, its texts with their counts, and the labels of
    its codes if a data dictionary has them. ``option`` is what a checkbox stands for, ``form`` the
    form of REDCap that the field is part of."""

    name: str
    label: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    choices: Mapping[str, str] = field(default_factory=dict)
    is_date: bool = False
    option: str = ""
    form: str = ""

    @property
    def words(self) -> str:
        """Name and label as words in small letters."""
        text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", f"{self.name} | {self.label}")
        return re.sub(r"[\W_]+", " ", plain_text(text))

    @property
    def labels(self) -> dict[str, str]:
        """Every text that may stand in the column, with its label; without one, itself."""
        return {text: self.choices.get(text, text) for text in (*self.choices, *self.counts)}

    @property
    def texts(self) -> dict[str, str]:
        """Texts and labels without those that stand for a missing value."""
        return {t: label for t, label in self.labels.items() if not is_missing(t, label)}


@dataclass(eq=False)
class Group:
    """Rows of a source that are of one kind: those of a repeating form, or the others."""

    source: str
    fields: list[Field]
    id: Field | None
    rows: pd.DataFrame = field(default_factory=pd.DataFrame)
    keep: list[dict[str, Any]] = field(default_factory=list)
    repeats: bool = False

    def __post_init__(self) -> None:
        self.found = {table.name: matched(self.fields, table) for table in schema.TABLES}

    @property
    def is_event(self) -> bool:
        """Whether the rows are adverse events."""
        return {"term", "grade"} <= self.found["adverse_events"].keys()

    @property
    def is_salvage(self) -> bool:
        """Whether the rows have the start and the drug or category of a treatment."""
        found = self.found["salvage"].keys()
        drug = {"regimen", "category"} & found or self.boxes
        return bool(drug) and "start_month" in found and not self.is_event

    @property
    def boxes(self) -> list[tuple[Field, tuple[str, ...]]]:
        """Checkboxes of drugs, of which one line may have several, with the texts of a tick."""
        questions = {one: re.split(r"___| \(choice=", one.name)[0] for one in self._ticked()}
        of_drugs = {name for one, name in questions.items() if category_of(one.option)}
        return [(one, self._ticked()[one]) for one, name in questions.items() if name in of_drugs]

    def _ticked(self) -> dict[Field, tuple[str, ...]]:
        flag = Column("", "flag", "")
        boxes = {
            one: tuple(text for text, label in one.texts.items() if meant(label, flag) == "1")
            for one in self.fields
            if one.option
        }
        return {one: texts for one, texts in boxes.items() if texts}


def is_missing(text: str, label: str) -> bool:
    """Whether a text stands for a value that is missing, by its label or by itself."""
    plain = plain_text(label)
    return plain in written().missing or (label == text and bool(_MISSING.fullmatch(plain)))


def category_of(text: str) -> str | None:
    """The category of a drug, if words for one category alone stand in a text."""
    code = codes_of(schema.SALVAGE.column("category")).get(plain_text(text))
    found = [c for c, patterns in written().drugs.items() if fitting(patterns, text)]
    named = [c for c in found if c != "other"] or found
    return code or (named[0] if len(named) == 1 else None)


# --- what the files hold --------------------------------------------------------------------------


@dataclass
class Files:
    """Every source of a mapping by its name, with its file; the groups of their rows; and why a
    file was not read."""

    places: dict[str, dict[str, str]]
    groups: list[Group]
    problems: list[Problem]


def read_files(source: Path) -> Files:
    """What the files at ``source`` hold. Raises :class:`InputError` where none can be read."""
    problems: list[Problem] = []
    tables: dict[str, tuple[SourceFile, pd.DataFrame]] = {}
    dictionary: dict[str, Field] = {}
    for path in sorted(source.iterdir()) if source.is_dir() else [source]:
        suffix = path.suffix.lower()
        if suffix not in FORMATS or not path.is_file():
            continue
        titles = list(sheets(path).rows) if suffix in WORKBOOKS else [""]
        for title in titles:
            place = path.name if source.is_dir() else ""
            given = SourceFile(place, title, labels=suffix in _LABELLED)
            frame, wrong = FORMATS[suffix](path, given)
            problems += wrong
            name = re.sub(r"\W+", "_", title if len(titles) > 1 else path.stem).strip("_").lower()
            if fields := _dictionary(frame):
                dictionary |= fields
            elif not wrong:
                tables[name or f"source_{len(tables) + 1}"] = (given, frame)
    if not tables and not dictionary:
        expected = "files with a header, in one of the formats " + ", ".join(FORMATS)
        nothing = [Problem(str(source), expected=expected)]
        raise InputError("Nothing to map", problems or nothing)
    if not tables:
        groups = list(_forms(list(dictionary.values())))
        return Files({"export": {"file": ""}}, groups, problems)
    places = {}
    for name, (at, _) in tables.items():
        rest = {"sheet": at.sheet, "labels": "true" if at.labels else ""}
        places[name] = {"file": at.file} | {key: text for key, text in rest.items() if text}
    groups = [g for name, (_, rows) in tables.items() for g in _groups(name, rows, dictionary)]
    return Files(places, groups, problems)


def _dictionary(frame: pd.DataFrame) -> dict[str, Field]:
    """The fields of a REDCap data dictionary as its export names them, one for each checkbox."""
    # As the project's own pages and as REDCap's API write the header.
    cells = frame.rename(columns=lambda name: re.sub(r"\W+", "_", str(name)).strip("_").lower())
    cells = cells.rename(
        columns={
            "variable_field_name": "field_name",
            "choices_calculations_or_slider_labels": "choices",
            "select_choices_or_calculations": "choices",
            "text_validation_type_or_show_slider_number": "validation",
        }
    )
    fields: dict[str, Field] = {}
    if not {"field_name", "form_name", "field_type", "choices"} <= set(cells.columns):
        return fields
    for row in cells.to_dict("records"):
        name, kind, form = row["field_name"], row["field_type"], row["form_name"]
        label = re.sub(r"<[^>]+>", "", row.get("field_label", ""))
        listed = [part.partition(",") for part in row["choices"].split("|") if "," in part]
        choices = {} if kind == "calc" else {code.strip(): t.strip() for code, _, t in listed}
        if kind == "checkbox":
            for code, text in choices.items():
                box = f"{name}___{re.sub(r'[^a-z0-9]', '_', code.lower())}"
                labels = _CHOICES[kind]
                fields[box] = Field(box, f"{label}: {text}", {}, labels, False, text, form)
        elif kind != "descriptive":
            is_date = row.get("validation", "").startswith("date")
            known = _CHOICES.get(kind, choices)
            fields[name] = Field(name, label, {}, known, is_date, form=form)
    return fields


def _forms(fields: list[Field]) -> Iterator[Group]:
    """The groups of an export that is not there yet: forms of lines and of events will repeat."""
    record = fields[0]
    for form in dict.fromkeys(one.form for one in fields):
        own = [one for one in fields if one.form == form]
        noted = Noted(form, "? without these rules if the form does not repeat")
        keep: list[dict[str, Any]] = [{"column": _FORM[0], "equals": noted}]
        group = Group("export", own, record, keep=keep, repeats=True)
        if group.is_salvage or group.is_event:
            fields = [one for one in fields if one.form != form]
            yield group
    noted = Noted("true", "? if the project has events, a rule for redcap_event_name too")
    yield Group("export", fields, record, keep=[{"column": _FORM[0], "blank": noted}])


def _groups(name: str, frame: pd.DataFrame, dictionary: Mapping[str, Field]) -> Iterator[Group]:
    """The rows of a source by the repeating form or event that they belong to."""
    form, event = (next((n for n in ns if n in frame.columns), "") for ns in (_FORM, _EVENT))
    record = matched(_fields(frame, dictionary), schema.PATIENTS).get("patient_id")
    if record is None and (form or event):
        record = Field(str(frame.columns[0]))

    def group(rows: pd.DataFrame, keep: list[dict[str, Any]], repeats: bool) -> Group:
        return Group(name, _fields(rows, dictionary), record, rows, keep, repeats)

    def repeat(rows: pd.DataFrame) -> bool:
        return record is not None and bool(rows[record.name].duplicated().any())

    base = frame[frame[form] == ""] if form else frame
    for column, within in ((form, frame), (event, base)):
        for value in within[column].unique() if column else ():
            part = within[within[column] == value]
            if value and (column == form or repeat(part)):
                yield group(part, [{"column": column, "equals": value}], True)
                base = base[~base.index.isin(part.index)]
    keep: list[dict[str, Any]] = [{"column": form, "blank": "true"}] if form else []
    if event and len(set(base[event])) > 1:
        main = Counter(base[event]).most_common(1)[0][0]
        yield group(base[base[event] != main], [], True)
        base = base[base[event] == main]
        keep.append({"column": event, "equals": main})
    people = group(base, keep, repeat(base))
    yield people
    by_number: dict[str, list[Field]] = {}
    for one in people.fields:
        if (parts := NUMBERED.fullmatch(one.name)) and not one.option:
            label = re.sub(r"\d+", "", f"{parts[1]} {parts[3]} {one.label}")
            by_number.setdefault(parts[2], []).append(replace(one, label=label))
    for numbered in by_number.values() if len(by_number) > 1 else ():
        yield replace(people, fields=numbered, repeats=True)


def _fields(rows: pd.DataFrame, dictionary: Mapping[str, Field]) -> list[Field]:
    """The columns that hold something in some rows; without rows, all of them."""
    fields = []
    for name in rows.columns:
        counts = Counter(rows[name][rows[name] != ""])
        box = _BOX.fullmatch(name)
        one = dictionary.get(name, Field(name, option=box[1] if box else ""))
        one = replace(one, counts=counts)
        if (counts or rows.empty) and name not in (*_FORM, *_EVENT):
            is_date = bool(counts) and not one.choices and bool(patterns_of(one))
            fields.append(replace(one, is_date=one.is_date or is_date))
    return fields


def read_by(form: str, texts: list[str]) -> list[str]:
    """The texts that a pattern of dates reads."""
    if form == AUTO_DATE:
        return list(read_dates(texts))
    return [text for text in texts if parse_date(text, form)]


def patterns_of(one: Field) -> list[str]:
    """The patterns that read most texts of a column as dates, if those are nearly all of them."""
    texts = list(one.texts)
    read = {form: len(read_by(form, texts)) for form in dict.fromkeys((AUTO_DATE, *USUAL))}
    most = max(read.values())
    return [form for form, n in read.items() if n == most] if 5 * most > 4 * len(texts) else []


# --- which column is which ------------------------------------------------------------------------


def matched(fields: Sequence[Field], table: TableSchema) -> dict[str, Field]:
    """The best column for each of a table's, each used once: by its name, if it can hold it."""
    targets = {c.name: c for c in table.columns} | (DATES if table is schema.PATIENTS else {})
    names = written().names[table.name]
    ranked = sorted(
        (rank, position, order)
        for order, (target, column) in enumerate(targets.items())
        for position, one in enumerate(fields)
        if (rank := _rank(one, target, names.get(target, ()))) is not None
        and _can_hold(one, column)
    )
    found: dict[str, Field] = {}
    for _, position, order in ranked:
        target = list(targets)[order]
        if target not in found and fields[position] not in found.values():
            found[target] = fields[position]
    return found


def _rank(one: Field, target: str, names: Sequence[str]) -> int | None:
    """How surely a column is meant: 0 under the schema's name, else the place of the first name
    that stands in its words; None if none does. Chinese needs no blanks around it."""
    own = {target, date_column(target), INFUSION_DATE if target == TIME_ZERO else target}
    if one.name.casefold() in own:
        return 0
    for rank, name in enumerate(names, 1):
        pattern = re.escape(name).replace(r"\*", r"\w*")
        pattern = rf"(?<![a-z]){pattern}(?![a-z])" if name.isascii() else pattern
        squeezed = re.sub(r"[\W_]", "", one.name.casefold())
        if name.replace(" ", "") == squeezed or re.search(pattern, one.words):
            return rank
    return None


def _can_hold(one: Field, column: Column) -> bool:
    """Whether what a column of a source holds can be a column of the cohort."""
    texts = one.texts
    if column.kind == "month":
        return one.is_date or (column.name not in DATES and not one.choices and is_number(one))
    if one.is_date or (column.kind in ("code", "flag") and len(texts) > MOST_CODES):
        return False
    if column.kind == "flag" or one.option:
        return column.kind == "flag" and len(texts) <= 4
    if column.kind in ("integer", "number"):
        return is_number(one) or all(meant(label, column) is not None for label in texts.values())
    is_text = not texts or bool(one.choices) or not is_number(one)
    return column.kind == "id" or (is_text and not _STATUS.fullmatch(one.name))


def is_number(one: Field) -> bool:
    """Whether every text of a column is a number, with a decimal point or comma."""
    return all(re.fullmatch(r"-?\d+([.,]\d+)?", text) for text in one.texts)
