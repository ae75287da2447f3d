#!/usr/bin/env python3
"""Write a data set of the `datasets` package as JSON Lines, one file a split, for txtsum.

usage: datasets_to_jsonl.py SOURCE OUT
  SOURCE  samsum, xsum or cnn_dailymail (got from the Hugging Face hub, or from its local cache), or a folder that
          save_to_disk wrote
  OUT     folder for train.jsonl, validation.jsonl and test.jsonl

Each line has "id" and the data set's own two columns, whose names txtsum knows: dialogue/summary (SAMSum),
document/summary (XSum), article/highlights (CNN/DailyMail), text/summary. Needs `pip install datasets`; this is
preparation, txtsum itself needs no Python.

example: python3 scripts/data/datasets_to_jsonl.py samsum data/samsum
"""

import json
import pathlib
import sys

KNOWN_SETS = {
    "samsum": ("knkarthick/samsum", None),
    "xsum": ("EdinburghNLP/xsum", None),
    "cnn_dailymail": ("abisee/cnn_dailymail", "3.0.0"),
}
COLUMN_PAIRS = (("dialogue", "summary"), ("article", "highlights"), ("document", "summary"), ("text", "summary"))


def columns_of(names):
    """Return the first known (document, summary) pair among the column names, or end with what there is."""
    for pair in COLUMN_PAIRS:
        if set(pair) <= set(names):
            return pair
    known = ", ".join("/".join(pair) for pair in COLUMN_PAIRS)
    sys.exit(f"datasets_to_jsonl.py: found the columns {', '.join(names)}, none of the pairs {known}; rename_column first")


def load(source):
    import datasets

    if pathlib.Path(source).is_dir():
        return datasets.load_from_disk(source)
    if source not in KNOWN_SETS:
        sys.exit(f"datasets_to_jsonl.py: {source} is no folder and none of {', '.join(KNOWN_SETS)}")
    name, configuration = KNOWN_SETS[source]
    return datasets.load_dataset(name, configuration)


def write_split(rows, names, path):
    """Write the rows and return (written, left out because a side is empty)."""
    document, summary = columns_of(names)
    written = skipped = 0
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for number, row in enumerate(rows):
            if not (row[document] or "").strip() or not (row[summary] or "").strip():
                skipped += 1
                continue
            record = {"id": str(row.get("id", number)), document: row[document], summary: row[summary]}
            out.write(json.dumps(record, ensure_ascii=False) + "\n")
            written += 1
    return written, skipped


def main():
    if len(sys.argv) != 3 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        sys.exit(0 if "--help" in sys.argv or "-h" in sys.argv else 2)
    out = pathlib.Path(sys.argv[2])
    splits = load(sys.argv[1])
    if not hasattr(splits, "items"):
        splits = {"train": splits}
    out.mkdir(parents=True, exist_ok=True)
    for split, rows in splits.items():
        path = out / f"{split}.jsonl"
        written, skipped = write_split(rows, rows.column_names, path)
        print(f"{written:7d} pairs  {path}" + (f"  ({skipped} with an empty side left out)" if skipped else ""))


if __name__ == "__main__":
    main()
