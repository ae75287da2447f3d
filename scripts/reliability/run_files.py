"""What a run leaves, in a form that two runs can be compared by: bytes, and numbers without times.

Used by resume_matrix.py, kill_loop.py and stop_latency.py beside it. Python's standard library alone.
"""

import hashlib
import json
import os
import pathlib
import subprocess

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SMOKE = "configs/smoke/tiny_bart.yaml"
# Facts of the attempt, not of the training.
TIMES = {"seconds", "training_seconds", "utc"}
# Lines of a resolved config that may differ between runs that are compared.
FREE_KEYS = {"output", "resume", "overwrite", "name", "every_updates", "every_epochs", "keep_last", "prefetch_batches"}


def environment():
    """The caller's, without what would send results elsewhere or make ranks; one thread, so that many fit a machine."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW", "AZUREML"))}
    kept.pop("WORLD_SIZE", None)
    kept["OMP_NUM_THREADS"] = "1"
    return kept


def merged(arguments):
    """Of a key=value that comes twice the last counts; the program refuses both."""
    found = {}
    for argument in map(str, arguments):
        found[argument.split("=")[0] if "=" in argument else argument] = argument
    return list(found.values())


def start(program, *arguments):
    return subprocess.Popen([program, *merged(arguments)], cwd=REPOSITORY, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True, env=environment())


def run(program, *arguments):
    """Runs to the end; raises with the log where the exit code is not 0. Returns the log."""
    process = start(program, *arguments)
    log = process.communicate()[1]
    if process.returncode != 0:
        raise RuntimeError(f"exit code {process.returncode}: {' '.join(map(str, arguments))}\n{log}")
    return log


def version(program):
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()


def digest(data):
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if key not in TIMES}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def canonical(path):
    """A file's content as far as it has to repeat."""
    data = path.read_bytes()
    if path.name == "training_state.json":
        return json.dumps(without_times(json.loads(data)))
    if path.name == "txtsum_config.yaml":
        lines = data.decode().splitlines()
        return "\n".join(line for line in lines if line.split(":")[0].strip() not in FREE_KEYS)
    return digest(data)


def folder_content(folder):
    """File name -> content of a step's or model's folder, without the checksums, which are of files with times, and
    without the card, which says what the run has cost."""
    return {str(path.relative_to(folder)): canonical(path) for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name not in ("checksums.json", "DONE", "README.md")}


def is_finished(step):
    """Whether a DONE says that the step is whole."""
    try:
        return (step / "DONE").stat().st_size > 0
    except FileNotFoundError:
        return False


def finished_steps(run_folder):
    """Update -> folder of the checkpoints with a DONE."""
    found = {}
    for step in (run_folder / "checkpoints").glob("step-*"):
        if is_finished(step):
            found[int(step.name.removeprefix("step-"))] = step
    return dict(sorted(found.items()))


def log_lines(run_folder, events=("update", "validation")):
    """Lines of steps.jsonl without times. A last line that has no end is left out."""
    path = run_folder / "steps.jsonl"
    if not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    return [without_times(line) for line in lines if line["event"] in events]


def differences(wanted, found, what):
    """Texts of what differs between two dictionaries of contents."""
    texts = []
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found:
            texts.append(f"{what}/{name} is missing")
        elif name not in wanted:
            texts.append(f"{what}/{name} should not be there")
        elif wanted[name] != found[name]:
            texts.append(f"{what}/{name} differs")
    return texts


def first_difference(wanted, found, what):
    """Where two lists of log lines part; empty where they do not."""
    for i, (one, other) in enumerate(zip(wanted, found)):
        if one != other:
            return [f"{what}, line {i + 1}: wanted {json.dumps(one)}, found {json.dumps(other)}"]
    if len(wanted) != len(found):
        return [f"{what}: wanted {len(wanted)} lines, found {len(found)}"]
    return []
