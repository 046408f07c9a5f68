"""A mapping is drafted from files of any shape, and what it cannot know is asked, not guessed."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pandas as pd
import pyreadstat
import pytest
import yaml

from salvage.__main__ import main
from salvage.cohort import Cohort, load
from salvage.cohort.cells import months
from salvage.cohort.drafting import draft
from salvage.problems import InputError
from tests.cohort.test_hospital_systems import answered

PATIENTS = """\
Patient No.,DOB,Gender,Diagnosis,Stage,ECOG,LDH,Infusion Date,Product,Relapse Date,Status,\
Date of Death,Last Follow-up,Consultant
001,12/03/1960,Male,DLBCL NOS,III,1,elevated,10/01/2023,axi-cel,10/04/2023,Dead,01/12/2023,\
01/12/2023,Dr X
002,30/06/1971,Female,HGBL,IV,0,normal,01/02/2023,relma-cel,20/05/2023,Alive,,01/02/2024,Dr Y
"""
LINES = """\
Patient No.,Drug,Start,Stop,Response,Progressed on
1,Pola-BR,15/04/2023,30/06/2023,Partial response,01/07/2023
1,glofitamab,10/07/2023,,CR,
2,RT 36 Gy,01/06/2023,20/06/2023,not done,
"""
ZERO = {"001": dt.date(2023, 1, 10), "002": dt.date(2023, 2, 1)}


def since(patient: str, *day: int) -> float:
    return months((dt.date(*day) - ZERO[patient]).days)


def write(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


def imported(source: Path, tmp_path: Path, questions: int | None = 1) -> Cohort:
    """The cohort of some files, whose draft asks for the title and no more."""
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(draft(source), encoding="utf-8")
    assert questions is None or answered(mapping) == questions, mapping.read_text(encoding="utf-8")
    out = tmp_path / "cohort"
    assert main(["import", str(source), "--mapping", str(mapping), "--out", str(out)]) == 0
    return load(out)


def is_the_same(cohort: Cohort) -> None:
    """The cohort of PATIENTS and LINES."""
    patients, salvage = cohort.patients, cohort.salvage
    assert patients["died"].tolist() == [True, False]
    assert patients["relapse_month"].tolist() == [
        since("001", 2023, 4, 10), since("002", 2023, 5, 20),
    ]  # fmt: skip
    assert patients["os_month"].tolist() == [since("001", 2023, 12, 1), since("002", 2024, 2, 1)]
    assert salvage["category"].tolist() == ["polatuzumab", "bispecific", "radiotherapy"]
    assert salvage["start_month"].tolist() == [
        since("001", 2023, 4, 15), since("001", 2023, 7, 10), since("002", 2023, 6, 1),
    ]  # fmt: skip
    assert salvage["best_response"].tolist() == ["PR", "CR", "NE"]


def test_two_files_of_english(tmp_path: Path) -> None:
    cohort = imported(write(tmp_path / "files", patients=PATIENTS, lines=LINES), tmp_path)
    is_the_same(cohort)
    patients = cohort.patients
    assert patients["age"].tolist() == [62, 51]
    assert patients["sex"].tolist() == ["M", "F"]
    assert patients["stage"].tolist() == [3, 4]
    assert patients["ldh_elevated"].tolist() == [1, 0]
    assert patients["cart_product"].tolist() == ["axi-cel", "relma-cel"]
    assert cohort.salvage["progression_month"].tolist()[0] == since("001", 2023, 7, 1)
    assert cohort.salvage["end_month"].tolist()[2] == since("002", 2023, 6, 20)
    assert "# Columns that are not used: Consultant" in draft(tmp_path / "files")


def test_a_workbook_in_chinese(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.remove(book.active)
    sheets: dict[str, list[list[object]]] = {
        "患者": [
            ["患者编号", "年龄", "性别", "病理诊断", "Ann Arbor分期", "ECOG评分", "LDH升高",
             "回输日期", "复发日期", "生存状态", "末次随访日期"],
            ["001", 61, "男", "DLBCL", "III期", 1, "是", dt.date(2023, 1, 10), dt.date(2023, 4, 10),
             "死亡", dt.date(2023, 12, 1)],
            ["002", 55, "女", "HGBL", "IV期", 0, "否", dt.date(2023, 2, 1), dt.date(2023, 5, 20),
             "存活", dt.date(2024, 2, 1)],
        ],
        "挽救治疗": [
            ["患者编号", "治疗方案", "开始日期", "最佳疗效", "进展日期"],
            ["001", "维泊妥珠单抗+BR", dt.date(2023, 4, 15), "部分缓解", dt.date(2023, 7, 1)],
            ["001", "格菲妥单抗", dt.date(2023, 7, 10), "完全缓解", None],
            ["002", "放疗", dt.date(2023, 6, 1), "未评估", None],
        ],
        "不良事件": [
            ["患者编号", "不良事件", "分级", "发生日期"],
            ["001", "细胞因子释放综合征", "2级", dt.date(2023, 7, 12)],
        ],
    }  # fmt: skip
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(tmp_path / "病例.xlsx")
    cohort = imported(tmp_path / "病例.xlsx", tmp_path)
    is_the_same(cohort)
    assert cohort.patients["ecog"].tolist() == [1, 0]
    assert cohort.patients["ldh_elevated"].tolist() == [1, 0]
    assert cohort.adverse_events["grade"].tolist() == [2]


def test_lines_in_columns_of_one_row(tmp_path: Path) -> None:
    cohort = imported(
        write(
            tmp_path / "files",
            all="study_id,age,cart_dt,relapse_dt,last_seen,vital_status,salv1_drug,salv1_start,"
            "salv1_response,salv2_drug,salv2_start,salv2_response\n"
            "001,61,2023-01-10,2023-04-10,2023-12-01,deceased,Pola-BR,2023-04-15,PR,epcoritamab,"
            "2023-07-10,CR\n"
            "002,55,2023-02-01,2023-05-20,2024-02-01,alive,radiotherapy,2023-06-01,NE,,,\n",
        ),
        tmp_path,
    )
    is_the_same(cohort)
    assert not cohort.has("patients", "cart_best_response")


def test_one_row_for_each_line_with_the_patient_in_it(tmp_path: Path) -> None:
    head = (
        "pat_no,cart_date,relapse_date,last_contact,vital_status,line,regimen,start_date,response"
    )
    first, second = (
        "001,2023-01-10,2023-04-10,2023-12-01",
        "002,2023-02-01,2023-05-20,2024-02-01",
    )
    rows = [
        f"{first},dead,1,Pola-BR,2023-04-15,PR",
        f"{first},dead,2,glofitamab,2023-07-10,CR",
        f"{second},alive,1,RT,2023-06-01,NE",
    ]
    is_the_same(imported(write(tmp_path / "files", all="\n".join([head, *rows])), tmp_path))


def test_rows_of_single_drugs_become_lines(tmp_path: Path) -> None:
    drugs = """\
patient_no,drug,start_date,end_date,line_response
001,polatuzumab,2023-04-15,2023-06-30,PR
001,bendamustine,2023-04-15,2023-06-30,PR
001,mesna,2023-04-16,,
001,glofitamab,2023-07-10,,CR
001,glofitamab,2023-07-17,,CR
002,radiotherapy,2023-06-01,,
"""
    cohort = imported(write(tmp_path / "files", patients=PATIENTS, drugs=drugs), tmp_path, 2)
    is_the_same(cohort)
    assert cohort.salvage["regimen"].tolist()[0] == "bendamustine + polatuzumab"


def test_responses_from_a_table_of_assessments(tmp_path: Path) -> None:
    therapy = """\
patient_no,regimen,start_date
1,Pola-BR,2023-04-15
1,glofitamab,2023-07-10
2,RT,2023-06-01
"""
    scans = """\
patient_no,scan_date,response
1,2023-05-20,PR
1,2023-06-20,SD
1,2023-07-01,PD
1,2023-08-15,CR
2,2023-02-20,PD
"""
    files = {"patients": PATIENTS, "therapy": therapy, "scans": scans}
    cohort = imported(write(tmp_path / "files", **files), tmp_path)
    is_the_same(cohort)
    # Assessments of a line are none of the CAR-T.
    assert not cohort.has("patients", "cart_best_response")


def test_labels_of_spss_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    dates = ("2023-01-10", "2023-02-01"), ("2023-04-10", "2023-05-20"), ("2023-12-01", "2024-02-01")
    zero, relapse, last = (pd.to_datetime(list(pair)) for pair in dates)
    people = {"patno": ["001", "002"], "gender": [1.0, 2.0], "vital": [2.0, 1.0]}
    people |= {"cartdate": zero, "relapsedate": relapse, "lastfu": last}
    labels = {"gender": {1.0: "male", 2.0: "female"}, "vital": {1.0: "alive", 2.0: "dead"}}
    save = pyreadstat.write_sav
    save(pd.DataFrame(people), str(folder / "people.sav"), variable_value_labels=labels)
    lines = {
        "patno": ["001", "001", "002"],
        "drug": [1.0, 2.0, 3.0],
        "start": pd.to_datetime(["2023-04-15", "2023-07-10", "2023-06-01"]),
        "resp": [2.0, 1.0, 9.0],
    }
    labels = {
        "drug": {1.0: "Pola-BR", 2.0: "Glofitamab", 3.0: "RT"},
        "resp": {1.0: "CR", 2.0: "PR", 9.0: "not evaluable"},
    }
    save(pd.DataFrame(lines), str(folder / "lines.sav"), variable_value_labels=labels)
    cohort = imported(folder, tmp_path)
    is_the_same(cohort)
    assert cohort.patients["sex"].tolist() == ["M", "F"]


def test_times_in_days(tmp_path: Path) -> None:
    text = (
        "Subject ID;Age;Time to relapse (days);OS days;Event OS;Salvage regimen;"
        "Days to start of salvage;Best response\nA1;60,5;90;325;1;R-GemOx;95;SD\n"
        "A2;71;120;400;0;Loncastuximab;130;CR\n"
    )
    cohort = imported(write(tmp_path / "files", all=text), tmp_path, 4)
    assert cohort.patients["age"].tolist() == [60.5, 71]
    assert cohort.patients["os_month"].tolist() == [months(325), months(400)]
    assert cohort.patients["died"].tolist() == [True, False]
    assert cohort.salvage["start_month"].tolist() == [months(95), months(130)]


# --- what is asked --------------------------------------------------------------------------------


def asked(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()[3:] if "  # ?" in line]


def test_dates_that_may_be_either_are_asked(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "files",
        people="id,infusion,relapse,last contact,dead\n1,05/01/2023,06/04/2023,01/12/2023,1\n"
        "2,02/01/2023,03/06/2023,11/12/2023,0\n",
        lines="id,regimen,start,response\n1,Pola-BR,07/04/2023,PR\n2,glofitamab,04/06/2023,CR\n",
    )
    lines = [line for line in asked(draft(folder)) if line.startswith("date")]
    assert len(lines) == 4
    assert all("%d/%m/%Y" in line and "or %m/%d/%Y, which read" in line for line in lines)
    # One date of the file that can only be day first answers for all of it.
    text = (folder / "people.csv").read_text().replace("05/01/2023", "25/01/2023")
    (folder / "people.csv").write_text(text)
    assert [line for line in asked(draft(folder)) if line.startswith("date")] == lines[-1:]


@pytest.mark.parametrize(
    ("column", "values", "answer"),
    [
        ("alive", "10", ["'1': \"\"", "'0': \"\""]),
        ("status", "12", ["'1': \"\"", "'2': \"\""]),
        ("dead", "10", []),
        ("vital", "dead,lost to follow-up", ["lost to follow-up: \"\""]),
    ],
)  # fmt: skip
def test_a_code_for_death_is_never_guessed(
    tmp_path: Path, column: str, values: str, answer: list[str]
) -> None:
    """1 may be alive, dead or censored, unless the name of the column says so."""
    first, second = values.split(",") if "," in values else values
    folder = write(
        tmp_path / "files",
        people=f"id,infusion,relapse,last contact,{column}\n"
        f"1,2023-01-10,2023-04-10,2023-12-01,{first}\n2,2023-02-01,2023-05-20,2024-02-01,{second}\n",
    )
    lines = [line for line in asked(draft(folder)) if "one of 0, 1" in line]
    assert [line.partition("  # ?")[0] for line in lines] == answer


def test_a_drug_that_no_pattern_knows_is_asked(tmp_path: Path) -> None:
    lines = LINES.replace("RT 36 Gy", "compound X-17")
    folder = write(tmp_path / "files", people=PATIENTS, lines=lines)
    assert asked(draft(folder))[1:] == ['compound X-17: "other"  # ? 1 row']


def test_what_is_not_there_is_asked_for(tmp_path: Path) -> None:
    folder = write(tmp_path / "files", notes="a,b\n1,2\n")
    names = [line.partition(":")[0] for line in asked(draft(folder))[1:]]
    assert names == [
        "patient_id", "relapse_month", "os_month", "died",
        "patient_id", "category", "start_month", "best_response",
    ]  # fmt: skip


def test_texts_of_a_file_cannot_break_the_draft(tmp_path: Path) -> None:
    """They stand behind a mark, and in keys and values of YAML."""
    odd = [
        "a: b # c",
        "'\"",
        "- x",
        "{y}",
        "no",
        "0x1",
        "said-by-map-0",
        "a\nb: c",
        "@z",
        "*w",
        "&v",
    ]
    frame = pd.DataFrame(
        {"id": [str(i) for i in range(len(odd))], "drug": odd, "start": "2023-05-01"}
    )
    folder = tmp_path / "files"
    folder.mkdir()
    frame.to_csv(folder / "lines.csv", index=False)
    columns = yaml.safe_load(draft(folder))["tables"]["salvage"][0]["columns"]
    assert set(map(str, columns["category"]["values"])) >= {*odd} - {"no", "0x1"}
    assert set(columns["category"]["values"].values()) == {"other"}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "files", people=PATIENTS, lines=LINES, bad="a,b\n1,2,3\n")
    assert '# Not read: bad.csv, row 2: found "3 cells"' in draft(folder)
    with pytest.raises(InputError, match=r"bad\.csv, row 2"):
        draft(folder / "bad.csv")


@pytest.mark.parametrize("make", [lambda f: None, lambda f: (f / "a.docx").write_bytes(b"x")])
def test_a_folder_without_files_is_refused(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path)
    with pytest.raises(InputError, match=r"Nothing to map"):
        draft(tmp_path)


def test_a_draft_is_printed_or_written_and_never_over_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = write(tmp_path / "files", people=PATIENTS, lines=LINES), tmp_path / "m.yaml"
    assert main(["map", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert main(["map", str(folder), "--out", str(out)]) == 0
    assert out.read_text(encoding="utf-8") == printed
    out.write_text("mine")
    assert main(["map", str(folder), "--out", str(out)]) == 1
    assert out.read_text() == "mine"
