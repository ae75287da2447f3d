"""Starts the ranks of a test as `txtsum launch` starts them."""

import os
import socket
import subprocess

RANK_ERROR = 71  # the exit code of who leaves because of another rank


def clean_environment():
    prefixes = ("OMPI_", "PMI", "MPI_", "RANK", "WORLD_SIZE", "LOCAL_", "MASTER_")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(prefixes)}
    environment["OMP_NUM_THREADS"] = "1"
    environment["OMPI_MCA_btl_vader_single_copy_mechanism"] = "none"
    return environment


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Processes:
    """Ranks that are started as `txtsum launch` starts them."""

    def __init__(self, program, world, *arguments, variables=()):
        shared = {"WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1",
                  "MASTER_PORT": str(free_port())}
        self.ranks = [
            subprocess.Popen([program, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             env={**clean_environment(), **shared, "RANK": str(rank), "LOCAL_RANK": str(rank),
                                  **dict(variables)})
            for rank in range(world)]

    def end(self, rank, seconds):
        """Returns (exit code, output)."""
        output, _ = self.ranks[rank].communicate(timeout=seconds)
        return self.ranks[rank].returncode, output

    def kill(self):
        for process in self.ranks:
            process.kill()
            process.communicate()
