"""What people get out of finished runs, through the binary: compare, report, and the finished model's card.

usage: reports_test.py REPOSITORY PROGRAM
"""

import html.parser
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

try:
    import yaml
except ImportError:
    yaml = None

REPOSITORY = pathlib.Path(sys.argv.pop(1)).resolve()
PROGRAM = pathlib.Path(sys.argv.pop(1)).resolve()
SMOKE = "configs/smoke/tiny_bart.yaml"
RESOURCES = ["resources.cpu_tdp_watts=65", "resources.region=westeurope", "resources.usd_per_hour=0.5"]
KINDS = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
EVIL = "<script>alert('\"&')</script>"


def run(*arguments):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW", "AZUREML"))}
    environment.pop("WORLD_SIZE", None)
    environment["OMP_NUM_THREADS"] = "2"
    return subprocess.run([PROGRAM, *map(str, arguments)], cwd=REPOSITORY, capture_output=True, text=True, timeout=300,
                          env=environment)


def read_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class Page(html.parser.HTMLParser):
    """Holds that elements nest and end, and gathers texts, element names and attributes."""

    VOID = {"meta", "br"}

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.names, self.attributes, self.texts, self.faults = [], set(), [], [], []
        self.feed(text)
        self.close()
        if self.open:
            self.faults.append(f"not ended: {self.open}")

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.names.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data):
        self.texts.append(data)


class ReportsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="txtsum-reports-"))
        cls.addClassCleanup(shutil.rmtree, cls.root)
        cls.long, cls.short = cls.root / "long", cls.root / "short"
        base = cls.root / "base"
        shutil.copytree(REPOSITORY / "configs/smoke/tiny-bart", base)
        (base / "README.md").write_text("---\nlanguage:\n- en\nlicense: mit\n---\n# A tiny base\n")
        for folder, more in ((cls.long, [f"model.checkpoint={base}"]), (cls.short, ["train.epochs=2"])):
            result = run("train", SMOKE, f"run.output={folder}", f"run.name={folder.name}", *RESOURCES, *more)
            assert result.returncode == 0, result.stderr

    def page(self, path):
        page = Page(path.read_text(encoding="utf-8"))
        self.assertEqual(page.faults, [])
        return page

    def test_compare_says_what_the_predictions_and_reports_say(self):
        result = run("compare", self.short, self.long, "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        found = json.loads(result.stdout)
        rows = [read_lines(folder / "predictions.jsonl") for folder in (self.short, self.long)]
        reports = [json.loads((folder / "report.json").read_text()) for folder in (self.short, self.long)]
        self.assertEqual(found["documents"], len(rows[0]))
        for kind in KINDS:
            values = found["rouge"][kind]
            mean = sum(b[kind] - a[kind] for a, b in zip(*rows)) / len(rows[0])
            self.assertAlmostEqual(values["difference"], mean, places=9)
            self.assertAlmostEqual(values["a"], reports[0]["quality"]["test"][kind], places=3)
            self.assertAlmostEqual(values["b"], reports[1]["quality"]["test"][kind], places=3)
            self.assertLess(values["low"], mean)
            self.assertGreater(values["high"], mean)
        # Six epochs against two: nobody needs statistics, but they have to agree.
        self.assertGreater(found["rouge"]["rouge1"]["low"], 0)
        self.assertLess(found["rouge"]["rouge1"]["p_value"], 0.01)
        energy, dollars = found["whole_run"]["energy_wh"], found["whole_run"]["cost_usd"]
        for side, report in zip("ab", reports):
            self.assertAlmostEqual(energy[side]["value"], 1000 * report["total"]["energy_kwh"]["total"]["value"])
            self.assertEqual(dollars[side]["value"], report["cost"]["total_usd"]["value"])
        self.assertAlmostEqual(energy["difference"]["value"], energy["b"]["value"] - energy["a"]["value"])
        self.assertEqual(found["whole_run"]["peak_device_memory_bytes"]["difference"]["tag"], "missing")
        self.assertEqual(found["bootstrap"]["seed"], 0)

    def test_compare_repeats_itself_and_follows_its_seed(self):
        first, again, other = (run("compare", self.short, self.long, *more).stdout
                               for more in ([], [], ["--seed", "1"]))
        self.assertEqual(first, again)
        self.assertNotEqual(first, other)
        self.assertIn("seed 0", first)
        self.assertIn("B - A", first)
        same = json.loads(run("compare", self.long, self.long, "--json").stdout)
        self.assertEqual([same["rouge"][kind]["p_value"] for kind in KINDS], [1, 1, 1, 1])

    def test_compare_refuses_other_documents(self):
        evaluated = self.root / "evaluated"
        result = run("evaluate", self.long, "--split", "validation", f"run.output={evaluated}")
        self.assertEqual(result.returncode, 0, result.stderr)
        refused = run("compare", self.long, evaluated)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("cannot be compared", refused.stderr)
        self.assertEqual(refused.stdout, "")
        nothing = run("compare", self.long, self.root)
        self.assertEqual(nothing.returncode, 2)
        self.assertIn("found no report.json", nothing.stderr)

    def test_compare_takes_an_evaluation_beside_a_training(self):
        evaluated = self.root / "evaluated-test"
        result = run("evaluate", self.long, f"run.output={evaluated}")
        self.assertEqual(result.returncode, 0, result.stderr)
        result = run("compare", self.long, evaluated)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("an evaluation alone", result.stdout)
        self.assertRegex(result.stdout, r"rouge1 .* \+0\.00 .* 1\.0000 ")

    def test_a_report_is_one_page_without_anything_from_outside(self):
        result = run("report", self.long)
        self.assertEqual(result.returncode, 0, result.stderr)
        path = self.long / "report.html"
        self.assertEqual(result.stdout.strip(), str(path))
        page = self.page(path)
        self.assertFalse(page.names & {"script", "link", "img", "iframe", "object", "base", "form"})
        names = {name for name, _ in page.attributes}
        self.assertFalse(names & {"src", "href", "srcset"})
        self.assertFalse([name for name in names if name.startswith("on")])
        text = path.read_text()
        self.assertNotRegex(text, r"url\(|@import|https?://")
        self.assertIn("prefers-color-scheme:dark", text)
        self.assertIn("width=device-width", text)
        words = " ".join(page.texts)
        report = json.loads((self.long / "report.json").read_text())
        for kind in KINDS:
            self.assertIn(f"{report['quality']['test'][kind]:.2f}", words)
        for heading in ("Quality", "Learning curves", "Lengths", "Ledger", "Best and worst summaries", "Settings"):
            self.assertIn(heading, page.texts)
        for tag in ("measured", "modelled", "missing"):
            self.assertIn(("class", f"tag {tag}"), page.attributes)
        rows = sorted(read_lines(self.long / "predictions.jsonl"),
                      key=lambda row: row["rouge1"] + row["rouge2"] + row["rougeL"])
        self.assertIn(rows[-1]["summary"], page.texts)
        self.assertIn(rows[0]["reference"], page.texts)

    def test_a_report_is_never_overwritten_unasked_and_the_same_run_gives_the_same_page(self):
        path = self.root / "page.html"
        self.assertEqual(run("report", self.short, "--output", path).returncode, 0)
        first = path.read_bytes()
        path.write_text("mine")
        refused = run("report", self.short, "--output", path)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("--overwrite", refused.stderr)
        self.assertEqual(path.read_text(), "mine")
        self.assertEqual(run("report", self.short, "--output", path, "--overwrite").returncode, 0)
        self.assertEqual(path.read_bytes(), first)

    def test_several_runs_stand_side_by_side(self):
        path = self.root / "several.html"
        result = run("report", self.short, self.long, "--output", path)
        self.assertEqual(result.returncode, 0, result.stderr)
        page = self.page(path)
        words = " ".join(page.texts)
        for part in ("2 runs side by side", "Quality against cost", "Differences on the same documents", "energy, Wh",
                     "cost, USD", "train.epochs"):
            self.assertIn(part, words)
        self.assertEqual(words.count("A short"), 2)  # the label of the run's point in both plots
        self.assertFalse((self.short / "comparison.html").exists())
        self.assertEqual(run("report", self.short, self.long).returncode, 0)
        self.assertTrue((self.short / "comparison.html").exists())

    def test_runs_without_a_point_and_runs_of_one_name_are_told_apart(self):
        folders = {name: self.root / f"apart-{name}" for name in ("same", "unscored", "evaluated")}
        for folder in folders.values():
            shutil.copytree(self.short, folder)
        changes = {"same": {}, "unscored": {"quality": {}}, "evaluated": {"command": "evaluate"}}
        for name, folder in folders.items():
            report = json.loads((folder / "report.json").read_text())
            report.update(changes[name])
            if name == "same":
                report["total"]["peak_device_memory_bytes"] = {**report["total"]["peak_host_rss_bytes"], "value": 3 * 2**30}
            if name == "unscored":  # as one that was stopped before its first update
                report["phases"]["train"]["work"]["updates"] = 0
            (folder / "report.json").write_text(json.dumps(report))
        path = self.root / "apart.html"
        result = run("report", self.short, *folders.values(), "--output", path)
        self.assertEqual(result.returncode, 0, result.stderr)
        page = self.page(path)
        for folder in (self.short, *folders.values()):
            self.assertIn(str(folder), page.texts)
        self.assertEqual(page.texts.count("Left out: C, not scored; D, an evaluation alone."), 2)
        self.assertEqual(page.texts.count("evaluation alone"), 1)
        for text in ("Peak memory, device", "Peak memory, host", "3.00 GiB"):
            self.assertIn(text, page.texts)
        alone = self.root / "alone.html"
        self.assertEqual(run("report", self.short, folders["evaluated"], "--output", alone).returncode, 0)
        self.assertNotIn("Peak memory, device", self.page(alone).texts)  # none has a device

    def test_texts_of_the_run_are_no_markup(self):
        folder = self.root / "evil"
        shutil.copytree(self.short, folder)
        rows = read_lines(folder / "predictions.jsonl")
        for row in rows:
            row.update(id=EVIL, summary=EVIL, reference=EVIL, source_start=EVIL)
        (folder / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        report = json.loads((folder / "report.json").read_text())
        report.update(run_name=EVIL, command_line=EVIL, doubts=[{"what": EVIL, "reason": EVIL}],
                      warnings=[{"name": "one_beam", "key": "generation.beams", "value": 1.0, "text": EVIL}])
        report["config"]["data.source_prefix"] = EVIL
        (folder / "report.json").write_text(json.dumps(report))
        result = run("report", folder)
        self.assertEqual(result.returncode, 0, result.stderr)
        page = self.page(folder / "report.html")
        self.assertNotIn("script", page.names)
        self.assertGreater(page.texts.count(EVIL), 10)

    def test_doubts_warnings_and_lower_bounds_are_said(self):
        folder = self.root / "doubtful"
        shutil.copytree(self.short, folder)
        report = json.loads((folder / "report.json").read_text())
        report["doubts"] = [{"what": "attempt 1: lower bounds", "reason": "it was killed"}]
        report["warnings"] = [{"name": "one_beam", "key": "generation.beams", "value": 1.0, "text": "greedy search"}]
        total = report["total"]
        total["bound"] = total["energy_kwh"]["total"]["bound"] = total["cost_usd"]["bound"] = "lower"
        (folder / "report.json").write_text(json.dumps(report))
        self.assertEqual(run("report", folder).returncode, 0)
        texts = self.page(folder / "report.html").texts
        for text in ("attempt 1: lower bounds: it was killed", "greedy search"):
            self.assertEqual(sum(text in found for found in texts), 1, text)
        self.assertTrue(any(text.startswith("at least ") and text.endswith(" Wh") for text in texts), texts)
        compared = run("compare", self.long, folder)
        self.assertRegex(compared.stdout, r"(?m)^time .* at least .* at least ")
        self.assertIn("lower", json.loads(run("compare", self.long, folder, "--json").stdout)["whole_run"]["cost_usd"]["b"]["bound"])
        reversed_ = run("compare", folder, self.long, "--json")
        self.assertIsNone(json.loads(reversed_.stdout)["whole_run"]["energy_wh"]["difference"]["value"])

    def test_what_an_evaluation_has_is_reported_too(self):
        folder = self.root / "evaluated-short"
        self.assertEqual(run("evaluate", self.short, f"run.output={folder}").returncode, 0)
        result = run("report", folder)
        self.assertEqual(result.returncode, 0, result.stderr)
        page = self.page(folder / "report.html")
        self.assertIn("Quality", page.texts)
        self.assertNotIn("Learning curves", page.texts)

    def metadata(self, folder):
        text = (folder / "model/README.md").read_text(encoding="utf-8")
        self.assertTrue(text.startswith("---\n"))
        return text[4:text.index("\n---\n", 4) + 1], text

    def test_the_finished_model_has_a_card_with_the_reports_numbers(self):
        metadata, text = self.metadata(self.long)
        report = json.loads((self.long / "report.json").read_text())
        for kind, title in zip(KINDS, ("ROUGE-1", "ROUGE-2", "ROUGE-L", "ROUGE-Lsum")):
            score = report["quality"]["test"][kind]
            self.assertRegex(metadata, rf"name: {title}\n +value: {re.escape(json.dumps(score))}\n")
            self.assertIn(f"| {title} | {json.dumps(score)} |", text)
        grams = report["carbon"]["high_grams"]["value"]
        self.assertRegex(metadata, rf"\n  emissions: {re.escape(json.dumps(grams))}\n")
        self.assertIn("pipeline_tag: summarization\n", metadata)
        self.assertIn(report["command_line"], text)
        self.assertIn(f"txtsum {report['program_version']}", text)
        for part in ("## Scores", "## Data", "## Training", "## Energy, carbon and cost", "optimizer.learning_rate",
                     "Missing: the data set's name"):
            self.assertIn(part, text)
        self.assertNotIn("base_model:", metadata)  # a folder is no id on the Hub

    def test_the_cards_metadata_is_yaml(self):
        if yaml is None:
            self.skipTest("this Python has no yaml; the other tests look at the lines")
        for folder in (self.long, self.short):
            with self.subTest(folder=folder.name):
                found = yaml.safe_load(self.metadata(folder)[0])
                report = json.loads((folder / "report.json").read_text())
                results = found["model-index"][0]["results"][0]
                self.assertEqual({row["name"]: row["value"] for row in results["metrics"]},
                                 dict(zip(("ROUGE-1", "ROUGE-2", "ROUGE-L", "ROUGE-Lsum"),
                                          (report["quality"]["test"][kind] for kind in KINDS))))
                self.assertEqual(results["task"]["type"], "summarization")
                self.assertEqual(results["dataset"]["split"], "test")
                self.assertEqual(found["co2_eq_emissions"]["emissions"], report["carbon"]["high_grams"]["value"])
                self.assertEqual(found["co2_eq_emissions"]["geographical_location"], "westeurope")
                self.assertEqual(found["co2_eq_emissions"]["training_type"], "pre-training")  # model.init: random

    def test_the_base_models_card_stays_beside_the_new_one(self):
        self.assertIn("# A tiny base", (self.long / "model/README_base.md").read_text())
        self.assertFalse((self.short / "model/README_base.md").exists())
        metadata, text = self.metadata(self.long)
        self.assertNotIn("license", metadata)  # Its weights are not the base's: model.init=random.
        self.assertIn("whose architecture and tokenizer it has: [README_base.md](README_base.md)", text)

    def test_predictions_hold_what_a_report_needs_of_the_documents(self):
        sources = {row["id"]: row["document"] for row in read_lines(REPOSITORY / "tests/fixtures/smoke/test.jsonl")}
        for row in read_lines(self.long / "predictions.jsonl"):
            self.assertTrue(sources[row["id"]].startswith(row["source_start"].rstrip("…")))
            self.assertGreater(row["source_tokens"], row["reference_tokens"])


if __name__ == "__main__":
    unittest.main()
