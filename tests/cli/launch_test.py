"""txtsum launch: ranks that start, say what they say, and end together.

usage: launch_test.py REPOSITORY PROGRAM
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

REPOSITORY = pathlib.Path(sys.argv.pop(1)).resolve()
PROGRAM = pathlib.Path(sys.argv.pop(1)).resolve()
PREFIXES = ("RANK", "WORLD_SIZE", "LOCAL_", "MASTER_", "OMPI_", "PMI_", "MPI_", "OMP_NUM_THREADS")
SECONDS = 60
# More than reading the model and connecting takes a rank.
CPU_SECONDS_OF_THE_START = 1.5


def clean_environment():
    return {key: value for key, value in os.environ.items() if not key.startswith(PREFIXES)}


def run(*arguments, env=None, text=""):
    return subprocess.run([PROGRAM, "launch", *map(str, arguments)], cwd=REPOSITORY, input=text, capture_output=True,
                          text=True, timeout=SECONDS, env={**clean_environment(), **(env or {})})


def stat_of(process):
    """What /proc says behind the program's name: state, ...; None where the process has gone."""
    try:
        return pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None


def is_alive(process):
    found = stat_of(process)
    return found is not None and found[0] != "Z"


def cpu_seconds(process):
    found = stat_of(process)
    return 0 if found is None else (int(found[11]) + int(found[12])) / os.sysconf("SC_CLK_TCK")


def variables(process):
    entries = pathlib.Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    return dict(entry.decode().split("=", 1) for entry in entries if b"=" in entry)


class Launched:
    """A launcher whose ranks summarize for a minute or more."""

    def __init__(self, folder, processes, grace_seconds):
        text = folder / "texts.txt"
        text.write_text("The system shall print a friendly greeting to all who ask for one, and end. \n" * 20_000)
        self.launcher = subprocess.Popen(
            [PROGRAM, "launch", "--processes", str(processes), "--grace-seconds", str(grace_seconds), "--", "summarize",
             "--model", "configs/models/txtsum-mini", "--input", text],
            cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=clean_environment())
        self.lines = []
        self.reader = threading.Thread(target=lambda: self.lines.extend(iter(self.launcher.stderr.readline, "")))
        self.reader.start()
        self.ranks = self.wait_for_ranks(processes)

    def wait_for_ranks(self, processes):
        """Returns the ranks' processes by rank, once every one of them has begun its work."""
        deadline = time.monotonic() + SECONDS
        children = pathlib.Path(f"/proc/{self.launcher.pid}/task/{self.launcher.pid}/children")
        while time.monotonic() < deadline and self.launcher.poll() is None:
            found = children.read_text().split()
            if len(found) == processes and all(cpu_seconds(child) > CPU_SECONDS_OF_THE_START for child in found):
                by_rank = {int(variables(child)["RANK"]): int(child) for child in found}
                return [by_rank[rank] for rank in range(processes)]
            time.sleep(0.02)
        self.launcher.kill()
        raise AssertionError("the ranks have not begun: " + "".join(self.lines))

    def end(self, seconds):
        """Returns the exit code and what went to stderr."""
        code = self.launcher.wait(seconds)
        self.reader.join(seconds)
        return code, "".join(self.lines)

    def clean(self):
        for process in [self.launcher.pid, *self.ranks]:
            if is_alive(process):
                os.kill(process, signal.SIGKILL)
        self.launcher.wait(SECONDS)
        self.reader.join(SECONDS)
        self.launcher.stderr.close()


class LaunchTest(unittest.TestCase):
    def start(self, processes, grace_seconds):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="txtsum-launch-"))
        self.addCleanup(shutil.rmtree, folder)
        launched = Launched(folder, processes, grace_seconds)
        self.addCleanup(launched.clean)
        return launched

    def test_rank_0_has_the_output_and_lines_of_others_say_whose_they_are(self):
        result = run("--processes", 3, "info")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout.count("libtorch"), 1)
        for rank in (1, 2):
            lines = [line for line in result.stderr.splitlines() if line.startswith(f"rank {rank}: ")]
            self.assertEqual(sum("libtorch" in line for line in lines), 1)
        self.assertNotIn("rank 0: ", result.stderr)

    def test_rank_0_has_the_input(self):
        result = run("-n", 2, "tokenizer", "encode", "configs/models/txtsum-mini", text="a greeting\n")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertNotEqual(result.stdout, "")

    def test_words_after_the_command_are_the_ranks(self):
        for separator in ([], ["--"]):
            result = run("--processes", 2, *separator, "score", "--prediction-field", "x", "nothing.jsonl", "gone.jsonl")
            self.assertEqual(result.returncode, 2, result.stderr)
            self.assertIn("nothing.jsonl", result.stderr)
            self.assertIn("rank 1: ", result.stderr)
            self.assertIn("ended with exit code 2", result.stderr)

    def test_nothing_to_start_and_nonsense_are_refused(self):
        for arguments in (["--processes", 2], ["info"], ["--processes", 0, "info"], ["--processes", 2, "--"],
                          ["--processes", 2, "launch", "--processes", 2, "info"]):
            with self.subTest(arguments=arguments):
                result = run(*arguments)
                self.assertEqual(result.returncode, 2, result.stderr)
                self.assertNotIn("rank 1", result.stderr)

    def test_each_rank_is_told_which_it_is(self):
        launched = self.start(3, 1)
        ports = set()
        for rank, process in enumerate(launched.ranks):
            found = variables(process)
            self.assertEqual((found["RANK"], found["LOCAL_RANK"]), (str(rank), str(rank)))
            self.assertEqual((found["WORLD_SIZE"], found["LOCAL_WORLD_SIZE"]), ("3", "3"))
            self.assertEqual(found["MASTER_ADDR"], "127.0.0.1")
            self.assertEqual(int(found["OMP_NUM_THREADS"]), max(1, len(os.sched_getaffinity(0)) // 3))
            ports.add(found["MASTER_PORT"])
        self.assertEqual(len(ports), 1)

    def test_a_killed_rank_ends_the_others(self):
        launched = self.start(3, 1)
        os.kill(launched.ranks[1], signal.SIGKILL)
        code, output = launched.end(20)
        self.assertEqual(code, 128 + signal.SIGKILL)
        self.assertIn(f"rank 1 (process {launched.ranks[1]}) was killed by signal 9 (Killed); the others have 1 s", output)
        self.assertIn("rank 1 has closed its connection", output)
        self.assertIn("ended with exit code 71", output)
        self.assertFalse(any(is_alive(process) for process in launched.ranks))

    def test_a_rank_that_does_not_end_when_asked_is_killed(self):
        launched = self.start(2, 1)
        os.kill(launched.ranks[0], signal.SIGSTOP)
        os.kill(launched.ranks[1], signal.SIGKILL)
        code, output = launched.end(20)
        self.assertEqual(code, 128 + signal.SIGKILL)
        for name in ("SIGTERM", "SIGKILL"):
            self.assertIn(f"rank 0 (process {launched.ranks[0]}) has not ended: {name}", output)
        self.assertFalse(is_alive(launched.ranks[0]))

    def test_a_signal_to_the_launcher_stops_all(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            launched = self.start(2, 60)
            launched.launcher.send_signal(number)
            code, output = launched.end(20)
            self.assertEqual(code, 128 + number, output)
            self.assertFalse(any(is_alive(process) for process in launched.ranks))

    def test_a_launcher_that_is_killed_leaves_nobody_behind(self):
        launched = self.start(2, 60)
        launched.launcher.kill()
        deadline = time.monotonic() + 10
        while any(is_alive(process) for process in launched.ranks) and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertFalse(any(is_alive(process) for process in launched.ranks))


if __name__ == "__main__":
    unittest.main()
