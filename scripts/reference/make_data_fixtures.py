"""Makes tests/fixtures/data with Python's csv and json modules (Python 3.11; seed 20261123).

Run from the repository's root:  python scripts/reference/make_data_fixtures.py

pairs.csv, pairs.jsonl   the same rows, with commas, quotes, line breaks and letters beyond ASCII
pairs.json               those rows
csv_cases.json           random CSV texts, each with the rows that csv.reader(strict=True) finds, or null where it refuses
tsv_cases.json           the same with tabs
table_cases.json         random tables as csv.writer lays them out in many ways, each with the rows that csv.DictReader finds
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


def write_cases(name, cases):
    (OUT / name).write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


def make_text_cases(rng, name, separator, count):
    pieces = ["a", "b", " ", separator, separator, '"', '"', "\n", "\r\n", "\r", "é"]
    cases = []
    for _ in range(count):
        text = "".join(rng.choice(pieces) for _ in range(rng.randint(1, 14)))
        try:
            rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True) if row]
        except csv.Error:
            rows = None
        cases.append({"text": text, "rows": rows})
    write_cases(name, cases)


def make_table_cases(rng):
    cases = []
    for _ in range(300):
        separator, line_break = rng.choice([",", "\t"]), rng.choice(["\n", "\r\n"])
        columns = [f"c{i}" for i in range(rng.randint(2, 5))]
        quoting = rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
        out = io.StringIO(newline="")
        writer = csv.writer(out, delimiter=separator, lineterminator=line_break, quoting=quoting)
        writer.writerow(columns)
        for _ in range(rng.randint(0, 6)):
            writer.writerow(["".join(rng.choice(PIECES) for _ in range(rng.choice([0, 1, 2, 5]))) for _ in columns])
            if rng.random() < 0.1:
                out.write(line_break)
        text = out.getvalue()
        if rng.random() < 0.3:
            text = text.removesuffix(line_break)
        rows = [list(row.values()) for row in csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True)]
        text = ("\ufeff" if rng.random() < 0.3 else "") + text
        cases.append({"ending": "csv" if separator == "," else "tsv", "text": text, "columns": columns, "rows": rows})
    write_cases("table_cases.json", cases)


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    generator = random.Random(SEED)
    make_pairs(generator)
    make_text_cases(generator, "csv_cases.json", ",", 1500)
    make_text_cases(generator, "tsv_cases.json", "\t", 500)
    make_table_cases(generator)
