"""Tests of scripts/data/aclsum.py on a small archive made for the purpose, and of aclsum.sh without a network."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import zipfile

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "data" / "aclsum.py"
sys.path.insert(0, str(SCRIPT.parent))
import aclsum  # noqa: E402


def paragraph(section, text, number=None):
    return {"section": section, "text": text, "sec_num": number}


def row(paper_id, title):
    return {
        "id": paper_id,
        "title": title,
        "summary": {"challenge": "It is hard. ", "approach": "They  try.", "outcome": "It works."},
        "sentences": {"conclusion": ["We  tried ."], "abstract": ["An abstract ."], "introduction": ["Oh .", "So ."]},
    }


def make_wheel(path):
    papers = {
        "train": [("P12-1103", "An  old paper", "It is solved.\nThis work was done when we were young.")],
        "val": [("A1", "Ünïcode", "We solve it. 1")],
        "test": [("A2", "Third", "Code is there 1 ."), ("A0", "Fourth", "The abstract.")],
    }
    body = [
        paragraph("Introduction", "Once \uf8f1 upon", "1"),
        paragraph("Introduction", "a time.", "1"),
        paragraph("Method", "EQUATION", "2"),
        paragraph("Method", "See the figure. " + "q " * 30 + "Done.", "2"),
        paragraph("Chart", "x " * 40),
        paragraph("Acknowledgments", "Thanks.", "3"),
        paragraph("", "A footnote."),
    ]
    with zipfile.ZipFile(path, "w") as archive:
        for split, rows in papers.items():
            lines = "".join(json.dumps(row(paper_id, title)) + "\n" for paper_id, title, _ in rows)
            archive.writestr(f"aclsum/dataset/{split}.jsonl", lines)
            for paper_id, _, abstract in rows:
                paper = {"abstract": abstract, "pdf_parse": {"body_text": body}}
                archive.writestr(f"aclsum/dataset/paper_jsons/{paper_id}.json", json.dumps(paper))


class Body(unittest.TestCase):
    def lines(self, *paragraphs):
        return aclsum.body_of(list(paragraphs), dict.fromkeys(aclsum.COUNTED, 0))

    def test_unnamed_paragraphs_are_footnotes_only_at_the_end(self):
        lines = self.lines(paragraph("", "First."), paragraph("Data", "Second."), paragraph("", "Third."))
        self.assertEqual(lines, ["First.", "Data", "Second."])

    def test_a_heading_stands_once_over_its_paragraphs(self):
        lines = self.lines(paragraph("A", "x.", "1"), paragraph("A", "y.", "1"), paragraph("A", "z.", "2"))
        self.assertEqual(lines, ["A", "x.", "y.", "A", "z."])

    def test_short_words_of_prose_stay(self):
        text = "It is as if it is so, or so we do say. " * 3
        self.assertEqual(self.lines(paragraph("A", text)), ["A", text.strip()])


class Files(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.wheel = pathlib.Path(folder.name, "aclsum.whl")
        self.out = pathlib.Path(folder.name, "out")
        make_wheel(self.wheel)

    def write(self, *options):
        return subprocess.run(
            [sys.executable, SCRIPT, *options, self.wheel, self.out], capture_output=True, encoding="utf-8", check=False
        )

    def read(self):
        self.assertEqual(
            sorted(path.name for path in self.out.iterdir()), ["test.jsonl", "train.jsonl", "validation.jsonl"]
        )
        return {
            path.stem: [json.loads(line) for line in path.read_text("utf-8").splitlines()]
            for path in self.out.iterdir()
        }

    def test_whole_papers(self):
        run = self.write()
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn(
            "left out: 4 footnotes, 4 paragraphs of acknowledgements, 4 placeholders, 8 runs of stray characters, "
            "4 private-use characters, 1 ends of abstracts, 2 footnote marks",
            run.stdout,
        )
        splits = self.read()
        document = "An old paper\nIntroduction\nOnce upon\na time.\nMethod\nSee the figure. Done."
        self.assertEqual(
            splits["train"],
            [{"id": "P12-1103", "title": "An old paper", "document": document, "summary": "It is solved."}],
        )
        self.assertEqual([pair["summary"] for pair in splits["validation"]], ["We solve it."])
        self.assertEqual([pair["summary"] for pair in splits["test"]], ["Code is there.", "The abstract."])
        self.assertEqual([pair["id"] for pair in splits["test"]], ["A2", "A0"])

    def test_aspect(self):
        run = self.write("--aspect", "approach")
        self.assertEqual(run.returncode, 0, run.stderr)
        splits = self.read()
        document = "An abstract . Oh . So . We tried ."
        expected = {"id": "A1", "title": "Ünïcode", "document": document, "summary": "They try."}
        self.assertEqual(splits["validation"], [expected])

    def test_second_run_gives_the_same_bytes(self):
        self.write()
        before = {path.name: path.read_bytes() for path in self.out.iterdir()}
        self.write()
        self.assertEqual({path.name: path.read_bytes() for path in self.out.iterdir()}, before)


class Shell(unittest.TestCase):
    def run_script(self, *arguments, **environment):
        return subprocess.run(
            ["bash", SCRIPT.with_suffix(".sh"), *arguments],
            env={**os.environ, **environment},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    def test_wrong_arguments(self):
        for arguments, message in (
            ((), "which folder?"),
            (("--aspect", "colour", "out"), "no aspect 'colour'"),
            (("--aspect",), "no aspect ''"),
            (("one", "two"), "two folders"),
            (("--force", "out"), "unknown argument --force"),
        ):
            run = self.run_script(*arguments)
            self.assertEqual(run.returncode, 1, arguments)
            self.assertIn(message, run.stderr)

    @unittest.skipIf(
        subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode != 0,
        "pip is missing",
    )
    def test_no_package_or_another_one_leaves_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder, "out")
            offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": folder}
            run = self.run_script(out, **offline)
            self.assertEqual(run.returncode, 1)
            self.assertIn("pip could not download aclsum 0.1.2", run.stderr)

            wheel = pathlib.Path(folder, "aclsum-0.1.2-py3-none-any.whl")
            with zipfile.ZipFile(wheel, "w") as archive:
                info = "aclsum-0.1.2.dist-info"
                archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: aclsum\nVersion: 0.1.2\n")
                archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            run = self.run_script(out, **offline)
            self.assertEqual(run.returncode, 1)
            self.assertIn(f"is not the {wheel.name} that this script knows", run.stderr)
            self.assertFalse(out.exists())


if __name__ == "__main__":
    unittest.main()
