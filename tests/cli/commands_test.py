"""Every command but the main job's, through the binary: help, exit codes, complaints, results.

usage: commands_test.py REPOSITORY PROGRAM
"""

import json
import math
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

REPOSITORY = pathlib.Path(sys.argv.pop(1)).resolve()
PROGRAM = pathlib.Path(sys.argv.pop(1)).resolve()
COMMANDS = [
    [], ["train"], ["evaluate"], ["summarize"], ["score"], ["compare"], ["report"], ["convert"], ["tokenizer"],
    ["tokenizer", "train"], ["tokenizer", "encode"], ["tokenizer", "decode"], ["check"], ["plan"], ["config"], ["config", "list"], ["config", "show"], ["config", "copy"],
    ["config", "docs"], ["info"], ["launch"],
]
PREDICTIONS = ["The cat sat on the mats.", "A program that prints greetings", "nothing in common"]
REFERENCES = ["The cat is sitting on a mat.", "Program printing a friendly greeting", "entirely different words here"]
# By rouge_score 0.1.2: means of fmeasure x 100.
STEMMED = {"rouge1": 47.1795, "rouge2": 6.0606, "rougeL": 40.5128, "rougeLsum": 40.5128}
UNSTEMMED = {"rouge1": 28.7179, "rouge2": 6.0606, "rougeL": 22.0513, "rougeLsum": 22.0513}


ARROW_MODULE = PROGRAM.parent / "libtxtsum_arrow.so"


def run(*arguments, text="", env=None):
    return subprocess.run([PROGRAM, *map(str, arguments)], cwd=REPOSITORY, input=text, capture_output=True, text=True,
                          timeout=120, env=env)


def write_sparse_bart(path, config):
    """A BART's weights of nothing: the header, and a hole as large as they would be."""
    width, positions = config["d_model"], config["max_position_embeddings"] + 2
    shapes = {"model.shared.weight": [config["vocab_size"], width], "final_logits_bias": [1, config["vocab_size"]]}

    def linear(name, rows, columns):
        shapes[name + ".weight"] = [rows, columns]
        shapes[name + ".bias"] = [rows]

    def norm(name):
        shapes[name + ".weight"] = shapes[name + ".bias"] = [width]

    for side in ("encoder", "decoder"):
        shapes[f"model.{side}.embed_positions.weight"] = [positions, width]
        norm(f"model.{side}.layernorm_embedding")
        for layer in range(config[f"{side}_layers"]):
            stem = f"model.{side}.layers.{layer}"
            for attention in ("self_attn",) if side == "encoder" else ("self_attn", "encoder_attn"):
                for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
                    linear(f"{stem}.{attention}.{part}", width, width)
                norm(f"{stem}.{attention}_layer_norm")
            linear(f"{stem}.fc1", config[f"{side}_ffn_dim"], width)
            linear(f"{stem}.fc2", width, config[f"{side}_ffn_dim"])
            norm(f"{stem}.final_layer_norm")
    entries, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + 4 * math.prod(shape)
        entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    header = json.dumps(entries).encode()
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + end)


class CommandsTest(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="txtsum-commands-"))
        self.addCleanup(shutil.rmtree, self.root)
        self.predictions = self.root / "predictions.txt"
        self.references = self.root / "references.txt"
        self.predictions.write_text("".join(text + "\n" for text in PREDICTIONS))
        self.references.write_text("".join(text + "\n" for text in REFERENCES))

    def test_every_help_screen_ends_with_two_worked_examples(self):
        for command in COMMANDS:
            with self.subTest(command=command):
                result = run(*command, "--help")
                self.assertEqual(result.returncode, 0, result.stderr)
                end = result.stdout.rstrip().splitlines()[-3:]
                self.assertEqual(end[0].strip(), "Examples:")
                for example in end[1:]:
                    self.assertIn("txtsum", example)

    def test_a_wrong_value_prints_the_help_of_its_option(self):
        result = run("evaluate", "runs/x", "--split", "tests")
        self.assertEqual(result.returncode, 2)
        self.assertIn("Which split of the data: test or validation.", result.stderr)
        result = run("summarize", "--model", "x", "--input-format", "pdf")
        self.assertEqual(result.returncode, 2)
        self.assertIn("all of it is one text", result.stderr)

    def test_unknown_words_are_refused(self):
        for arguments in (["trian"], ["score", "a"], [], ["info", "--yaml"], ["score", "nothing.txt", "nothing.txt"]):
            with self.subTest(arguments=arguments):
                result = run(*arguments)
                self.assertEqual(result.returncode, 2)
                self.assertIn("--help", result.stderr)

    def test_a_misspelt_command_is_answered_with_the_nearest(self):
        for arguments, wanted in ((["trian", "x.yaml"], "did you mean train?"), (["tokenizer", "encod"], "encode?")):
            result = run(*arguments)
            self.assertEqual(result.returncode, 2)
            self.assertIn(f"unknown command '{arguments[-1] if arguments[0] == 'tokenizer' else 'trian'}'", result.stderr)
            self.assertIn(wanted, result.stderr)

    def test_log_flags_stand_before_or_after_the_command(self):
        corpus = REPOSITORY / "tests/fixtures/smoke/train.jsonl"
        for before, after in (([], []), (["-q"], []), ([], ["-q"]), ([], ["--quiet"])):
            with self.subTest(before=before, after=after):
                output = self.root / "quiet"
                result = run(*before, "tokenizer", "train", "--output", output, "--vocab-size", "300", "--overwrite",
                             corpus, *after)
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertEqual(result.stderr == "", bool(before or after))

    def test_a_misspelt_key_is_answered_with_file_line_and_the_nearest_key(self):
        path = self.root / "experiment.yaml"
        path.write_text("model: {checkpoint: configs/models/txtsum-mini}\ndata: {train: a.jsonl}\ntrain:\n  epocs: 3\n")
        result = run("check", path)
        self.assertEqual(result.returncode, 2)
        self.assertIn(f"{path}:4:3 train.epocs", result.stderr)
        self.assertIn("epochs", result.stderr)

    def test_a_wrong_value_of_a_key_comes_with_what_the_key_means(self):
        result = run("check", "configs/smoke/tiny_bart.yaml", "train.batch_size=abc", "optimizer.name=sgd")
        self.assertEqual(result.returncode, 2)
        self.assertIn("wanted whole number, found 'abc'", result.stderr)
        self.assertIn("xamples", result.stderr)
        self.assertIn("wanted adamw or adafactor", result.stderr)

    def test_check_finds_every_problem_at_once(self):
        result = run("check", "configs/smoke/tiny_bart.yaml", "data.train=missing.jsonl", "data.test=gone.jsonl")
        self.assertEqual(result.returncode, 3)
        self.assertIn("missing.jsonl", result.stderr)
        self.assertIn("gone.jsonl", result.stderr)
        self.assertEqual(run("check", "configs/smoke/tiny_bart.yaml").returncode, 0)

    def test_check_answers_names_of_transformers(self):
        result = run("check", "configs/smoke/tiny_bart.yaml", "--learning_rate", "3e-5")
        self.assertEqual(result.returncode, 2)
        self.assertIn("optimizer.learning_rate=3e-5", result.stderr)

    def plan(self, *arguments):
        return run("plan", "configs/smoke/tiny_bart.yaml", *arguments)

    def test_a_plan_says_what_a_training_needs_before_it_runs(self):
        result = self.plan("--ranks", "1,2", "--card", "h100,A100-40GB", "--card", "T4", "train.precision=bf16", "run.device=cuda")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertLessEqual(max(map(len, result.stdout.splitlines())), 100)
        for wanted in ("13 updates an epoch, 78 in 6 epochs", "of each of 2 ranks", "parallel.offload=optimizer_and_parameters",
                       "train.recompute=blocks", "A100-40GB", "no bf16", "assumptions", "resources.region"):
            self.assertIn(wanted, result.stdout)

    def test_a_plan_as_json_counts_in_bytes(self):
        result = self.plan("--ranks", "2", "--card", "H100", "--json", "train.precision=bf16", "run.device=cuda", "parallel.zero_stage=1",
                           "resources.usd_per_hour=3", "resources.region=westeurope")
        self.assertEqual(result.returncode, 0, result.stderr)
        plan = json.loads(result.stdout)
        self.assertEqual(plan["model"]["parameters"], 209920)
        self.assertEqual(plan["training"]["total_updates"], 78)
        # Of P = 215,552 elements, padding included, on two ranks in stage 1: docs/parallelism.md.
        first = next(s for s in plan["memory"][0]["settings"] if s["zero_stage"] == 1 and s["offload"] == "none")
        self.assertEqual(first["weights_bytes"], 2 * 215552 + 2 * 215552 // 2)
        self.assertEqual(first["masters_bytes"], 4 * 215552 // 2)
        self.assertEqual(first["moments_bytes"], 8 * 215552 // 2)
        self.assertTrue(first["fits"]["H100"])
        self.assertEqual(len(plan["memory"][0]["settings"]), 2 * (4 + 4 + 1))
        for chosen in plan["runs"]:
            self.assertEqual(chosen["zero_stage"], 1)
            for figure in ("update_seconds", "seconds", "energy_kwh", "grams_low", "usd"):
                self.assertEqual(chosen[figure]["tag"], "modelled")
            self.assertAlmostEqual(chosen["seconds"]["value"], 78 * chosen["update_seconds"]["value"])
            self.assertAlmostEqual(chosen["usd"]["value"], 3 * chosen["seconds"]["value"] / 3600)

    def test_a_plan_of_offloaded_updates_needs_the_speed_of_the_hosts_memory(self):
        def run_of(*arguments):
            result = self.plan("--ranks", "1,2", "--card", "H100", "--json", "train.precision=bf16", "run.device=cuda", *arguments)
            self.assertEqual(result.returncode, 0, result.stderr)
            return json.loads(result.stdout)["runs"]

        missing = run_of("parallel.offload=optimizer")[0]
        self.assertEqual(missing["update_seconds"]["tag"], "missing")
        self.assertIn("resources.host_gb_per_second", missing["update_seconds"]["note"])
        # Where a limit says how long it takes, it does not say for how much of that the GPU works.
        limited = run_of("parallel.offload=optimizer", "train.max_minutes=1", "resources.usd_per_hour=3")[0]
        self.assertEqual((limited["seconds"]["value"], limited["usd"]["value"]), (60, 0.05))
        self.assertEqual(limited["energy_kwh"]["tag"], "missing")
        self.assertIn("resources.host_gb_per_second", limited["energy_kwh"]["note"])
        speed = "resources.host_gb_per_second=0.001"
        plain = run_of("parallel.zero_stage=1")
        runs = run_of("parallel.zero_stage=1", "parallel.offload=optimizer", speed)
        along = run_of("parallel.zero_stage=1", "parallel.offload=optimizer", speed, "train.clip_norm=0")
        for whole, offloaded, hidden in zip(plain, runs, along, strict=True):
            # 28 bytes of each of 215,552 elements, on whatever number of ranks of one host, at 0.85 of its speed.
            self.assertEqual(offloaded["work"]["host_bytes"], 28 * 215552)
            seconds = offloaded["update_seconds"]["value"]
            self.assertAlmostEqual(seconds, whole["update_seconds"]["value"] + 28 * 215552 / 0.85e6, delta=1e-3)
            self.assertLess(hidden["update_seconds"]["value"], seconds)
            # The GPUs hardly work in it.
            watts = offloaded["energy_kwh"]["value"] * 3.6e6 / offloaded["seconds"]["value"] / offloaded["ranks"]
            self.assertAlmostEqual(watts / 700, 0.18, delta=0.01)
        # In stage 0 each rank updates all of it.
        self.assertEqual(run_of("parallel.offload=optimizer", speed)[-1]["work"]["host_bytes"], 2 * 28 * 215552)

    def test_a_plan_for_this_machines_cpu_says_what_is_missing(self):
        result = self.plan()
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("set resources.peak_tflops", result.stdout)
        self.assertNotIn("parallel.offload=optimizer", result.stdout)

    def test_a_plan_reads_headers_and_not_weights(self):
        # As large as a model of 10^11 bytes: a sparse file with a header alone would not go into memory.
        folder = self.root / "large"
        shutil.copytree(REPOSITORY / "configs/smoke/tiny-bart", folder)
        config = json.loads((folder / "config.json").read_text())
        config |= {"d_model": 8192, "encoder_ffn_dim": 32768, "decoder_ffn_dim": 32768, "encoder_layers": 12, "decoder_layers": 12,
                   "encoder_attention_heads": 64, "decoder_attention_heads": 64}
        (folder / "config.json").write_text(json.dumps(config))
        write_sparse_bart(folder / "model.safetensors", config)
        arguments = [f"model.checkpoint={folder}", "model.init=pretrained", "--json"]
        result = self.plan(*arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertGreater(json.loads(result.stdout)["model"]["parameters"], 2 * 10**10)
        config["decoder_ffn_dim"] = 16384
        (folder / "config.json").write_text(json.dumps(config))
        result = self.plan(*arguments)
        self.assertEqual(result.returncode, 3)
        self.assertIn("wanted shape [16384, 8192], found [32768, 8192]", result.stderr)

    def test_a_plan_refuses_what_it_cannot_know(self):
        for arguments, code, wanted in (
            (["--card", "H1000"], 2, "did you mean H100"),
            (["--card", "RTX9999"], 2, "known: A100-40GB"),
            (["--ranks", "0"], 2, "--ranks"),
            (["model.checkpoint=nowhere", "model.init=pretrained"], 2, "nowhere"),
            (["data.train=missing.jsonl"], 3, "missing.jsonl"),
            (["train.epocs=3"], 2, "epochs"),
        ):
            with self.subTest(arguments=arguments):
                result = self.plan(*arguments)
                self.assertEqual(result.returncode, code, result.stderr)
                self.assertIn(wanted, result.stderr)
                self.assertEqual(result.stdout, "")

    def test_score_equals_rouge_score(self):
        for flags, expected in (([], STEMMED), (["--no-stemmer"], UNSTEMMED)):
            result = run("score", self.predictions, self.references, *flags)
            self.assertEqual(result.returncode, 0, result.stderr)
            scores = json.loads(result.stdout)
            self.assertEqual({name: scores[name] for name in expected}, expected)
            self.assertEqual(scores["pairs"], 3)
            self.assertLessEqual(scores["intervals"]["rouge1"]["low"], scores["rouge1"])
            self.assertEqual(scores["stemmer"] == "none", bool(flags))

    def test_score_reads_fields_of_json_lines_and_writes_each_pair(self):
        predictions, references = self.root / "p.jsonl", self.root / "r.jsonl"
        predictions.write_text("".join(json.dumps({"out": text}) + "\n" for text in PREDICTIONS))
        references.write_text("".join(json.dumps({"summary": text}) + "\n" for text in REFERENCES))
        each = self.root / "each.jsonl"
        result = run("score", predictions, references, "--prediction-field", "out", "--resamples", "0", "--per-example", each)
        self.assertEqual(result.returncode, 0, result.stderr)
        scores = json.loads(result.stdout)
        self.assertEqual({name: scores[name] for name in STEMMED}, STEMMED)
        self.assertNotIn("intervals", scores)
        rows = [json.loads(line) for line in each.read_text().splitlines()]
        self.assertAlmostEqual(sum(row["rouge1"]["f"] for row in rows) / 3, STEMMED["rouge1"], places=3)

    def test_a_named_field_makes_json_lines_of_any_file(self):
        self.predictions.write_text("".join(json.dumps({"out": text}) + "\n" for text in PREDICTIONS))
        result = run("score", self.predictions, self.references, "--prediction-field", "out")
        self.assertEqual(result.returncode, 0, result.stderr)
        scores = json.loads(result.stdout)
        self.assertEqual({name: scores[name] for name in STEMMED}, STEMMED)
        result = run("score", self.predictions, self.references, "--reference-field", "summary")
        self.assertEqual(result.returncode, 3)
        self.assertIn(f"{self.references}:1", result.stderr)

    def test_a_runs_predictions_hold_their_references(self):
        rows = [{"summary": text, "reference": other} for text, other in zip(PREDICTIONS, REFERENCES, strict=True)]
        both = self.root / "predictions.jsonl"
        both.write_text("".join(json.dumps(row) + "\n" for row in rows))
        result = run("score", both, both)
        self.assertEqual(result.returncode, 0, result.stderr)
        scores = json.loads(result.stdout)
        self.assertEqual({name: scores[name] for name in STEMMED}, STEMMED)

    def test_score_refuses_unequal_counts_with_both(self):
        self.references.write_text("one\n")
        result = run("score", self.predictions, self.references)
        self.assertEqual(result.returncode, 3)
        self.assertRegex(result.stderr, r"has 3 texts.*has 1")

    def test_a_tokenizer_is_trained_and_gives_texts_back(self):
        folder = self.root / "tokenizer"
        corpus = REPOSITORY / "tests/fixtures/smoke/train.jsonl"
        result = run("tokenizer", "train", "--output", folder, "--vocab-size", "400", "--field", "document", corpus)
        self.assertEqual(result.returncode, 0, result.stderr)
        texts = ["Hello, world!", "naïve café — 数", ""]
        encoded = run("tokenizer", "encode", folder, text="".join(text + "\n" for text in texts))
        ids = [json.loads(line) for line in encoded.stdout.splitlines()]
        self.assertEqual(len(ids), 3)
        self.assertEqual((ids[2][0], ids[2][-1]), (0, 2))
        decoded = run("tokenizer", "decode", folder, "--json", text=encoded.stdout)
        self.assertEqual([json.loads(line) for line in decoded.stdout.splitlines()], texts)
        again = run("tokenizer", "train", "--output", folder, corpus)
        self.assertEqual(again.returncode, 2)
        for ids in ("[1, x]", "[0, 400]", "[-1]", "[4294967296]", "[0.5]", "{}"):
            result = run("tokenizer", "decode", folder, text=f"[0, 2]\n{ids}\n")
            self.assertEqual(result.returncode, 3, ids)
            self.assertIn("stdin:2", result.stderr)

    def test_a_bart_becomes_an_led_that_summarizes(self):
        led, text = self.root / "led", self.root / "text.txt"
        result = run("convert", "configs/models/txtsum-mini", led, "--window", 64, "--max-source-tokens", 1024)
        self.assertEqual(result.returncode, 0, result.stderr)
        config = json.loads((led / "config.json").read_text())
        self.assertEqual((config["model_type"], config["attention_window"]), ("led", [64] * config["encoder_layers"]))
        self.assertEqual(config["max_encoder_position_embeddings"], 1024)
        text.write_text("A program that prints a friendly greeting, and some more of the same. " * 40 + "\n")
        result = run("summarize", "--model", led, "--input", text, "--output", self.root / "out.jsonl",
                     "generation.max_new_tokens=12")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertTrue(json.loads((self.root / "out.jsonl").read_text())["summary"])
        config["task_specific_params"] = {"summarization": {"num_beams": 4, "max_length": 142, "prefix": "summarize: "},
                                          "translation_en_to_fr": {"num_beams": 5}}
        (led / "config.json").write_text(json.dumps(config))
        result = run("summarize", "--model", led, "--input", text, "--output", self.root / "out2.jsonl",
                     "generation.max_new_tokens=12")
        self.assertIn("not applied, as in transformers; to have those of summarization: generation.beams=4 "
                      "generation.max_new_tokens=141 data.source_prefix='summarize: '", result.stderr)
        again = run("convert", "configs/models/txtsum-mini", led)
        self.assertEqual(again.returncode, 2)
        self.assertIn("is there already", again.stderr)
        odd = run("convert", "configs/models/txtsum-mini", self.root / "odd", "--window", 63)
        self.assertEqual(odd.returncode, 2)
        self.assertIn("even", odd.stderr)
        self.assertFalse((self.root / "odd").exists())

    def test_a_signal_is_heard_while_texts_are_awaited(self):
        process = subprocess.Popen([PROGRAM, "summarize", "--model", "configs/models/txtsum-mini"], cwd=REPOSITORY,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        status = pathlib.Path(f"/proc/{process.pid}/status")
        until = time.monotonic() + 60
        while not int(re.search(r"SigCgt:\s*(\w+)", status.read_text())[1], 16) >> (signal.SIGINT - 1) & 1:
            self.assertLess(time.monotonic(), until)
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(30), 128 + signal.SIGINT)
        self.assertIn("stopped while texts were read", process.stderr.read())

    def test_a_command_with_nothing_to_save_ends_at_a_signal(self):
        for kind in (signal.SIGTERM, signal.SIGINT):
            process = subprocess.Popen([PROGRAM, "tokenizer", "encode", "configs/models/txtsum-mini"], cwd=REPOSITORY,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self.addCleanup(process.communicate)
            self.addCleanup(process.kill)
            process.stdin.write("a line\n")
            process.stdin.flush()
            self.assertTrue(process.stdout.readline().startswith("["))
            process.send_signal(kind)
            self.assertEqual(process.wait(30), 128 + kind)

    def test_rows_of_any_data_file_are_summarized(self):
        texts = ["A program that prints, \"in quotes\", a greeting.", "Two\nlines of a text about programs."]
        rows = [{"id": f"r{i}", "body": text} for i, text in enumerate(texts)]
        (self.root / "a.json").write_text(json.dumps(rows))
        quoted = "".join('{id},"{body}"\n'.format(id=row["id"], body=row["body"].replace('"', '""')) for row in rows)
        (self.root / "a.csv").write_text("id,body\n" + quoted)
        (self.root / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        found = []
        for name in ("a.json", "a.csv", "a.jsonl"):
            out = self.root / (name + ".out.jsonl")
            result = run("summarize", "--model", "configs/models/txtsum-mini", "--input", self.root / name, "--field", "body",
                         "--output", out, "generation.max_new_tokens=8")
            self.assertEqual(result.returncode, 0, result.stderr)
            found.append(out.read_text())
        self.assertEqual(found[0], found[1])
        self.assertEqual(found[0], found[2])
        self.assertEqual([json.loads(line)["id"] for line in found[0].splitlines()], ["r0", "r1"])

    def test_arrow_and_parquet_are_summarized_as_json_lines_are(self):
        if not ARROW_MODULE.exists():
            self.skipTest("built without Arrow")
        fixtures = REPOSITORY / "tests/fixtures/data/arrow"
        expected = json.loads((fixtures / "expected.json").read_text())
        for name in ("saved", "saved_splits/test", "files/zstd.parquet", "files/dictionary_stream.arrow", "files/lz4.feather"):
            lines = "".join(json.dumps({"id": row[0], "document": row[1]}) + "\n" for row in expected[name])
            (self.root / "in.jsonl").write_text(lines)
            found = []
            for source in (self.root / "in.jsonl", fixtures / name):
                out = self.root / "out.jsonl"
                result = run("summarize", "--model", "configs/models/txtsum-mini", "--input", source, "--output", out,
                             "generation.max_new_tokens=2", "generation.beams=1")
                self.assertEqual(result.returncode, 0, result.stderr)
                found.append(out.read_text().splitlines())
            self.assertEqual(found[0], found[1], name)
            self.assertEqual(len(found[1]), len(expected[name]))
        result = run("summarize", "--model", "configs/models/txtsum-mini", "--input", fixtures / "saved_splits")
        self.assertEqual(result.returncode, 3)
        self.assertIn("holds the splits 'train', 'validation', 'test'; name the folder of one", result.stderr)

    def test_a_module_that_cannot_be_opened_is_a_data_error_with_the_way_out(self):
        folder = self.root / "carried"
        folder.mkdir()
        shutil.copy2(PROGRAM, folder)
        (folder / ARROW_MODULE.name).write_text("no library")
        parquet = "tests/fixtures/data/arrow/files/none.parquet"
        arguments = ["summarize", "--model", "configs/models/txtsum-mini", "--input", parquet]
        result = subprocess.run([folder / PROGRAM.name, *arguments], cwd=REPOSITORY, capture_output=True, text=True)
        self.assertEqual(result.returncode, 3)
        self.assertIn(parquet + ": reading it needs Arrow, and its module cannot be opened (", result.stderr)
        self.assertIn("run scripts/setup.sh", result.stderr)

    def test_check_reads_each_split_of_a_saved_data_set(self):
        if not ARROW_MODULE.exists():
            self.skipTest("built without Arrow")
        fixtures = "tests/fixtures/data/arrow/"
        keys = [f"data.{split}={fixtures}saved_splits" for split in ("train", "validation", "test")]
        result = run("check", "configs/smoke/tiny_bart.yaml", *keys)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertEqual(result.stdout.count("document -> summary"), 3)
        self.assertIn("saved_splits (validation)", result.stdout)
        result = run("check", "configs/smoke/tiny_bart.yaml", *keys[:2], f"data.test={fixtures}hub")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("no split 'test'; found 'train', 'validation'", result.stderr)

    def expect_transformers_summaries(self, family, prefix, *settings):
        """Of a folder as the Hub has them (scripts/reference/make_hub_fixtures.py). Returns the log."""
        folder = REPOSITORY / "tests/fixtures/hub" / family
        expected = json.loads((folder / "expected.json").read_text())
        lines = "".join(json.dumps({"document": item["text"]}) + "\n" for item in expected)
        (self.root / "in.jsonl").write_text(lines)
        result = run("summarize", "--model", folder, "--input", self.root / "in.jsonl", "--output", self.root / "out.jsonl",
                     "data.max_source_tokens=64", "data.source_prefix=" + prefix, *settings)
        self.assertEqual(result.returncode, 0, result.stderr)
        found = [json.loads(line)["summary"] for line in (self.root / "out.jsonl").read_text().splitlines()]
        self.assertEqual(found, [item["summary"] for item in expected])
        one_line = [item for item in expected if "\n" not in item["text"]]
        ids = run("tokenizer", "encode", folder, text="".join(prefix + item["text"] + "\n" for item in one_line))
        self.assertEqual([json.loads(line) for line in ids.stdout.splitlines()], [item["ids"] for item in one_line])
        return result.stderr

    def test_a_pegasus_folder_as_the_hub_has_it_gives_transformers_ids_and_summaries(self):
        log = self.expect_transformers_summaries("pegasus", "")
        self.assertIn("to have those of summarization_xsum: generation.length_penalty=0.8", log)

    def test_a_t5_folder_as_the_hub_has_it_gives_transformers_ids_and_summaries(self):
        log = self.expect_transformers_summaries("t5", "summarize: ", "generation.beams=3", "generation.max_new_tokens=24",
                                                 "generation.no_repeat_ngram=2")
        self.assertIn("data.source_prefix='summarize: '", log)

    def test_shipped_configs_are_listed_shown_and_copied(self):
        names = [line.split()[0] for line in run("config", "list").stdout.splitlines()]
        self.assertIn("quickstart", names)
        self.assertNotIn("base/bart", names)
        for name in names:
            self.assertEqual(run("config", "show", name).stdout, (REPOSITORY / f"configs/{name}.yaml").read_text())
        self.assertEqual(run("config", "copy", "bart_base_samsum", self.root).returncode, 0)
        self.assertTrue((self.root / "bart_base_samsum.yaml").is_file())
        self.assertTrue((self.root / "base/samsum.yaml").is_file())
        result = run("config", "show", "bart_base_samsun")
        self.assertEqual(result.returncode, 2)
        self.assertIn("bart_base_samsum", result.stderr)

    def test_a_resolved_config_is_shown_with_overrides(self):
        result = run("config", "show", "configs/quickstart.yaml", "train.max_minutes=2")
        self.assertEqual(result.returncode, 0, result.stderr)
        path = self.root / "resolved.yaml"
        path.write_text(result.stdout)
        self.assertEqual(run("config", "show", path).stdout, result.stdout)
        self.assertRegex(result.stdout, r"max_minutes: 2\b")

    def test_the_generated_pages_are_up_to_date(self):
        result = run("config", "docs", "--output", "docs", "--check")
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_info_says_what_is_there(self):
        json_form = json.loads(run("info", "--json").stdout)
        self.assertIn("bart", json_form["model_families"])
        self.assertEqual(json_form["cpu_count"], os.cpu_count())
        table = run("info").stdout
        self.assertIn(json_form["libtorch"], table)
        self.assertIn(json_form["driver"]["state"], table)
        self.assertEqual(json_form["built_for_gpus"], "needed" in json_form["driver"])
        self.assertEqual(len(json_form["gpus"]), len(json_form["devices"]) - 1)

    def test_results_to_a_full_disk_are_an_error(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        with open("/dev/full", "w") as full:
            result = subprocess.run([PROGRAM, "info"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(result.returncode, 3)
        self.assertIn("stdout", result.stderr)


if __name__ == "__main__":
    unittest.main()
