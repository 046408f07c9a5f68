"""What people write where the schema expects a code, a flag or a number, in English and Chinese.

Each entry has one meaning, so that it may stand for its code; what may mean two things is not here.
A cell is still refused: :func:`meant` says what must stand in it, and ``check --fix`` writes that.
"""

import re
from collections.abc import Mapping
from typing import Final

from salvage.cohort.cells import DAYS_PER_MONTH, months, plain_text, text_of
from salvage.cohort.schema import Column

_MISSING: Final = (
    "na|n/a|nan|n.d.|nd|nk|none|null|unknown|missing|-|--|.|?|/|未知|不详|不明|缺失|无|未查"
)
#: Missing, or the number 0: what has two meanings.
NONE: Final = ("none", "无")
_FLAGS: Final = {
    "1": "yes|y|true|t|是|有|√|✓|✔|☑|对|阳性|positive|pos|present",
    "0": "no|n|false|f|否|无|没有|×|✗|✘|☐|阴性|negative|neg|absent|none",
}
_RESPONSES: Final = {
    "CR": "complete|complete remission|complete metabolic response|cmr|cru|完全缓解|完全代谢缓解"
    "|完全应答|完缓",
    "PR": "partial|partial remission|partial metabolic response|pmr|部分缓解|部分代谢缓解|部分应答",
    "SD": "stable|no change|no metabolic response|nmr|疾病稳定|病情稳定|稳定",
    "PD": "progressive|progression|progressed|progress|disease progression|progression of disease"
    "|progressive metabolic disease|pmd|疾病进展|病情进展|进展|疾病恶化",
    "NE": "not assessed|not evaluated|not done|unevaluable|inevaluable|未评估|未评价|未评|不可评估"
    "|无法评估|不能评价|无法评价|未做",
}
#: By column and code, what is written for it beside the code and its meaning in the schema.
_CODES: Final[Mapping[str, Mapping[str, str]]] = {
    "sex": {"F": "女|女性|woman|weiblich|femme|mujer", "M": "男|男性|man|männlich|homme|hombre"},
    "category": {
        "bispecific": "bispecifics|bispecific antibodies|bsab|bite|glofitamab|epcoritamab"
        "|mosunetuzumab|odronextamab|双抗|双特异性抗体|格菲妥单抗|艾可瑞妥单抗|莫妥珠单抗",
        "second_cart": "car-t|cart|car t|2nd car-t|second car-t|second cart|2nd cart|car-t2"
        "|二次car-t|第二次car-t|二次回输",
        "radiotherapy": "rt|xrt|radiation|radiation therapy|ebrt|放疗|放射治疗|局部放疗",
        "polatuzumab": "pola|pola-br|pola-r|polabr|polatuzumab vedotin|polatuzumab-based"
        "|维泊妥珠单抗|维博妥珠单抗",
        "checkpoint": "checkpoint inhibitors|pd-1|pd1|pd-l1|pd-1 inhibitor|nivolumab|pembrolizumab"
        "|tislelizumab|sintilimab|camrelizumab|toripalimab|pd-1单抗|免疫检查点抑制剂",
        "other": "others|chemo|chemotherapy|r-gemox|lenalidomide|ibrutinib|zanubrutinib"
        "|orelabrutinib|tafasitamab|selinexor|其他|其它|化疗",
    },
    "best_response": _RESPONSES,
    "cart_best_response": _RESPONSES,
    "response_end_reason": {
        "progression": "pd|progressed|progressive disease|relapse|relapsed|进展|疾病进展|复发",
        "death": "died|dead|死亡",
        "new_treatment": "new therapy|next treatment|next therapy|新治疗|换药|换方案",
        "ongoing": "in response|still in response|censored|持续缓解|持续|缓解中",
    },
    "intent": {
        "bridging": "bridge|桥接",
        "consolidation": "consolidative|巩固",
        "definitive": "curative|radical|根治|根治性",
        "palliative": "palliation|姑息|姑息性",
    },
    "cause_of_death": {
        "lymphoma": "pd|disease|disease progression|progression|淋巴瘤|疾病进展|原发病",
        "treatment": "treatment-related|toxicity|trm|nrm|治疗相关",
        "infection": "sepsis|感染|败血症",
        "other": "others|其他|其它",
    },
    "scale": {
        "CTCAE 5.0": "ctcae 5|ctcae v5|ctcae v5.0|ctcae5.0|ctcae5|ctcaev5.0",
        "CTCAE 6.0": "ctcae 6|ctcae v6|ctcae v6.0|ctcae6.0|ctcae6|ctcaev6.0",
        "ASTCT": "astct 2019|astct2019|astct consensus",
    },
    "died": {
        "1": "dead|died|deceased|death|死亡|已故|已死亡|死",
        "0": "alive|living|存活|生存|活着",
    },
    "ldh_elevated": {"1": "elevated|high|raised|↑|升高|增高", "0": "normal|正常|不高"},
    "refractory": {"1": "refractory|难治", "0": "sensitive|敏感"},
}
_ROMAN: Final = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5}
_WHOLE: Final = re.compile(
    r"(?:stage|grade|g|gr|ecog|ps|ipi|ann arbor|line|第)*\s*"
    r"(?:(\d+)|(iv|v|i{1,3}))\s*[abesx]*\s*(?:期|级|度|分|线|个|处|次|岁|points?|sites?|lines?)?"
)
_UNIT_DAYS: Final = {
    r"(?:m|mo|mos|mth|mths|months?|个?月)": DAYS_PER_MONTH,
    r"(?:d|days?|天|日)": 1.0,
    r"(?:w|wks?|weeks?|周)": 7.0,
    r"(?:y|yrs?|years?|年)": 365.25,
}
_YEARS: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(?:岁|周岁|y|yo|y/?o|yrs?|years?(?: old)?)?")


def codes_of(column: Column) -> dict[str, str]:
    """The code of each text, in small letters, that means one in this column."""
    flags = _FLAGS if column.kind == "flag" else {}
    texts = {plain_text(code): code for code in column.codes}
    texts |= {plain_text(meaning): code for code, meaning in column.codes.items()}
    for code, line in (*flags.items(), *_CODES.get(column.name, {}).items()):
        texts |= {plain_text(text): code for text in line.split("|")}
    return texts


def meant(text: str, column: Column) -> str | None:
    """The text that a cell of a column must hold instead, if ``text`` can mean one thing only."""
    plain = plain_text(text)
    code = codes_of(column).get(plain)
    if code is not None or (column.kind == "flag" and plain in ("0", "1")):
        return code or plain
    if plain in _MISSING.split("|"):
        if column.required:
            return "NE" if "NE" in column.codes else None
        return None if plain in NONE and column.kind in ("integer", "number") else ""
    if column.kind == "integer" and (whole := _WHOLE.fullmatch(plain)):
        return whole[1] or str(_ROMAN[whole[2]])
    if column.kind == "number" and (years := _YEARS.fullmatch(plain)):
        return years[1]
    if column.kind == "month":
        for unit, days in _UNIT_DAYS.items():
            if time := re.fullmatch(rf"(\d+(?:\.\d+)?)\s*{unit}?", plain):
                return time[1] if days == DAYS_PER_MONTH else text_of(months(float(time[1]) * days))
    return None
