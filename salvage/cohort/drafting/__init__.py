"""The draft of a mapping (:mod:`salvage.cohort.importing`) from a hospital's files.

Columns are found by their names in ``written.yaml`` and by what they hold (``fields``). What the
draft cannot know is marked ``# ?``. For files that a standard names, ADaM and OMOP, it is filled in
from the folder ``standards``.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from salvage import words
from salvage.cohort import schema
from salvage.cohort.cells import parse_date, read_dates
from salvage.cohort.drafting.fields import (
    DATES,
    NUMBERED,
    Field,
    Group,
    Noted,
    category_of,
    is_missing,
    is_number,
    matched,
    patterns_of,
    read_by,
    read_files,
)
from salvage.cohort.files import FORMATS
from salvage.cohort.importing.mapping import AUTO_DATE, TIME_ZERO
from salvage.cohort.importing.matching import fitting
from salvage.cohort.schema import Column, TableSchema
from salvage.cohort.written import codes_of, meant, written

Cell = dict[str, Any]

#: Standards by the files that they name, and the drafts for them.
SYSTEMS: Final = {"adam": {"adsl", "adtte"}, "omop": {"person", "drug_exposure"}}
STANDARDS: Final = Path(__file__).with_name("standards")
_TAKES: Final = {"relapse_month": "earliest", "os_month": "latest", "died": "last"}
_UNITS: Final = {"day": "days", "week": "weeks", "year": "years"}
#: Names of a column whose 1 is a death.
_DEAD: Final = re.compile(r"dead|died|death|deceas|os event|event os|死亡")


def draft(source: Path) -> str:
    """The draft of a mapping for the files at ``source``, as YAML.

    Raises :class:`InputError` where no file can be read.
    """
    if text := _of_system(source):
        return text
    files = read_files(source)
    groups = files.groups
    treatments = [group for group in groups if group.is_salvage]
    # Where rows repeat, those that do not are none of lines.
    salvage = [group for group in treatments if group.repeats] or treatments
    events = [group for group in groups if group.is_event]
    others = [g for g in groups if g not in salvage and g not in events] or groups
    people = max(others, key=lambda g: (not g.repeats, len(g.found["patients"])))
    if people in salvage:
        # What is a column of the patient is none of the line.
        own = people.found["patients"].values()
        of_line = [one for one in people.fields if one not in own]
        people.found["salvage"] = matched(of_line, schema.SALVAGE)
    tables = {
        "patients": [_patients(people, [g for g in others if g is not people])],
        "salvage": [entry for g in salvage or [people] for entry in _salvage(g, others)],
        "adverse_events": [_entry(group, schema.ADVERSE_EVENTS) for group in events],
    }
    content: Cell = {"study": {"title": Noted("", "? title of the book")}}
    content |= {"sources": files.places, "tables": tables}
    if any(map(_is_of_drugs, salvage)):
        supportive = Noted(written().supportive, "? drugs that treat no lymphoma")
        days = {"within_days": "14", "same_regimen_gap_days": "60"}
        content["lines"] = {**days, "supportive": supportive}
    used = {one.name for g in groups for found in g.found.values() for one in found.values()}
    idle = sorted({one.name for g in groups for one in g.fields} - used)
    head = f"""\
# A draft from {source.name}. A line marked "# ?" is a guess, or blank: mend what stands before the
# mark, and take the mark away. Then run
#     python -m salvage import {source.name} --mapping THIS_FILE --out COHORT
"""
    head += "".join(f"# Not read: {' '.join(str(p).split())}\n" for p in files.problems)
    tail = f"# Columns that are not used: {' '.join(', '.join(idle).split())}\n" if idle else ""
    return head + _yaml(content) + tail


def _of_system(source: Path) -> str:
    """The draft for files that a standard names; blank for other files."""
    files = {file.stem.lower(): file for file in (source.iterdir() if source.is_dir() else ())}
    files = {stem: file for stem, file in files.items() if file.suffix.lower() in FORMATS}
    system = next((name for name, stems in SYSTEMS.items() if stems <= files.keys()), None)
    if system is None:
        return ""
    text = (STANDARDS / f"{system}.yaml").read_text(encoding="utf-8")
    # A part between "#if x" and "#end" is for a folder with that file, "#if !x" for one without.
    text = re.sub(
        r"#if (!?)(\w+)\n(.*?)#end\n",
        lambda m: m[3] if (m[2] in files) != bool(m[1]) else "",
        text,
        flags=re.DOTALL,
    )
    drugs, codes = written().drugs, written().codes["best_response"]
    filled: Cell = {stem: file.name for stem, file in files.items()}
    filled |= {"drugs": drugs, "second_cart": drugs["second_cart"]}
    filled["supportive"] = written().supportive
    filled["responses"] = {code: texts for code, texts in codes.items() if code != "NE"}
    return re.sub(r"<(\w+)>", lambda m: json.dumps(filled[m[1]], ensure_ascii=False), text)


# --- entries --------------------------------------------------------------------------------------


def _entry(group: Group, table: TableSchema) -> Cell:
    """An entry of a table; a required column that is not found is left blank and marked."""
    cells = _cells(group, table)
    dated = any("date" in cell for cell in cells.values())
    zero = [DATES[TIME_ZERO]] if dated and table is schema.PATIENTS else []
    for column in [*zero, *(c for c in table.columns if c.required and c.name != "line")]:
        if column.name not in cells:
            date = {"date": AUTO_DATE} if dated and column.kind == "month" else {}
            name = Noted("", f"? {column.meaning}: the name of its column")
            cells[column.name] = {"column": name, **date}
    order = ["patient_id", TIME_ZERO, *table.names]
    columns = {name: cells[name] for name in sorted(cells, key=order.index)}
    return {"source": group.source, "keep": list(group.keep), "columns": columns}


def _is_blank(cell: Cell | None) -> bool:
    return cell is None or (isinstance(cell.get("column"), Noted) and not cell["column"].text)


def _looked_up(group: Group, cell: Cell, take: str | Noted) -> Cell:
    by = group.id.name if group.id else ""
    return {"source": group.source, "by": by, **cell, "take": take, "where": group.keep}


def _patients(people: Group, others: list[Group]) -> Cell:
    """The entry of the patients; what their rows lack is looked up in those of other groups."""
    entry, found = _entry(people, schema.PATIENTS), people.found["patients"]
    columns = entry["columns"]
    line = people.found["salvage"].get("line")
    if people.repeats and line is not None:
        entry["keep"].append({"column": line.name, "equals": "1"})
    elif people.repeats and people.id:
        note = "? several rows of a patient: keep one of them by a rule"
        columns["patient_id"] = {"column": Noted(people.id.name, note)}
    for group in others if people.id else []:
        for name, cell in _cells(group, schema.PATIENTS).items():
            if group.id and name != "patient_id" and _is_blank(columns.get(name)):
                columns[name] = _looked_up(group, cell, _TAKES.get(name, "first"))
    if "died" not in found and (death := found.get("death")) and _is_blank(columns["died"]):
        columns["died"] = _looked_up(people, {}, Noted("count", "? dead: who has this date"))
        columns["died"]["where"] = [{"column": death.name, "blank": "false"}]
    return entry


def _salvage(group: Group, others: list[Group]) -> Iterator[Cell]:
    """The entry of salvage lines; of checkboxes, one for each drug that may be ticked."""
    entry, found = _entry(group, schema.SALVAGE), group.found["salvage"]
    columns, keep = entry["columns"], entry["keep"]
    start = found.get("start_month")
    if start and NUMBERED.fullmatch(start.name):
        keep.append({"column": start.name, "blank": "false"})
    if _is_blank(columns["best_response"]):
        columns["best_response"] = _assessed(others) or columns["best_response"]
    boxes = [] if {"category", "regimen"} & found.keys() else group.boxes
    for box, ticks in boxes:
        category = category_of(box.option) or Noted("other", f"? {box.option}")
        drug = {"category": {"value": category}, "regimen": {"value": box.option}}
        ticked = [*keep, {"column": box.name, "in": ticks}]
        yield {**entry, "keep": ticked, "columns": columns | drug}
    if boxes:
        keep.extend({"column": box.name, "not_in": ticks} for box, ticks in boxes)
        columns["category"] = {"value": Noted("other", "? lines of which no drug is ticked")}
        columns["regimen"] = {"value": "not stated"}
    yield entry


def _assessed(groups: Iterable[Group]) -> Cell | None:
    """The best response of a line from a table of assessments, if there is one."""
    for group in groups:
        day = next((one for one in group.fields if one.is_date), None)
        if group.repeats and group.id and day and "best_response" in group.found["salvage"]:
            cell = _cells(group, schema.SALVAGE)["best_response"]
            in_line = {"column": day.name, "date": _date(day, group)}
            return _looked_up(group, cell, "best") | {"in_line": in_line}
    return None


def _is_of_drugs(group: Group) -> bool:
    """Whether rows of one patient begin on one day, or repeat a drug, or a line has several."""
    start, regimen = (group.found["salvage"].get(n) for n in ("start_month", "regimen"))
    if regimen is None or group.id is None or start is None or group.rows.empty:
        return regimen is None and bool(group.boxes)
    pairs = ([group.id.name, one.name] for one in (start, regimen))
    return any(group.rows.duplicated(pair).any() for pair in pairs)


# --- cells ----------------------------------------------------------------------------------------


def _cells(group: Group, table: TableSchema) -> dict[str, Cell]:
    """How each column of a table is filled that a group has."""
    found = group.found[table.name] | ({"patient_id": group.id} if group.id else {})
    targets = [*table.columns, *([DATES[TIME_ZERO]] if table is schema.PATIENTS else [])]
    cells = {c.name: _cell(found[c.name], c, group) for c in targets if c.name in found}
    if table is schema.PATIENTS:
        if "age" not in cells and "born" in found:
            cells["age"] = _cell(found["born"], DATES["born"], group)
        last = [found[name] for name in ("death", "contact") if name in found]
        months = found.get("os_month")
        if last and not (months and (months.is_date or TIME_ZERO not in found)):
            dates = [_date(one, group) for one in last]
            notes = [date.note for date in dates if isinstance(date, Noted)]
            texts = [date.text if isinstance(date, Noted) else date for date in dates]
            date = tuple(dict.fromkeys(texts))
            cells["os_month"] = {"column": tuple(one.name for one in last)}
            cells["os_month"]["date"] = Noted(date, notes[0]) if notes else date
    if table is schema.SALVAGE and "category" not in cells and "regimen" in found:
        cells["category"] = _by_drug(found["regimen"])
    return cells


def _cell(one: Field, column: Column, group: Group) -> Cell:
    """How a column of the cohort is filled from a column of a source."""
    cell: Cell = {"column": one.name}
    values: Cell = {}
    if column.kind == "month" and one.is_date:
        cell["date"] = _date(one, group)
    elif column.kind == "month":
        unit = next((unit for word, unit in _UNITS.items() if word in one.words), "months")
        cell["unit"] = Noted(unit, "? unit of this number")
    elif (
        one.choices
        or column.kind in ("code", "flag")
        or not (column.kind in ("id", "text") or is_number(one))
    ):
        values = {text: _value(text, one, column) for text in one.texts}
    if column.kind != "id":
        blank = "NE" if "NE" in column.codes else ""
        for text, label in one.labels.items():
            if is_missing(text, label) and text not in values:
                values[text] = Noted(blank, _said(text, one, ": missing"))
    if "NE" in column.codes and column.required:
        cell["blank"] = "NE"
    return cell | ({"values": values} if values else {})


def _value(text: str, one: Field, column: Column) -> Noted:
    """What a text of a column becomes; what is not known is left blank, or guessed, and marked."""
    label = one.texts[text]
    code = label if column.kind == "text" else meant(label, column)
    if column.name == "category":
        code = code or category_of(label)
    if column.name == "died" and label.isdigit() and not _DEAD.search(one.words):
        code = None  # 1 may be alive, dead or censored
    if code is not None:
        return Noted(code, _said(text, one))
    said = _said(text, one, f": one of {', '.join(column.codes or ('0', '1'))}")
    near = {c for word, c in codes_of(column).items() if len(word) > 1 and fitting([word], label)}
    return Noted(near.pop() if len(near) == 1 else "", f"? {said}")


def _said(text: str, one: Field, more: str = "") -> str:
    """The label of a text, and in how many rows it stands."""
    label = [one.labels[text]] if one.labels[text] != text else []
    rows = [words.count(one.counts[text], "row")] if text in one.counts else []
    return ", ".join([*label, *rows]) + more


def _by_drug(one: Field) -> Cell:
    """The category from the drugs of a regimen; a text in which none is known is marked."""
    values = {}
    for text, label in one.texts.items():
        category = category_of(label)
        if one.choices or category is None:
            is_known = category or fitting(written().supportive, label)
            note = _said(text, one)
            values[text] = Noted(category or "other", note if is_known else f"? {note}")
    patterns = {} if one.choices else written().drugs
    return {"column": one.name, "values": values, "patterns": patterns}


def _date(one: Field, group: Group) -> Any:
    """The pattern of a column's dates: the one that reads every cell, if there is one."""
    texts = list(one.texts)
    patterns = patterns_of(one) if texts else []
    if not patterns or len(read_dates(texts)) == len(texts):
        return AUTO_DATE
    told = read_dates(texts, {t for other in group.fields if other.is_date for t in other.texts})
    fits = [p for p in patterns if all(parse_date(t, p) == told[t] for t in told)] or patterns
    read = read_by(fits[0], texts)
    lost = [text for text in texts if text not in read]
    if lost:
        return Noted(fits[0], f'? not read: {words.count(len(lost), "cell")}, such as "{lost[0]}"')
    if len(fits) > 1 and len(told) < len(texts):
        return Noted(fits[0], f"? or {' or '.join(fits[1:])}, which read every cell as well")
    return fits[0]


# --- YAML -----------------------------------------------------------------------------------------


class _Dumper(yaml.SafeDumper):
    """YAML without references; a tuple is a list on one line."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    tuple, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, True)
)


def _yaml(content: Cell) -> str:
    """Content as YAML without what is empty, each :class:`Noted` with its note behind it."""
    notes: list[Noted] = []

    def plain(node: Any) -> Any:
        if isinstance(node, Noted):
            notes.append(node)
            return f"said-by-map-{len(notes) - 1}"
        if isinstance(node, dict) and node.keys() - {"column"}:
            return {k: plain(v) for k, v in node.items() if v or isinstance(v, str)}
        if isinstance(node, dict):
            return plain(node["column"])
        return [plain(item) for item in node] if isinstance(node, list) else node

    def said(match: re.Match[str]) -> str:
        noted = notes[int(match[1])]
        return f"{json.dumps(noted.text, ensure_ascii=False)}  # {' '.join(noted.note.split())}"

    text = yaml.dump(plain(content), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=99)
    return re.sub(r"said-by-map-(\d+)$", said, text, flags=re.MULTILINE)
