"""Ranks on GPUs: sums of NCCL, graphs, and an end for all where one ends. Skipped where there is no GPU.

usage: gpu_ranks_test.py RANK_PROGRAM [--bandwidth]
  --bandwidth   also print what the collectives reach

One rank a GPU, two at least; with one GPU both have it, and exchange through host memory. NVLink's multicast is left
off (NCCL_NVLS_ENABLE=0) unless the caller sets that variable.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest

from rank_processes import RANK_ERROR, Processes

PROGRAM = pathlib.Path(sys.argv.pop(1)).resolve()
WITH_BANDWIDTH = "--bandwidth" in sys.argv
if WITH_BANDWIDTH:
    sys.argv.remove("--bandwidth")
DEADLINE = 10
STARTING = 60  # seconds that the processes may take to come up and to connect
SKIPPED = 77


def gpus():
    if not shutil.which("nvidia-smi"):
        return len(list(pathlib.Path("/dev").glob("nvidia[0-9]*")))
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    return listed.stdout.count("UUID: GPU") if listed.returncode == 0 else 0


GPUS = gpus()
WORLD = max(2, min(GPUS, 8))


class GpuRanks(unittest.TestCase):
    def start(self, world, *arguments):
        processes = Processes(PROGRAM, world, *arguments,
                              variables={"TXTSUM_TEST_DEVICE": "cuda",
                                         "NCCL_NVLS_ENABLE": os.environ.get("NCCL_NVLS_ENABLE", "0")})
        self.addCleanup(processes.kill)
        return processes

    def run_all(self, world, *arguments, seconds=180):
        """Returns each rank's output; all must end well."""
        processes = self.start(world, *arguments)
        outputs = []
        for rank in range(world):
            code, output = processes.end(rank, seconds)
            self.assertEqual(code, 0, f"rank {rank}: {output}")
            outputs.append(output)
        return outputs


@unittest.skipUnless(GPUS >= 2, "needs two GPUs")
class Nccl(GpuRanks):
    def test_every_collective_is_what_the_host_computes(self):
        for world in sorted({2, WORLD}):
            for rank, output in enumerate(self.run_all(world, "sums", 60)):
                self.assertIn(f"rank {rank} of {world}: collectives as wanted", output)
                self.assertEqual("exchange through NCCL" in output, rank == 0)
                if rank == 0:
                    print(next(line for line in output.splitlines() if "through NCCL" in line), flush=True)

    def test_one_rank(self):
        self.run_all(1, "sums", 60)

    def test_graphs_hold_collectives(self):
        for world in sorted({2, WORLD}):
            for rank, output in enumerate(self.run_all(world, "graph", 60)):
                self.assertIn(f"rank {rank} of {world}: a graph's collectives as wanted", output)

    def assert_ends(self, processes, rank, seconds):
        """Returns what the rank says. What others had sent may have taken it to the update behind the one that broke."""
        code, output = processes.end(rank, seconds)
        self.assertEqual(code, RANK_ERROR, output)
        line = re.search(f".*rank {rank} of {WORLD}: update [56], backward, collective .*", output)
        self.assertIsNotNone(line, output)
        print(line[0], flush=True)
        self.assertNotRegex(line[0], r"gave up at [^:]*: update", "says two places of one rank")
        return line[0]

    def test_a_killed_rank_ends_the_others_at_once(self):
        began = time.monotonic()
        processes = self.start(WORLD, "killed", 100, 1)
        self.assertEqual(processes.end(1, STARTING)[0], -signal.SIGKILL)
        for rank in set(range(WORLD)) - {1}:
            self.assertIn("rank 1 has closed its connection", self.assert_ends(processes, rank, 20))
        self.assertLess(time.monotonic() - began, STARTING + 20)

    def test_a_killed_rank_ends_the_others_at_once_where_they_replay_a_graph(self):
        processes = self.start(WORLD, "replayed", 100, 1)
        self.assertEqual(processes.end(1, STARTING)[0], -signal.SIGKILL)
        for rank in set(range(WORLD)) - {1}:
            line = self.assert_ends(processes, rank, 20)
            self.assertIn("(replayed graph)", line)
            self.assertIn("rank 1 has closed its connection", line)

    def test_a_rank_that_stands_still_ends_the_others_at_the_deadline_and_itself_when_it_goes_on(self):
        processes = self.start(WORLD, "stopped", DEADLINE, WORLD - 1)
        for rank in range(WORLD - 1):
            self.assert_ends(processes, rank, STARTING + DEADLINE + 10)
        processes.ranks[WORLD - 1].send_signal(signal.SIGCONT)
        self.assert_ends(processes, WORLD - 1, DEADLINE + 15)

    def test_a_rank_that_fails_by_itself_tells_the_others(self):
        processes = self.start(WORLD, "failed", 100, 0)
        self.assertEqual(processes.end(0, STARTING)[0], 3)
        for rank in range(1, WORLD):
            self.assertIn("rank 0", self.assert_ends(processes, rank, 20))

    @unittest.skipUnless(WITH_BANDWIDTH, "not asked for")
    def test_bandwidth(self):
        for world in sorted({2, WORLD}):
            print(f"{world} ranks, bf16, GB/s of the bus", flush=True)
            print(self.run_all(world, "bandwidth", 60)[0], flush=True)


@unittest.skipUnless(GPUS >= 1, "needs a GPU")
class SharedGpu(GpuRanks):
    def test_ranks_on_one_gpu_exchange_through_host_memory_with_the_bits_of_the_threads(self):
        world = GPUS + 1
        outputs = self.run_all(world, "same", 60)
        self.assertIn(f"ranks 0 and {GPUS} have the same GPU", outputs[0])
        for rank, output in enumerate(outputs):
            self.assertIn(f"rank {rank} of {world}: the same", output)


if __name__ == "__main__":
    if GPUS == 0:
        print("skipped: there is no GPU")
        sys.exit(SKIPPED)
    if b"libtorch_cuda" not in PROGRAM.read_bytes():
        print("skipped: the program is built without CUDA")
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
