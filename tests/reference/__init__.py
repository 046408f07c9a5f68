"""The frozen answers of R."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

REFERENCE = Path(__file__).parent
#: Tolerance of what has a closed form, and of what is fitted by iteration.
CLOSED = {"rel": 1e-8, "abs": 1e-12}
ITERATED = {"rel": 1e-6, "abs": 1e-10}


def answers(name: str) -> Any:
    """What R answered, by the file's name without its ending."""
    return json.loads((REFERENCE / f"{name}.json").read_text())


def lung() -> pd.DataFrame:
    """The 227 patients of lung.csv with age, sex and performance status."""
    data = pd.read_csv(REFERENCE / "lung.csv").dropna(subset=["age", "sex", "ph.ecog"])
    return data.assign(event=data["status"] == 2)


def cox_rows(name: str) -> dict[str, Any]:
    """The arguments of `stats.cox.cox` for one model of cox.json."""
    if name.startswith("lung"):
        columns = {"lung": ["age", "sex", "ph.ecog"], "lung_sex": ["sex"]}[name]
        return {"X": lung()[columns], "time": lung()["time"], "event": lung()["event"]}
    if name == "heart":
        data = pd.read_csv(REFERENCE / "heart.csv")
        columns = ["age", "year", "surgery", "transplant"]
        times = {"time": data["stop"], "event": data["event"], "entry": data["start"]}
        return {"X": data[columns], **times}
    data = pd.DataFrame(answers("cox")[name]["data"])
    found = {"X": data[["x1", "x2"]], "time": data["time"], "event": data["event"]}
    return found | ({"entry": data["entry"]} if "entry" in data else {})
