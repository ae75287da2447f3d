"""Makes tests/fixtures/data with Python's csv and json modules (Python 3.11; seed 20261123).

Run from the repository's root:  python scripts/reference/make_data_fixtures.py

pairs.csv, pairs.jsonl   the same rows, with commas, quotes, line breaks and letters beyond ASCII
pairs.json               those rows
csv_cases.json           random CSV texts, each with the rows that csv.reader(strict=True) finds, or null where it refuses
"""

import csv
import io
import json
import pathlib
import random

SEED = 20261123
OUT = pathlib.Path("tests/fixtures/data")
PIECES = ["word", "two words", ",", '"', '""', "\n", "\r\n", " ", "é", "漢字", "😀", "\\", "\t", "'", ";"]


def make_pairs(rng):
    rows = []
    for number in range(60):
        texts = ["x" + "".join(rng.choice(PIECES) for _ in range(rng.randint(0, 8))) for _ in range(2)]
        rows.append({"id": f"row-{number}", "dialogue": texts[0], "extra": "", "summary": texts[1]})
    with open(OUT / "pairs.csv", "w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with open(OUT / "pairs.jsonl", "w", encoding="utf-8") as file:
        for number, row in enumerate(rows):
            file.write(json.dumps(row, ensure_ascii=number % 2 == 0) + "\n")
    (OUT / "pairs.json").write_text(json.dumps(rows, indent=0) + "\n")


def make_csv_cases(rng):
    cases = []
    for _ in range(1500):
        text = "".join(rng.choice(["a", "b", " ", ",", ",", '"', '"', "\n", "\r\n", "\r", "é"]) for _ in range(rng.randint(1, 14)))
        try:
            rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
        except csv.Error:
            rows = None
        cases.append({"text": text, "rows": rows})
    (OUT / "csv_cases.json").write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    generator = random.Random(SEED)
    make_pairs(generator)
    make_csv_cases(generator)
