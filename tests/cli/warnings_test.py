"""What costs scores and stops nothing: exit code 0, a line on stderr with the number and the key, and the list in report.json.

usage: warnings_test.py REPOSITORY PROGRAM
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

REPOSITORY = pathlib.Path(sys.argv.pop(1)).resolve()
PROGRAM = pathlib.Path(sys.argv.pop(1)).resolve()
SMOKE = "configs/smoke/tiny_bart.yaml"
TEST = "tests/fixtures/smoke/test.jsonl"


def run(*arguments, text=""):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW", "AZUREML"))}
    environment.pop("WORLD_SIZE", None)
    environment["OMP_NUM_THREADS"] = "2"
    return subprocess.run([PROGRAM, *map(str, arguments)], cwd=REPOSITORY, input=text, capture_output=True, text=True,
                          timeout=300, env=environment)


def report_of(folder):
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


class WarningsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="txtsum-warnings-"))
        cls.addClassCleanup(shutil.rmtree, cls.root)
        cls.clean = cls.root / "clean"
        cls.result = run("train", SMOKE, f"run.output={cls.clean}")

    def warnings_of(self, command, *arguments):
        """The report's warnings by name, all of them on stderr too; and the report."""
        folder = self.root / f"run-{len(list(self.root.iterdir()))}"
        result = run(*command, *arguments, f"run.output={folder}")
        self.assertEqual(result.returncode, 0, result.stderr)
        report = report_of(folder)
        schema = json.loads((REPOSITORY / "docs/report_schema.json").read_text())["properties"]["warnings"]["items"]
        page = (REPOSITORY / "docs/metrics.md").read_text(encoding="utf-8")
        found = {}
        for warning in report["warnings"]:
            self.assertEqual(list(warning), schema["required"])
            self.assertIn(warning["name"], schema["properties"]["name"]["enum"])
            self.assertIn(f"| `{warning['name']}` |", page)
            self.assertIn(warning["text"], result.stderr)
            found.setdefault(warning["name"], []).append(warning)
        return found, report

    def evaluated(self, *arguments):
        return self.warnings_of(["evaluate", self.clean], *arguments)

    def expect(self, warning, key, value, *texts):
        self.assertEqual(warning["key"], key)
        self.assertAlmostEqual(warning["value"], value)
        for text in texts:
            self.assertIn(text, warning["text"])

    def folder_with(self, **generation):
        folder = self.root / f"model-{self.id().split('.')[-1]}"
        shutil.copytree(self.clean / "model", folder)
        path = folder / "generation_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **generation}))
        return folder

    def test_a_run_without_fault_has_an_empty_list(self):
        self.assertEqual(self.result.returncode, 0, self.result.stderr)
        self.assertEqual(report_of(self.clean)["warnings"], [])
        self.assertEqual(self.evaluated()[0], {})

    def test_references_that_are_cut(self):
        found, report = self.evaluated("data.max_target_tokens=8")
        lengths = report["data"]["splits"][0]["target_tokens"]
        self.assertGreater(lengths["truncated"], 0)
        self.expect(found["references_truncated"][0], "data.max_target_tokens", lengths["truncated"],
                    f"test: {lengths['truncated']} of 24", "data.max_target_tokens=8",
                    f"data.max_target_tokens={lengths['max']} keeps them whole")
        self.assertEqual(self.evaluated(f"data.max_target_tokens={lengths['max']}")[0], {})

    def test_more_than_five_percent_of_sources_cut(self):
        found, report = self.evaluated("data.max_source_tokens=16")
        lengths = report["data"]["splits"][0]["source_tokens"]
        self.expect(found["sources_truncated"][0], "data.max_source_tokens", 100 * lengths["truncated"] / 24,
                    f"test: {lengths['truncated']} of 24", "data.max_source_tokens=16",
                    f"data.max_source_tokens={lengths['p95']} cuts 5 %")
        self.assertNotIn("sources_truncated", self.evaluated(f"data.max_source_tokens={lengths['p95']}")[0])

    def test_a_limit_of_generation_under_the_references_and_summaries_at_it(self):
        found, report = self.evaluated("generation.max_new_tokens=4")
        high = report["data"]["splits"][0]["target_tokens"]["p99"]
        self.expect(found["generation_shorter_than_references"][0], "generation.max_new_tokens", high,
                    "test: summaries end at generation.max_new_tokens=4", f"generation.max_new_tokens={high} holds")
        self.expect(found["summaries_reach_limit"][0], "generation.max_new_tokens", report["quality"]["test"]["gen_len"] - 1,
                    "test: the mean summary has 4 tokens, with generation.max_new_tokens=4")
        self.assertNotIn("generation_shorter_than_references", self.evaluated(f"generation.max_new_tokens={high}")[0])
        below = self.evaluated(f"generation.max_new_tokens={high - 1}")[0]
        self.assertIn("generation_shorter_than_references", below)

    def test_one_beam_where_the_checkpoint_says_more(self):
        found, _ = self.evaluated("generation.beams=1")
        self.expect(found["one_beam"][0], "generation.beams", 2, "generation.beams=1", "generation.beams=2 follows")

    def test_one_beam_where_config_json_says_more_for_summarizing(self):
        folder = self.folder_with(num_beams=None)
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "task_specific_params": {"summarization": {"num_beams": 5}}}))
        result = run("summarize", "--model", folder, text="A text.\n")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("the checkpoint's files say 5 beams; generation.beams=5 follows them", result.stderr)
        self.assertNotIn("5 beams", run("summarize", "--model", folder, "generation.beams=2", text="A text.\n").stderr)

    def test_documents_that_are_in_two_splits(self):
        rows = (REPOSITORY / TEST).read_text().splitlines()[:3]
        train = self.root / "leaky.jsonl"
        train.write_text((REPOSITORY / "tests/fixtures/smoke/train.jsonl").read_text() + "\n".join(rows) + "\n")
        found, report = self.warnings_of(["train", SMOKE], f"data.train={train}", "train.max_updates=2", "data.validation=[]",
                                         "checkpoint.best_metric=none", "validation.generate=false", "test.generate=false")
        self.assertEqual(report["data"]["leaks"][0]["examples"], 3)
        self.expect(found["splits_leak"][0], "data.test", 3, "test: 3 of its documents are in train too")

    def test_documents_that_are_in_a_share_and_in_a_file_are_told_of_the_share(self):
        train = "tests/fixtures/smoke/train.jsonl"
        test = self.root / "from-train.jsonl"
        test.write_text("".join((REPOSITORY / train).read_text().splitlines(keepends=True)[:40]))
        found, _ = self.warnings_of(["train", SMOKE], f"data.test={test}", "data.validation=[]", "data.validation_share=0.5",
                                    "train.max_updates=2", "checkpoint.best_metric=none", "validation.generate=false",
                                    "test.generate=false")
        texts = [warning["text"] for warning in found["splits_leak"]]
        self.assertEqual([warning["key"] for warning in found["splits_leak"]], ["data.test", "data.test"])
        self.assertIn("in train too", texts[0])
        self.assertIn("in validation too", texts[1])
        self.assertIn("one of data.train (of which data.validation_share makes validation) and data.test", texts[1])

    def test_a_training_says_it_of_each_split(self):
        found, report = self.warnings_of(["train", SMOKE], "train.max_updates=2", "data.max_target_tokens=8",
                                         "data.max_source_tokens=16", "generation.max_new_tokens=7", "generation.beams=1")
        splits = ["train", "validation", "test"]
        for name in ("references_truncated", "sources_truncated"):
            self.assertEqual([warning["text"].split(":")[0] for warning in found[name]], splits)
        self.assertIn("does not learn how they end", found["references_truncated"][0]["text"])
        self.assertEqual([warning["text"].split(":")[0] for warning in found["generation_shorter_than_references"]], splits[1:])
        # After two updates summaries do not end by themselves.
        self.assertEqual([warning["text"].split(":")[0] for warning in found["summaries_reach_limit"]], splits[1:])
        self.assertEqual(found["summaries_reach_limit"][1]["value"], report["quality"]["test"]["gen_len"] - 1)
        self.assertIn("one_beam", found)

    def test_start_and_forced_tokens_that_disagree(self):
        folder = self.folder_with(decoder_start_token_id=0, forced_bos_token_id=5, forced_eos_token_id=7, eos_token_id=[9, 8])
        found, _ = self.evaluated("--model", folder)
        texts = {}
        for warning in found["tokens_disagree"]:
            texts.setdefault(warning["key"], []).append((warning["value"], warning["text"]))
        self.assertEqual(sorted(texts), ["generation.decoder_start_token_id", "generation.forced_bos_token_id",
                                         "generation.forced_eos_token_id", "model.checkpoint"])
        self.assertIn("from 0 (<s>), by generation_config.json, and training from 2 (</s>)",
                      texts["generation.decoder_start_token_id"][0][1])
        self.assertEqual(texts["generation.decoder_start_token_id"][0][0], 0)
        self.assertIn("references begin with 0 (<s>)", texts["generation.forced_bos_token_id"][0][1])
        files, no_end = texts["generation.forced_eos_token_id"]
        self.assertIn("generation_config.json says 7", files[1])
        self.assertIn("config.json 2 (</s>)", files[1])
        self.assertIn("no end token", no_end[1])
        self.assertEqual(texts["model.checkpoint"][0][0], 9)
        self.assertIn("references with 2 (</s>)", texts["model.checkpoint"][0][1])
        for command in (["check", SMOKE, f"model.checkpoint={folder}"], ["summarize", "--model", folder]):
            result = run(*command, text="A text.\n")
            self.assertEqual(result.returncode, 0, result.stderr)
            for _, text in (pair for pairs in texts.values() for pair in pairs):
                self.assertIn(text, result.stderr)

    def test_a_start_token_that_is_a_word_is_told_and_an_experiments_own_ids_are_not_held_against_the_files(self):
        found, _ = self.evaluated("generation.decoder_start_token_id=50", "generation.forced_eos_token_id=2")
        texts = [warning["text"] for warning in found["tokens_disagree"]]
        self.assertEqual(len(texts), 2, texts)
        self.assertIn("by experiment", texts[0])
        self.assertIn("does not have as a special token", texts[1])

    def test_a_setting_that_is_not_followed(self):
        found, _ = self.evaluated("--model", self.folder_with(do_sample=True))
        self.assertEqual(list(found), ["setting_not_followed"])
        self.assertIsNone(found["setting_not_followed"][0]["value"])
        self.assertIn("do_sample", found["setting_not_followed"][0]["text"])


if __name__ == "__main__":
    unittest.main()
