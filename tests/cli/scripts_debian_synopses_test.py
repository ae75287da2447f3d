"""Tests of scripts/data/debian_synopses.py on a small index made for the purpose."""

import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "data" / "debian_synopses.py"
sys.path.insert(0, str(SCRIPT.parent))
import debian_synopses  # noqa: E402


def stanza(package, synopsis, *lines):
    body = "".join(f" {line}\n" for line in lines)
    return f"Package: {package}\nDescription-md5: 0\nDescription-en: {synopsis}\n{body}\n"


class Clean(unittest.TestCase):
    def clean(self, *lines):
        return debian_synopses.clean([" " + line for line in lines])

    def test_wrapped_lines_are_joined(self):
        self.assertEqual(self.clean("One sentence that", "goes  on."), "One sentence that goes on.")

    def test_dot_ends_a_paragraph(self):
        self.assertEqual(self.clean("First", "one.", ".", "Second."), "First one.\nSecond.")

    def test_verbatim_lines_stay_lines(self):
        self.assertEqual(self.clean("Usage:", "  a --b", "  c", "after"), "Usage:\na --b\nc\nafter")

    def test_list_items_take_their_continuation_lines(self):
        self.assertEqual(self.clean("Has:", " * one thing", "   and more", " * two"), "Has:\n* one thing and more\n* two")
        self.assertEqual(self.clean("Has:", "* one", "thing", "* two"), "Has:\n* one thing\n* two")

    def test_nothing_but_markers_is_empty(self):
        self.assertEqual(self.clean(".", "  ", "."), "")


class Split(unittest.TestCase):
    def test_rule_of_the_model_card(self):
        for package, family in (
            ("bash", "bash"),
            ("bash-doc", "bash"),
            ("libbash-dev", "bash"),
            ("python3-bash", "bash"),
            ("r-cran-bash", "bash"),
            ("node-bash-x", "bash"),
            ("python3-libfoo", "libfoo"),
            ("librust-serde-dev", "rust"),
        ):
            first = hashlib.md5(family.encode()).digest()[0]
            expected = "test" if first < 8 else "validation" if first < 16 else "train"
            self.assertEqual(debian_synopses.split_of(package), expected, package)

    def test_known_families_of_each_split(self):
        self.assertEqual(debian_synopses.split_of("libglobus-gfork0"), "test")
        self.assertEqual(debian_synopses.split_of("python3-cvise"), debian_synopses.split_of("cvise"))
        self.assertEqual(debian_synopses.split_of("cvise"), "test")
        self.assertEqual(debian_synopses.split_of("bash"), "train")


class Files(unittest.TestCase):
    INDEX = (
        stanza("b", "second", "Text of b.")
        + stanza("a", "first", "Text of “a”.")
        + stanza("a", "another version", "Newer text of a.")
        + stanza("c", "same text", "Text of b.")
        + stanza("d", "no text")
        + stanza("cvise", "tested", "Text of cvise.")
    )

    def write(self, folder, index):
        return subprocess.run(
            [sys.executable, SCRIPT, folder], input=index.encode(), capture_output=True, check=False
        )

    def read(self, folder):
        return {
            split: [json.loads(line) for line in pathlib.Path(folder, f"{split}.jsonl").read_text("utf-8").splitlines()]
            for split in ("train", "validation", "test")
        }

    def test_pairs_are_split_deduplicated_and_sorted_by_hash(self):
        with tempfile.TemporaryDirectory() as folder:
            run = self.write(folder, self.INDEX)
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertIn(b"6 descriptions, 1 empty, 1 repeated packages, 1 repeated documents", run.stdout)
            splits = self.read(folder)
        pairs = {row["id"]: (row["document"], row["summary"]) for rows in splits.values() for row in rows}
        self.assertEqual(
            pairs, {"a": ("Text of “a”.", "first"), "b": ("Text of b.", "second"), "cvise": ("Text of cvise.", "tested")}
        )
        self.assertEqual([row["id"] for row in splits["test"]], ["cvise"])
        for rows in splits.values():
            digests = [hashlib.sha256(row["document"].encode()).hexdigest() for row in rows]
            self.assertEqual(digests, sorted(digests))

    def test_order_of_the_index_does_not_matter_between_packages(self):
        stanzas = [part + "\n\n" for part in self.INDEX.split("\n\n") if part]
        moved = "".join(stanzas[1:] + stanzas[:1])
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
            self.write(one, self.INDEX)
            self.write(two, moved)
            self.assertEqual(self.read(one), self.read(two))

    def test_index_without_descriptions_is_an_error(self):
        with tempfile.TemporaryDirectory() as folder:
            run = self.write(folder, "")
            self.assertEqual(run.returncode, 1)
            self.assertIn(b"no English description", run.stderr)
            self.assertEqual(list(pathlib.Path(folder).iterdir()), [])


if __name__ == "__main__":
    unittest.main()
