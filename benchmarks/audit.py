"""How often ``salvage audit`` is right about abstracts whose truth is known.

    python benchmarks/audit.py [ABSTRACTS]

Abstracts of 10 to 300 patients with every kind of figure are drawn from patients and printed,
rounded half up, half to even or with digits cut off: none of their figures may be called
impossible. As many have one digit changed; of those changes that can be seen at all, since nothing
prints the figure any more, the share that is not called possible is counted. Prints Markdown.
"""

import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from salvage.evidence.cases import Case, audit_cases  # noqa: E402 -- the checkout comes first
from tests.evidence.abstracts import KINDS, Abstract, abstract, changed, detectable  # noqa: E402

ABSTRACTS = 2_000


def verdicts(one: Abstract) -> list[str]:
    """The verdict on each figure of an abstract."""
    return [found.finding.verdict for found in audit_cases([Case("", "", one.figures)])]


def main(abstracts: int) -> None:
    """Audit so many consistent abstracts and as many with one digit changed, and print a table."""
    consistent: Counter[tuple[str, str]] = Counter()
    seen: Counter[tuple[str, str]] = Counter()
    for seed in range(abstracts):
        one = abstract(seed)
        before = verdicts(one)
        consistent.update(zip(one.kinds, before, strict=True))
        other, place = changed(one, seed)
        kind = one.kinds[place]
        seen[kind, "changed"] += 1
        if detectable(kind, other.figures[place], one.way):
            after = verdicts(other)[place]
            seen[kind, "detectable"] += 1
            seen[kind, "caught"] += after != "question" and (
                after not in ("possible", "truncated") or after != before[place]
            )
            seen[kind, "impossible"] += after == "impossible"
        if seed % 100 == 99:
            print(f"{seed + 1} of {abstracts}", file=sys.stderr, flush=True)
    print("| figures | consistent | called impossible | one digit changed | can be seen | caught |"
          " of them impossible |")  # fmt: skip
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    total: Counter[str] = Counter()
    for kind in KINDS:
        row = Counter({name: seen[kind, name] for name in ("changed", "detectable", "caught")})
        row["impossible"] = seen[kind, "impossible"]
        row["figures"] = sum(n for (of, _), n in consistent.items() if of == kind)
        row["false"] = consistent[kind, "impossible"]
        total += row
        print(_line(kind, row))
    print(_line("all", total))
    of = Counter(verdict for (_, verdict), n in consistent.items() for _ in range(n))
    print(f"\nConsistent: {', '.join(f'{n:,} {verdict}' for verdict, n in of.most_common())}.")


def _line(kind: str, row: Counter[str]) -> str:
    share = f" ({row['caught'] / row['detectable']:.1%})" if row["detectable"] else ""
    return (
        f"| {kind} | {row['figures']:,} | {row['false']} | {row['changed']:,} |"
        f" {row['detectable']:,} | {row['caught']:,}{share} | {row['impossible']:,} |"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ABSTRACTS)
