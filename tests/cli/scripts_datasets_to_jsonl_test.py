"""Tests of scripts/data/datasets_to_jsonl.py on data sets that are made here with the columns of the real ones.

Needs the `datasets` package; tests/cli/with_test_python.sh skips it where that is missing.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import datasets

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "data" / "datasets_to_jsonl.py"

SAMSUM = [
    {"id": "13818513", "dialogue": "Amanda: I baked cookies.\r\nJerry: Sure! 😊", "summary": "Amanda baked cookies."},
    {"id": "13864825", "dialogue": "", "summary": "Nothing was said."},
]
XSUM = [{"document": "A long “report”.\nIt goes on.", "summary": "A report.", "id": "35232142"}]
CNN_DAILYMAIL = [{"article": "LONDON -- A text.", "highlights": "One .\nTwo .", "id": "42c027e4"}]
PLAIN = [{"text": "No id here.", "summary": "None."}]


class DatasetsToJsonl(unittest.TestCase):
    def convert(self, made):
        """Save a data set to disk, run the script on it, and return ({file: rows}, finished process)."""
        with tempfile.TemporaryDirectory() as folder:
            made.save_to_disk(f"{folder}/set")
            run = subprocess.run(
                [sys.executable, SCRIPT, f"{folder}/set", f"{folder}/out"], capture_output=True, text=True, check=False
            )
            files = {
                path.name: [json.loads(line) for line in path.read_text("utf-8").splitlines()]
                for path in pathlib.Path(folder, "out").glob("*.jsonl")
            }
        return files, run

    def splits(self, rows):
        return datasets.DatasetDict(
            {split: datasets.Dataset.from_list(rows) for split in ("train", "validation", "test")}
        )

    def test_columns_of_the_real_sets_are_kept(self):
        for rows in (XSUM, CNN_DAILYMAIL):
            files, run = self.convert(self.splits(rows))
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertEqual(files, {f"{split}.jsonl": rows for split in ("train", "validation", "test")})

    def test_pairs_with_an_empty_side_are_left_out_and_counted(self):
        files, run = self.convert(self.splits(SAMSUM))
        self.assertEqual(files["train.jsonl"], SAMSUM[:1])
        self.assertIn("1 pairs", run.stdout)
        self.assertIn("(1 with an empty side left out)", run.stdout)

    def test_set_without_splits_and_ids_becomes_train_with_row_numbers(self):
        files, run = self.convert(datasets.Dataset.from_list(PLAIN))
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(files, {"train.jsonl": [{"id": "0"} | PLAIN[0]]})

    def test_unknown_columns_are_named(self):
        _, run = self.convert(datasets.Dataset.from_list([{"body": "a", "title": "b"}]))
        self.assertEqual(run.returncode, 1)
        self.assertIn("body, title", run.stderr)


if __name__ == "__main__":
    unittest.main()
