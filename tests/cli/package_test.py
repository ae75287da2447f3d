"""scripts/package.sh: what the archive holds, and that it runs elsewhere with nothing but the system's C library.

usage: package_test.py REPOSITORY BUILD_FOLDER
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

REPOSITORY = pathlib.Path(sys.argv.pop(1)).resolve()
BUILD = pathlib.Path(sys.argv.pop(1)).resolve()
SYSTEM = re.compile(r"(ld-linux-x86-64|lib(c|m|dl|rt|pthread|resolv|util|stdc\+\+|gcc_s))\.so\.\d+")
# Of LibTorch and Arrow, without code for GPUs.
LIBTORCH = {"libc10.so", "libtorch_cpu.so", "libgomp.so.1", "libcudart.so.13", "libcupti.so.13"}
ARROW = {"libarrow.so.2600", "libparquet.so.2600"}


class PackageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="txtsum-package-"))
        cls.addClassCleanup(shutil.rmtree, cls.root)
        archive = cls.root / "made" / "package.tar"
        made = subprocess.run(
            [REPOSITORY / "scripts/package.sh", BUILD.name, "--no-build", "--output", archive],
            capture_output=True, text=True, timeout=300,
        )
        if made.returncode != 0:
            raise AssertionError(made.stdout + made.stderr)
        cls.said = made.stdout
        cls.elsewhere = cls.root / "a folder with blanks"
        cls.elsewhere.mkdir()
        subprocess.run(["tar", "-xf", archive, "-C", cls.elsewhere], check=True)
        archive.unlink()
        (cls.folder,) = cls.elsewhere.iterdir()

    def run_there(self, *arguments, text="", folder=None):
        """In an empty environment, from another folder."""
        return subprocess.run(
            [self.folder / "txtsum", *map(str, arguments)], cwd=folder or self.root, input=text, env={},
            capture_output=True, text=True, timeout=300,
        )

    def test_holds_what_is_needed_and_nothing_else(self):
        self.assertRegex(self.folder.name, r"^txtsum-\d+\.\d+\.\d+-linux-x86_64-" + BUILD.name + "$")
        self.assertEqual(
            {path.name for path in self.folder.iterdir()},
            {"LICENSE", "README.md", "configs", "lib", "libtxtsum_arrow.so", "libtxtsum_mpi.so", "licenses", "tests",
             "txtsum"},
        )
        self.assertEqual([path.name for path in self.folder.rglob("*") if path.is_symlink()], [])
        libraries = {path.name for path in (self.folder / "lib").iterdir()}
        self.assertLessEqual(ARROW, libraries)
        self.assertEqual({name for name in libraries if re.match("lib(torch|c10|cu|caffe2|gomp)", name)
                          and not name.startswith("libcurl")}, LIBTORCH)
        self.assertEqual({name for name in libraries if SYSTEM.fullmatch(name) or name.startswith("libmpi")}, set())
        configs = {path.relative_to(REPOSITORY) for path in (REPOSITORY / "configs").rglob("*") if path.is_file()}
        carried = {path.relative_to(self.folder) for path in (self.folder / "configs").rglob("*") if path.is_file()}
        self.assertEqual(configs, carried)

    def test_every_library_is_found_in_it_or_is_the_systems(self):
        files = [self.folder / "txtsum", self.folder / "libtxtsum_arrow.so"]
        names = {path.name for path in (self.folder / "lib").iterdir()}
        used = set()
        for file in files:
            listing = subprocess.run(["ldd", file], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True)
            self.assertNotIn("not found", listing.stdout)
            for name, place in re.findall(r"(\S+) => (.*) \(0x", listing.stdout):
                if not SYSTEM.fullmatch(name):
                    self.assertEqual(pathlib.Path(place).resolve().parent, self.folder / "lib", name)
                    used.add(name)
        # What is left is opened by name: SentencePiece and what that needs.
        self.assertEqual({name for name in names - used if not re.match("lib(sentencepiece|protobuf|tcmalloc|absl|unwind|lzma)", name)},
                         set())

    def test_has_a_licence_for_each_library_and_says_what_it_needs(self):
        licences = {path.name for path in (self.folder / "licenses").iterdir()}
        for name in ("torch", "arrow", "nvidia-cuda-runtime", "nvidia-cuda-cupti", "libspdlog-dev.txt", "libcli11-dev.txt"):
            self.assertIn(name, licences)
        for name in ("libcurl", "libsentencepiece"):
            self.assertTrue([licence for licence in licences if licence.startswith(name)], licences)
        self.assertEqual([path for path in (self.folder / "licenses").rglob("*") if path.is_file() and not path.stat().st_size],
                         [])
        readme = (self.folder / "README.md").read_text()
        self.assertRegex(readme, r"glibc 2\.\d+ and libstdc\+\+ with GLIBCXX_3\.4\.\d+ or newer")
        self.assertRegex(self.said, r"\d+ MiB, unpacked \d+ MiB")

    def test_runs_from_another_folder_with_an_empty_environment(self):
        version = self.run_there("--version")
        self.assertEqual(version.returncode, 0, version.stderr)
        self.assertRegex(version.stdout, r"^txtsum \d+\.\d+\.\d+\n$")
        model = self.folder / "configs/models/txtsum-mini"
        summary = self.run_there("summarize", "--model", model, text="GNU hello prints a friendly greeting.\n")
        self.assertEqual(summary.returncode, 0, summary.stderr)
        self.assertIn('"summary"', summary.stdout)

    def test_its_modules_and_sentencepiece_are_opened(self):
        fixtures = REPOSITORY / "tests/fixtures"
        rows = self.run_there("summarize", "--model", self.folder / "configs/models/txtsum-mini", "--input",
                              fixtures / "data/arrow/files/none.parquet", "generation.max_new_tokens=4")
        self.assertEqual(rows.returncode, 0, rows.stderr)
        pieces = self.run_there("tokenizer", "encode", fixtures / "hub/t5", text="A text.\n")
        self.assertEqual(pieces.returncode, 0, pieces.stderr)

    def test_what_cannot_be_packed_is_refused(self):
        for arguments, reason in ((["--nonsense"], "unknown option"), (["nopreset", "--no-build"], "is not there"),
                                  (["--output"], "needs the name")):
            refused = subprocess.run([REPOSITORY / "scripts/package.sh", *arguments], capture_output=True, text=True)
            self.assertEqual(refused.returncode, 1)
            self.assertIn(reason, refused.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
