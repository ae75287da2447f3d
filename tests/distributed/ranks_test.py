"""Ranks as processes, over MPI and over sockets: the bits of the threads, and an end for all where one ends.

usage: ranks_test.py RANK_PROGRAM
"""

import pathlib
import shutil
import signal
import subprocess
import sys
import time
import unittest

from rank_processes import RANK_ERROR, Processes, clean_environment

PROGRAM = pathlib.Path(sys.argv.pop(1)).resolve()
DEADLINE = 3
PLACE = "update 5, backward, collective 9 (reduce_scatter of 100000 elements)"
# What mpirun would kill for, so that the ranks are left to themselves; and nothing that a container forbids.
ALONE = ["--mca", "orte_enable_recovery", "1", "--mca", "orte_abort_on_non_zero_status", "0"]


def run_mpi(world, *arguments, options=()):
    """Returns (exit code, stdout and stderr, seconds)."""
    began = time.monotonic()
    result = subprocess.run(
        ["mpirun", "--allow-run-as-root", "--oversubscribe", *options, "-n", str(world), str(PROGRAM), *map(str, arguments)],
        capture_output=True, text=True, timeout=60, env=clean_environment())
    return result.returncode, result.stdout + result.stderr, time.monotonic() - began


class SocketsTest(unittest.TestCase):
    def start(self, world, *arguments):
        processes = Processes(PROGRAM, world, *arguments)
        self.addCleanup(processes.kill)
        return processes

    def test_every_collective_gives_the_bits_of_the_threads(self):
        for world in (2, 3, 4):
            processes = self.start(world, "same", 30)
            for rank in range(world):
                code, output = processes.end(rank, 60)
                self.assertEqual(code, 0, output)
                self.assertIn(f"rank {rank} of {world}: the same", output)

    def test_a_killed_rank_ends_the_others_at_once(self):
        processes = self.start(3, "killed", 60, 1)
        for rank in (0, 2):
            code, output = processes.end(rank, 15)
            self.assertEqual(code, RANK_ERROR, output)
            self.assertIn(f"rank {rank} of 3: {PLACE}: rank ", output)
            self.assertIn("rank 1 has closed its connection", output)
        self.assertEqual(processes.end(1, 15)[0], -signal.SIGKILL)

    def test_a_rank_that_stands_still_ends_the_others_at_the_deadline_and_itself_when_it_goes_on(self):
        began = time.monotonic()
        processes = self.start(3, "stopped", DEADLINE, 2)
        for rank in (0, 1):
            code, output = processes.end(rank, DEADLINE + 10)
            self.assertEqual(code, RANK_ERROR, output)
            self.assertIn(f"rank {rank} of 3: {PLACE}: ", output)
            self.assertIn(f"not over within {DEADLINE} s; rank 2 has not come", output)
        self.assertLess(time.monotonic() - began, DEADLINE + 5)
        processes.ranks[2].send_signal(signal.SIGCONT)
        code, output = processes.end(2, 10)
        self.assertEqual(code, RANK_ERROR, output)
        self.assertIn(f"rank 2 of 3: {PLACE}: rank ", output)

    def test_a_rank_that_fails_by_itself_tells_the_others(self):
        processes = self.start(3, "failed", 60, 0)
        self.assertEqual(processes.end(0, 15)[0], 3)
        for rank in (1, 2):
            code, output = processes.end(rank, 15)
            self.assertEqual(code, RANK_ERROR, output)
            self.assertIn("rank 0 gave up at update 5, backward", output)


@unittest.skipUnless(shutil.which("mpirun"), "mpirun is not installed (scripts/setup.sh --tests)")
class MpiTest(unittest.TestCase):
    def test_every_collective_gives_the_bits_of_the_threads(self):
        for world in (1, 2, 3, 4):
            code, output, _ = run_mpi(world, "same", 30)
            self.assertEqual(code, 0, output)
            for rank in range(world):
                self.assertIn(f"rank {rank} of {world}: the same", output)

    def test_a_killed_rank_ends_the_run(self):
        # mpirun sees it first and asks the others to stop; they say what they waited for.
        code, output, seconds = run_mpi(3, "killed", DEADLINE, 1)
        self.assertNotEqual(code, 0)
        self.assertLess(seconds, DEADLINE + 8)
        self.assertIn("signal 9", output)
        for rank in (0, 2):
            self.assertIn(f"rank {rank} of 3: {PLACE}: ", output)

    def test_a_killed_rank_ends_the_others_within_the_deadline(self):
        _, output, seconds = run_mpi(3, "killed", DEADLINE, 1, options=ALONE)
        self.assertLess(seconds, DEADLINE + 8)
        for rank in (0, 2):
            self.assertIn(f"rank {rank} of 3: {PLACE}: ", output)
        self.assertIn(f"not over within {DEADLINE} s; rank 1 has not come", output)

    def test_a_rank_that_stands_still_ends_the_run_within_the_deadline(self):
        code, output, seconds = run_mpi(3, "stopped", DEADLINE, 2)
        self.assertEqual(code, RANK_ERROR, output)
        self.assertLess(seconds, DEADLINE + 8)
        for rank in (0, 1):
            self.assertIn(f"rank {rank} of 3: {PLACE}: ", output)
        self.assertIn(f"not over within {DEADLINE} s; rank 2 has not come", output)

    def test_a_rank_that_fails_by_itself_tells_the_others(self):
        code, output, seconds = run_mpi(3, "failed", 60, 0)
        self.assertEqual(code, 3, "the one that knows why leaves first")
        self.assertLess(seconds, 20)
        self.assertIn("no space left on device", output)
        for rank in (1, 2):
            # Where its messages have all come, this rank may still be at the update before.
            self.assertRegex(output, f"rank {rank} of 3: update [45], backward, .*: rank 0 gave up at update 5, backward")


if __name__ == "__main__":
    unittest.main()
