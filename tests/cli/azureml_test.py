"""Checks every YAML file of azureml/: it loads with the azure-ai-ml package offline, its bindings are declared and used,
and its command line is one that the program takes.

usage: azureml_test.py REPOSITORY [PROGRAM]
  PROGRAM  the txtsum program; where it does not exist, the tests that need it are skipped
"""

import json
import logging
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest
import warnings

import yaml
from azure.ai.ml import load_data, load_environment, load_job

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

REPOSITORY = pathlib.Path(sys.argv.pop(1)).resolve()
PROGRAM = pathlib.Path(sys.argv.pop(1)) if len(sys.argv) > 1 else pathlib.Path("no program")
AZUREML = REPOSITORY / "azureml"
CONFIG_REFERENCE = REPOSITORY / "docs/config_reference.md"
IMAGE_CONFIGS = "/opt/txtsum/configs/"  # where the image has configs/ (azureml/environments/Dockerfile)
LOADERS = {"commandJob": load_job, "environment": load_environment, "data": load_data}


def yaml_files():
    return sorted(path for path in AZUREML.rglob("*") if path.suffix in (".yml", ".yaml"))


def kind_of(path):
    return re.search(r"/(\w+)\.schema\.json$", yaml.safe_load(path.read_text())["$schema"]).group(1)


def job_files():
    return [path for path in yaml_files() if kind_of(path) == "commandJob"]


class Command:
    """The program's call in a job, with the values that Azure would put in."""

    def __init__(self, path, values):
        self.job = yaml.safe_load(path.read_text())
        text = self.job["command"]
        for binding, value in values.items():
            text = text.replace("${{" + binding + "}}", str(value))
        self.words = shlex.split(text)
        self.config = REPOSITORY / "configs" / self.words[2].removeprefix(IMAGE_CONFIGS)
        self.overrides = self.words[3:]


def values_of(job, folder):
    """Values of all bindings: literals as they are, folders as `folder`/<name>."""
    values = {}
    for name, given in job.get("inputs", {}).items():
        values["inputs." + name] = folder / name if isinstance(given, dict) else given
    for name in job.get("outputs", {}):
        values["outputs." + name] = folder / name
    return values


class AzureMl(unittest.TestCase):
    def test_every_file_loads(self):
        self.assertGreaterEqual(len(yaml_files()), 4)
        for path in yaml_files():
            with self.subTest(path=path.name):
                self.assertIn(kind_of(path), LOADERS)
                LOADERS[kind_of(path)](path)

    def test_the_sdk_still_finds_faults(self):
        good = yaml.safe_load(job_files()[0].read_text())
        with tempfile.TemporaryDirectory() as folder:
            for fault in ({"comand": "x"}, {"distribution": {"type": "pytorch", "process_count": 4}},
                          {"inputs": {"data": {"type": "uri_folder", "path": "azureml:a:1", "mode": "rw_mount"}}}):
                path = pathlib.Path(folder) / "job.yml"
                path.write_text(yaml.safe_dump(good | fault))
                with self.subTest(fault=fault), self.assertRaises(Exception):
                    load_job(path)

    def test_jobs_can_be_submitted_as_they_are(self):
        for path in job_files():
            with self.subTest(path=path.name):
                job = load_job(path)._to_job()
                job._validate()
                rest = job._to_rest_object()
                self.assertIn("txtsum train", str(rest.properties.command))

    def test_bindings_are_declared_and_used(self):
        for path in job_files():
            job = yaml.safe_load(path.read_text())
            with self.subTest(path=path.name):
                used = set(re.findall(r"\$\{\{([\w.]+)\}\}", job["command"]))
                self.assertEqual(used, set(values_of(job, pathlib.Path("/x"))))
                self.assertNotRegex(job["command"], r"(?<![{$])\{(?!\{)")
                for name in job.get("inputs", {}):
                    self.assertRegex(name, r"^[A-Za-z_]\w*$")
                for name, value in job.get("environment_variables", {}).items():
                    self.assertIsInstance(value, str, name)

    def test_several_nodes_have_ranks(self):
        for path in job_files():
            job = yaml.safe_load(path.read_text())
            with self.subTest(path=path.name):
                if "distribution" not in job:
                    self.assertEqual(job["resources"]["instance_count"], 1)
                    continue
                self.assertIn(job["distribution"]["type"], ("pytorch", "mpi"))
                self.assertGreaterEqual(job["distribution"]["process_count_per_instance"], 1)
                self.assertNotIn(" launch ", job["command"])

    def test_jobs_use_what_is_declared_here(self):
        environments = [yaml.safe_load(p.read_text()) for p in yaml_files() if kind_of(p) == "environment"]
        data = {yaml.safe_load(p.read_text())["name"] for p in yaml_files() if kind_of(p) == "data"}
        names = {environment["name"] for environment in environments}
        for environment in environments:
            self.assertNotIn("build", environment, "Azure's build context is too small for this project")
        for path in job_files():
            job = yaml.safe_load(path.read_text())
            self.assertIn(re.fullmatch(r"azureml:([\w-]+)@latest", job["environment"]).group(1), names)
            for given in job["inputs"].values():
                asset = re.fullmatch(r"azureml:([\w-]+)@latest", given["path"]) if isinstance(given, dict) else None
                if asset:
                    self.assertIn(asset.group(1), data)

    def test_the_command_line_parses_and_its_config_exists(self):
        for path in job_files():
            job = yaml.safe_load(path.read_text())
            command = Command(path, values_of(job, pathlib.Path("/mnt")))
            with self.subTest(path=path.name):
                self.assertEqual(command.words[:2], ["txtsum", "train"])
                self.assertTrue(command.words[2].startswith(IMAGE_CONFIGS), command.words[2])
                self.assertTrue(command.config.is_file(), f"{command.config} does not exist")
                for override in command.overrides:
                    self.assertRegex(override, r"^[a-z_0-9]+(\.[a-z_0-9]+)+=.+$")

    def test_the_keys_are_documented(self):
        if not CONFIG_REFERENCE.exists():
            self.skipTest(f"there is no {CONFIG_REFERENCE}")
        reference = CONFIG_REFERENCE.read_text()
        for path in job_files():
            for override in Command(path, values_of(yaml.safe_load(path.read_text()), pathlib.Path("/mnt"))).overrides:
                self.assertIn("`" + override.split("=")[0] + "`", reference)

    def test_the_program_takes_the_command_line(self):
        if not PROGRAM.exists():
            self.skipTest(f"there is no program {PROGRAM}")
        for path in job_files():
            with self.subTest(path=path.name), tempfile.TemporaryDirectory() as name:
                folder = pathlib.Path(name)
                shutil.copytree(REPOSITORY / "configs/models/txtsum-mini", folder / "checkpoint")
                (folder / "data").mkdir()
                pair = json.dumps({"id": "1", "dialogue": "A: Lunch? B: At noon.", "summary": "A and B meet at noon."})
                for split in ("train", "validation", "test"):
                    (folder / "data" / f"{split}.jsonl").write_text(pair + "\n")
                command = Command(path, values_of(yaml.safe_load(path.read_text()), folder))
                result = subprocess.run([PROGRAM, "check", command.config, *command.overrides], text=True,
                                        capture_output=True, timeout=120)
                self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
                result = subprocess.run([PROGRAM, "check", command.config, *command.overrides, "train.lerning_rate=1"],
                                        text=True, capture_output=True, timeout=120)
                self.assertEqual(result.returncode, 2, "a wrong key must be refused")


if __name__ == "__main__":
    unittest.main(warnings="ignore")
