"""The draft of a mapping (:mod:`salvage.cohort.importing`) from a hospital's files.

Columns are found by their names in ``written.yaml`` and by what they hold; a REDCap data dictionary
beside an export adds labels and choices. What the draft cannot know is marked ``# ?``.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd
import yaml

from salvage import words
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

#: The header of a REDCap data dictionary, raw and as REDCap's API gives it.
_FIELD: Final = ("Variable / Field Name", "field_name")
_EVENT: Final = ("redcap_event_name", "Event Name")
_FORM: Final = ("redcap_repeat_instrument", "Repeat Instrument")
#: In an export with labels, a checkbox; in any export, whether a form is complete.
_BOX: Final = re.compile(r".*\(choice=(.*)\)")
#: Names of a column whose 1 is a death.
_DEAD: Final = re.compile(r"dead|died|death|deceas|os event|event os|死亡")
#: Files that hold labels beside their codes.
_LABELLED: Final = (".sav", ".zsav", ".por", ".dta")
_STATUS: Final = re.compile(r".*_complete|Complete\?( #\d+)?")
_LIST: Final = "tag:yaml.org,2002:seq"
#: More texts than these are no codes.
MOST_CODES: Final = 15
#: Codes that REDCap and others store for a value that is missing, beside the words for it.
_MISSING: Final = re.compile(r"-\d+|-?(9{2,4}|8{2,3})(\.0)?|nask|asku|unk|ni|nav|np|inv|oth|na")
_NUMBERED: Final = re.compile(r"(.*?)_?(?<!\d)([1-9])(?!\d)(.*)")
#: What a date may be besides the columns of the cohort, and what is made from it.
_DATES: Final = {
    name: Column(name, "month", meaning)
    for name, meaning in {
        TIME_ZERO: "Date of the first CAR-T infusion",
        "born": "Date of birth",
        "death": "Date of death",
        "contact": "Last contact",
    }.items()
}
_TAKES: Final = {"relapse_month": "earliest", "os_month": "latest", "died": "last"}
_UNITS: Final = {"day": "days", "week": "weeks", "year": "years"}


#: Standards by the files that they name, and the drafts for them.
SYSTEMS: Final = {"adam": {"adsl", "adtte"}, "omop": {"person", "drug_exposure"}}
DRAFTS: Final = Path(__file__).with_name("drafts")


class Noted(NamedTuple):
    """A text of the draft with what is said of it at the end of its line."""

    text: Any
    note: str


@dataclass(frozen=True)
class Field:
    """One column of a source: its name, its words, its texts with their counts, and the labels of
    its codes if a data dictionary has them. ``option`` is that of a checkbox, ``form`` the form of
    REDCap that it is part of."""

    name: str
    label: str
    counts: Mapping[str, int]
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
    def texts(self) -> dict[str, str]:
        """Every text that is no missing value, with its label."""
        known = dict(self.choices) or {}
        known |= {text: text for text in self.counts if text not in known}
        return {text: label for text, label in known.items() if not is_missing(text, label)}


@dataclass
class Group:
    """Rows of a source that are of one kind: those of a repeating form, or the others."""

    source: str
    fields: list[Field]
    rows: pd.DataFrame
    id: Field | None
    keep: list[dict[str, Any]] = field(default_factory=list)
    repeats: bool = False

    def __post_init__(self) -> None:
        self.found = {table.name: _matched(self.fields, table) for table in schema.TABLES}


def is_missing(text: str, label: str = "") -> bool:
    """Whether a text stands for a value that is missing, by itself or by its label."""
    plain = plain_text(label or text)
    return plain in written().missing or (label == text and bool(_MISSING.fullmatch(plain)))


# --- what the files hold --------------------------------------------------------------------------


def read_groups(source: Path) -> tuple[dict[str, dict[str, str]], list[Group]]:
    """Every source of a mapping by its name, with its file, and the groups of their rows."""
    tables: dict[str, tuple[SourceFile, pd.DataFrame]] = {}
    dictionary: dict[str, Field] = {}
    files = sorted(source.iterdir()) if source.is_dir() else [source]
    for path in files:
        suffix = path.suffix.lower()
        if suffix not in FORMATS or not path.is_file():
            continue
        titles = list(sheets(path).rows) if suffix in WORKBOOKS else [""]
        for title in titles:
            labels = suffix in _LABELLED
            given = SourceFile(path.name if source.is_dir() else "", title, labels=labels)
            frame, problems = FORMATS[suffix](path, given)
            name = re.sub(r"\W+", "_", title if len(titles) > 1 else path.stem).strip("_").lower()
            if (key := _present(_FIELD, frame)) is not None:
                dictionary |= _dictionary(frame, key)
            elif not problems:
                tables[name or f"source_{len(tables) + 1}"] = (given, frame)
    if not tables and dictionary:
        return {"export": {}}, list(_forms(list(dictionary.values())))
    if not tables:
        expected = "files with a header, in one of the formats " + ", ".join(FORMATS)
        raise InputError("Nothing to map", [Problem(str(source), expected=expected)])
    groups = [g for name, (_, frame) in tables.items() for g in _groups(name, frame, dictionary)]
    places = {
        name: {"file": at.file, "sheet": at.sheet, "labels": "true" if at.labels else ""}
        for name, (at, _) in tables.items()
    }
    places = {name: {k: text for k, text in at.items() if text} for name, at in places.items()}
    return places, groups


def _present(names: Sequence[str], frame: pd.DataFrame) -> str | None:
    return next((name for name in names if name in frame.columns), None)


def _dictionary(frame: pd.DataFrame, key: str) -> dict[str, Field]:
    """The fields of a REDCap data dictionary as its export names them, one for each checkbox."""
    cells = frame.rename(columns=lambda name: re.sub(r"\W+", "_", str(name)).strip("_").lower())
    key = re.sub(r"\W+", "_", key).strip("_").lower()
    fields = {}
    for _, row in cells.iterrows():
        name, label = row[key], re.sub(r"<[^>]+>", "", row.get("field_label", ""))
        kind, form = row.get("field_type", ""), row.get("form_name", "")
        listed = row.get("choices_calculations_or_slider_labels") or row.get(
            "select_choices_or_calculations", ""
        )
        pairs = [part.partition(",") for part in listed.split("|") if "," in part]
        choices = {code.strip(): text.strip() for code, _, text in pairs} if kind != "calc" else {}
        choices |= {"yesno": {"1": "Yes", "0": "No"}, "truefalse": {"1": "True", "0": "False"}}.get(
            kind, {}
        )
        is_date = str(row.get("text_validation_type_or_show_slider_number", "")).startswith("date")
        if kind == "checkbox":
            flags = {"1": "Checked", "0": "Unchecked"}
            for code, text in choices.items():
                column = f"{name}___{re.sub(r'[^a-z0-9]', '_', code.lower())}"
                fields[column] = Field(column, f"{label}: {text}", {}, flags, False, text, form)
        elif kind != "descriptive":
            fields[name] = Field(name, label, {}, choices, is_date, "", form)
    return fields


def _forms(fields: list[Field]) -> Iterator[Group]:
    """The groups of an export that is not there yet: forms of lines and of events will repeat."""
    first = fields[0]  # the record's id
    for form in dict.fromkeys(one.form for one in fields):
        keep = [
            {
                "column": _FORM[0],
                "equals": Noted(form, "? without these rules if it does not repeat"),
            }
        ]
        own = [one for one in fields if one.form == form]
        group = Group("export", own, pd.DataFrame(), first, keep, True)
        if _is_salvage(group) or _is_event(group):
            fields = [one for one in fields if one not in own]
            yield group
    note = "? if the project has events, add one for redcap_event_name"
    keep = [{"column": _FORM[0], "blank": Noted("true", note)}]
    yield Group("export", fields, pd.DataFrame(), first, keep)


def _groups(name: str, frame: pd.DataFrame, dictionary: Mapping[str, Field]) -> Iterator[Group]:
    """The rows of a source by the repeating form or event that they belong to."""
    form, event = _present(_FORM, frame), _present(_EVENT, frame)
    fields = _fields(frame, dictionary)
    of_patient = _matched(fields, schema.PATIENTS).get("patient_id")
    if of_patient is None and (form or event):
        of_patient = fields[0]

    def group(rows: pd.DataFrame, keep: list[dict[str, Any]], repeats: bool) -> Group:
        return Group(name, _fields(rows, dictionary), rows, of_patient, keep, repeats)

    def repeat(rows: pd.DataFrame) -> bool:
        return of_patient is not None and bool(rows[of_patient.name].duplicated().any())

    base = frame if form is None else frame[frame[form] == ""]
    for column, within in ((form, frame), (event, base)):
        for value in [] if column is None else within[column].unique():
            part = within[within[column] == value]
            if value and (column == form or repeat(part)):
                yield group(part, [{"column": column, "equals": value}], True)
                base = base[~base.index.isin(part.index)]
    keep = [] if form is None else [{"column": form, "blank": "true"}]
    if event is not None and len(set(base[event])) > 1:
        main = base[event].value_counts().index[0]
        keep.append({"column": event, "equals": main})
        yield group(base[base[event] != main], [], True)
        base = base[base[event] == main]
    people = group(base, keep, repeat(base))
    yield people
    by_number: dict[str, list[Field]] = {}
    for one in people.fields:
        if (parts := _NUMBERED.fullmatch(one.name)) and not one.option:
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
        known = dictionary.get(name, Field(name, "", {}, option=box[1] if box else ""))
        if (counts or rows.empty) and name not in (*_FORM, *_EVENT):
            one = replace(known, counts=counts)
            patterns = _patterns(one) if counts and not one.choices else []
            fields.append(replace(one, is_date=known.is_date or bool(patterns)))
    return fields


def _patterns(one: Field) -> list[str]:
    """The patterns that read most texts of a column as dates, if those are nearly all of them."""
    texts = list(one.texts)
    read = {form: [t for t in texts if parse_date(t, form)] for form in USUAL if form != AUTO_DATE}
    read = {AUTO_DATE: list(read_dates(texts)), **read}
    most = max(map(len, read.values()))
    return [f for f, t in read.items() if len(t) == most] if 5 * most > 4 * len(texts) else []


# --- which column is which ------------------------------------------------------------------------


def _matched(fields: Sequence[Field], table: TableSchema) -> dict[str, Field]:
    """The best column for each of a table's, each used once: by its name, if it can hold it."""
    targets = {c.name: c for c in table.columns} | (_DATES if table is schema.PATIENTS else {})
    names = written().names[table.name]
    ranked = sorted(
        (rank, position, order)
        for order, target in enumerate(targets)
        for position, one in enumerate(fields)
        if (rank := _rank(one, target, names.get(target, ()))) is not None
        and _can_hold(one, targets[target])
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
        if name.replace(" ", "") == re.sub(r"[\W_]", "", one.name.casefold()):
            return rank
        pattern = re.escape(name).replace(r"\*", r"\w*")
        if re.search(rf"(?<![a-z]){pattern}(?![a-z])" if name.isascii() else pattern, one.words):
            return rank
    return None


def _can_hold(one: Field, column: Column) -> bool:
    """Whether what a column of a source holds can be a column of the cohort."""
    texts = one.texts
    if column.kind == "month":
        numbers = column.name not in _DATES and all(_is_number(text) for text in texts)
        return one.is_date or (numbers and not one.choices)
    if one.is_date or (column.kind in ("code", "flag") and len(texts) > MOST_CODES):
        return False
    if column.kind == "flag" or one.option:
        return column.kind == "flag" and len(texts) <= 4
    if column.kind in ("integer", "number"):
        return all(_is_number(x) or meant(x, column) is not None for x in texts.values())
    is_number = bool(texts) and not one.choices and all(map(_is_number, texts))
    return column.kind == "id" or not (is_number or _STATUS.fullmatch(one.name))


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"-?\d+([.,]\d+)?", text))


# --- the draft ------------------------------------------------------------------------------------


def draft(source: Path) -> str:
    """The draft of a mapping for the files at ``source``, as YAML.

    Raises :class:`InputError` where no file can be read.
    """
    if text := _of_system(source):
        return text
    places, groups = read_groups(source)
    treatments = [group for group in groups if _is_salvage(group)]
    # Where rows repeat, those that do not are none of lines.
    salvage = [group for group in treatments if group.repeats] or treatments
    events = [group for group in groups if _is_event(group)]
    others = [g for g in groups if g not in salvage and g not in events] or groups
    people = max(others, key=lambda g: (not g.repeats, len(g.found["patients"])))
    if people in salvage:
        # What is a column of the patient is none of the line.
        own = people.found["patients"].values()
        people.found["salvage"] = _matched(
            [f for f in people.fields if f not in own], schema.SALVAGE
        )
    tables = {
        "patients": [_patients(people, [g for g in others if g is not people])],
        "salvage": [entry for g in salvage or [people] for entry in _salvage(g, others)],
    }
    if events:
        tables["adverse_events"] = [_entry(g, schema.ADVERSE_EVENTS) for g in events]
    content: dict[str, Any] = {"study": {"title": Noted("", "? title of the book"), "centre": ""}}
    content |= {"sources": places, "tables": tables}
    if _rows_of_drugs(salvage):
        supportive = Noted(list(written().supportive), "? drugs that treat no lymphoma")
        content["lines"] = {"within_days": "14", "same_regimen_gap_days": "60"}
        content["lines"] |= {"supportive": supportive}
    used = {one.name for g in groups for found in g.found.values() for one in found.values()}
    idle = sorted({one.name for g in groups for one in g.fields} - used)
    head = f"""\
# A draft from {source.name}. A line marked "# ?" is a guess, or blank: mend what stands before the
# mark, and take the mark away. Then run
#     python -m salvage import {source.name} --mapping THIS_FILE --out COHORT
"""
    tail = f"# Columns that are not used: {', '.join(idle)}\n" if idle else ""
    return head + _yaml(content) + tail


def _of_system(source: Path) -> str:
    """The draft for files that a standard names, from :data:`DRAFTS`; blank for other files."""
    files = {file.stem.lower(): file for file in (source.iterdir() if source.is_dir() else ())}
    files = {stem: file for stem, file in files.items() if file.suffix.lower() in FORMATS}
    system = next((name for name, stems in SYSTEMS.items() if stems <= files.keys()), None)
    if system is None:
        return ""
    text = (DRAFTS / f"{system}.yaml").read_text(encoding="utf-8")
    # A part between "#if x" and "#end" is for a folder with that file, "#if !x" for one without.
    text = re.sub(
        r"#if (!?)(\w+)\n(.*?)#end\n",
        lambda m: m[3] if (m[2] in files) != bool(m[1]) else "",
        text,
        flags=re.DOTALL,
    )
    drugs, codes = written().drugs, written().codes["best_response"]
    filled: dict[str, Any] = {stem: file.name for stem, file in files.items()}
    filled |= {"drugs": drugs, "second_cart": drugs["second_cart"]}
    filled |= {"supportive": written().supportive}
    filled["responses"] = {code: texts for code, texts in codes.items() if code != "NE"}
    return re.sub(r"<(\w+)>", lambda m: json.dumps(filled[m[1]], ensure_ascii=False), text)


def _is_event(group: Group) -> bool:
    """Whether the rows are adverse events."""
    return {"term", "grade"} <= group.found["adverse_events"].keys()


def _is_salvage(group: Group) -> bool:
    """Whether the rows have the start and the drug or category of a treatment."""
    found = group.found["salvage"].keys()
    drug = "regimen" in found or "category" in found or _drug_boxes(group)
    return bool(drug) and "start_month" in found and not _is_event(group)


def _drug_boxes(group: Group) -> list[tuple[Field, list[str]]]:
    """Checkboxes of drugs, of which one line may have several, with the texts of a tick."""
    boxes = [one for one in group.fields if one.option]
    of_drugs = {_question(one) for one in boxes if _category(one.option)}
    flag = Column("", "flag", "")
    ticks = [
        (one, [text for text, label in one.texts.items() if meant(label, flag) == "1"])
        for one in boxes
        if _question(one) in of_drugs
    ]
    return [(one, texts) for one, texts in ticks if texts]


def _question(box: Field) -> str:
    """What a checkbox is one answer to."""
    return re.split(r"___| \(choice=", box.name)[0]


def _category(text: str) -> str | None:
    """The category of a drug, where the words for one category alone stand in a text."""
    code = codes_of(schema.SALVAGE.column("category")).get(plain_text(text))
    found = [c for c, patterns in written().drugs.items() if fitting(patterns, text)]
    named = [c for c in found if c != "other"] or found
    return code or (named[0] if len(named) == 1 else None)


def _patients(people: Group, others: list[Group]) -> dict[str, Any]:
    """The entry of the patients; what their rows lack is looked up in those of other groups."""
    entry = _entry(people, schema.PATIENTS)
    if people.repeats and people.id:
        line = people.found["salvage"].get("line")
        if line is not None:
            entry = {
                "source": people.source,
                "keep": [{"column": line.name, "equals": "1"}],
                **entry,
            }
        else:
            note = "? several rows of a patient: keep one of them by a rule"
            entry["columns"]["patient_id"] = Noted(people.id.name, note)
    columns, found = entry["columns"], people.found["patients"]
    wanted = [TIME_ZERO, *schema.PATIENTS.names[1:]]
    for group in others if people.id else []:
        for name, cell in _cells(group, schema.PATIENTS).items():
            if group.id and name in wanted and (name not in columns or _is_blank(columns[name])):
                cell = {"column": cell} if not isinstance(cell, dict) else cell
                columns[name] = {"source": group.source, "by": group.id.name, **cell}
                columns[name]["take"] = _TAKES.get(name, "first")
                if group.keep:
                    columns[name]["where"] = group.keep
    if "died" not in found and (death := found.get("death")) and _is_blank(columns["died"]):
        dead = {"column": death.name, "blank": "false"}
        columns["died"] = {"source": people.source, "by": people.id.name if people.id else ""}
        columns["died"] |= {"where": [dead], "take": Noted("count", "? dead: who has this date")}
    return entry


def _is_blank(cell: Any) -> bool:
    text = cell["column"] if isinstance(cell, dict) and "column" in cell else cell
    return isinstance(text, Noted) and not text.text


def _salvage(group: Group, others: list[Group]) -> Iterator[dict[str, Any]]:
    """The entry of salvage lines; of checkboxes, one for each drug that may be ticked."""
    entry = _entry(group, schema.SALVAGE)
    columns, found = entry["columns"], group.found["salvage"]
    start = found.get("start_month")
    if start is not None and any(_NUMBERED.fullmatch(one.name) for one in (start,)):
        entry["keep"] = [*entry.get("keep", []), {"column": start.name, "blank": "false"}]
    if _is_blank(columns["best_response"]):
        columns["best_response"] = _assessed(others) or columns["best_response"]
    boxes = [] if "category" in found or "regimen" in found else _drug_boxes(group)
    rules, untouched = entry.get("keep", []), []
    for box, ticks in boxes:
        category = _category(box.option)
        noted = category or Noted("other", f"? {box.option}")
        drug = {"category": {"value": noted}, "regimen": {"value": box.option}}
        ticked = {"column": box.name, "in": tuple(ticks)}
        untouched.append({"column": box.name, "not_in": tuple(ticks)})
        yield {**entry, "keep": [*rules, ticked], "columns": columns | drug}
    if boxes:
        none = {"value": Noted("other", "? lines of which no drug is ticked")}
        columns = columns | {"category": none, "regimen": {"value": "not stated"}}
        entry = {**entry, "keep": [*rules, *untouched], "columns": columns}
    yield entry


def _assessed(groups: Iterable[Group]) -> dict[str, Any] | None:
    """The best response of a line from a table of assessments, if there is one."""
    for group in groups:
        found = _matched(group.fields, schema.SALVAGE)
        day = next((one for one in group.fields if one.is_date), None)
        if group.repeats and group.id and "best_response" in found and day:
            cell = _cells(group, schema.SALVAGE)["best_response"]
            of_line = {"column": day.name, "date": _date(day, group)}
            where = {"where": group.keep} if group.keep else {}
            return {"source": group.source, "by": group.id.name, **cell, "take": "best", **where,
                    "in_line": of_line}  # fmt: skip
    return None


def _entry(group: Group, table: TableSchema) -> dict[str, Any]:
    """An entry of a table; a required column that is not found is left blank and marked."""
    cells = _cells(group, table)
    dated = any(isinstance(cell, dict) and "date" in cell for cell in cells.values())
    zero = [_DATES[TIME_ZERO]] if dated and table is schema.PATIENTS else []
    for column in [*zero, *(c for c in table.columns if c.required and c.name != "line")]:
        if column.name not in cells:
            name = Noted("", f"? {column.meaning}: the name of its column")
            is_date = dated and column.kind == "month"
            cells[column.name] = {"column": name, "date": AUTO_DATE} if is_date else name
    keep = {"keep": group.keep} if group.keep else {}
    order = ["patient_id", TIME_ZERO, *table.names]
    return {
        "source": group.source,
        **keep,
        "columns": {name: cells[name] for name in sorted(cells, key=order.index)},
    }


def _cells(group: Group, table: TableSchema) -> dict[str, Any]:
    """How each column of a table is filled that a group has."""
    found = dict(group.found[table.name])
    if group.id:
        found["patient_id"] = group.id
    cells = {c.name: _cell(found[c.name], c, group) for c in table.columns if c.name in found}
    if table is schema.PATIENTS:
        if TIME_ZERO in found:
            cells[TIME_ZERO] = _cell(found[TIME_ZERO], _DATES[TIME_ZERO], group)
        if "age" not in cells and "born" in found:
            cells["age"] = _cell(found["born"], _DATES["born"], group)
        last = [found[name] for name in ("death", "contact") if name in found]
        months = found.get("os_month")
        if last and not (months and (months.is_date or TIME_ZERO not in found)):
            dates = list(dict.fromkeys(_date(one, group) for one in last))
            dates = dates[0] if len(dates) == 1 else _noted_list(dates)
            cells["os_month"] = {"column": tuple(one.name for one in last), "date": dates}
    if table is schema.SALVAGE and "category" not in cells and "regimen" in found:
        cells["category"] = _by_drug(found["regimen"])
    return cells


def _cell(one: Field, column: Column, group: Group) -> Any:
    """How a column of the cohort is filled from a column of a source."""
    cell: dict[str, Any] = {"column": one.name}
    values: dict[str, Any] = {}
    is_number = column.kind in ("integer", "number") and all(map(_is_number, one.texts))
    if column.kind != "month" and (column.kind not in ("id", "text") or one.choices):
        values = _values(one, column) if one.choices or not is_number else {}
    elif column.kind == "month" and one.is_date:
        cell["date"] = _date(one, group)
    elif column.kind == "month":
        unit = next((unit for word, unit in _UNITS.items() if word in one.words), "months")
        cell["unit"] = Noted(unit, "? unit of this number")
    known = {**one.choices, **one.counts}
    for text in known:
        label = one.choices.get(text, text)
        if is_missing(text, label) and text not in values and column.kind != "id":
            blank = "NE" if "NE" in column.codes else ""
            values[text] = Noted(blank, _said(text, label, one, ": missing"))
    if values:
        cell["values"] = values
    if "NE" in column.codes and column.required:
        cell["blank"] = "NE"
    return cell if len(cell) > 1 else one.name


def _values(one: Field, column: Column) -> dict[str, Any]:
    """What each text of a column becomes; what is not known is left blank and marked."""
    values: dict[str, Any] = {}
    for text, label in one.texts.items():
        code = label if column.kind == "text" else meant(label, column)
        if column.name == "died" and label.isdigit() and not _DEAD.search(one.words):
            code = None  # 1 may be alive, dead or censored
        code = code or (_category(label) if column.name == "category" else None)
        if code is None:
            allowed = ", ".join(column.codes or ("0", "1"))
            said = _said(text, label, one, f": one of {allowed}")
            values[text] = Noted(_guess(label, column), f"? {said}")
        else:
            values[text] = Noted(code, _said(text, label, one))
    return values


def _guess(label: str, column: Column) -> str:
    """The only code of which a word stands in a label; blank for none or several."""
    found = {
        code for word, code in codes_of(column).items() if len(word) > 1 and fitting([word], label)
    }
    return found.pop() if len(found) == 1 else ""


def _said(text: str, label: str, one: Field, more: str = "") -> str:
    """The label of a text, and in how many rows it stands."""
    rows = [words.count(one.counts[text], "row")] if text in one.counts else []
    return ", ".join([*([label] if label != text else []), *rows]) + more


def _by_drug(one: Field) -> dict[str, Any]:
    """The category from the drugs of a regimen; a text in which none is known is marked."""
    values: dict[str, Any] = {}
    for text, label in one.texts.items():
        category = _category(label)
        if one.choices or category is None:
            known = category or fitting(written().supportive, label)
            note = _said(text, label, one)
            values[text] = Noted(category or "other", note if known else f"? {note}")
    patterns = written().drugs
    cell: dict[str, Any] = {"column": one.name} | ({"values": values} if values else {})
    return cell if one.choices else cell | {"patterns": patterns}


def _date(one: Field, group: Group) -> Any:
    """The pattern of a column's dates: the one that reads every cell, if there is one."""
    texts = list(one.texts)
    patterns = _patterns(one) if texts else [AUTO_DATE]
    if not patterns or (patterns[0] == AUTO_DATE and len(read_dates(texts)) == len(texts)):
        return AUTO_DATE
    dates = {text for other in group.fields if other.is_date for text in other.texts}
    told = read_dates(texts, dates)
    fits = [p for p in patterns if all(parse_date(t, p) == told[t] for t in told)] or patterns
    lost = [text for text in texts if parse_date(text, fits[0]) is None]
    if lost:
        return Noted(fits[0], f'? not read: {words.count(len(lost), "cell")}, such as "{lost[0]}"')
    if len(fits) > 1 and len(told) < len(texts):
        return Noted(fits[0], f"? or {' or '.join(fits[1:])}, which read every cell as well")
    return fits[0]


def _noted_list(items: Sequence[Any]) -> Any:
    """Texts as one list, with what is said of any of them."""
    notes = [item.note for item in items if isinstance(item, Noted)]
    texts = [item.text if isinstance(item, Noted) else item for item in items]
    return Noted(texts, notes[0]) if notes else tuple(texts)


def _rows_of_drugs(groups: Sequence[Group]) -> bool:
    """Whether rows of one patient begin on one day, or have a drug that may be one of several."""
    for group in groups:
        start, regimen = (group.found["salvage"].get(n) for n in ("start_month", "regimen"))
        if _drug_boxes(group) and regimen is None:
            return True
        if group.id and start and regimen and len(group.rows):
            for name in (start.name, regimen.name):
                if group.rows.duplicated([group.id.name, name]).any():
                    return True
    return False


# --- YAML -----------------------------------------------------------------------------------------


class _Dumper(yaml.SafeDumper):
    """YAML without references; a tuple is a list on one line."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(tuple, lambda dumper, items: dumper.represent_sequence(_LIST, items, True))


def _yaml(content: Any) -> str:
    """Content as YAML, each :class:`Noted` with its note as a comment behind it."""
    notes: list[Noted] = []

    def plain(node: Any) -> Any:
        if isinstance(node, Noted):
            notes.append(node)
            return f"NOTED{len(notes) - 1}"
        if isinstance(node, dict):
            return {key: plain(value) for key, value in node.items()}
        return [plain(item) for item in node] if isinstance(node, list) else node

    def said(match: re.Match[str]) -> str:
        noted = notes[int(match[1])]
        return f"{json.dumps(noted.text, ensure_ascii=False)}  # {noted.note}"

    text = yaml.dump(plain(content), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=99)
    return re.sub(r"NOTED(\d+)$", said, text, flags=re.MULTILINE)
