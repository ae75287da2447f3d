#!/usr/bin/env python3
"""Hold the #include lines of include/ and src/ to the project's layers (docs/architecture.md).

Prints FILE:LINE: MESSAGE for each breach and ends with 1 if there is one. Files that have grown too long are named as
warnings, which do not fail. Needs Python 3 and its standard library alone.
"""

import argparse
import pathlib
import re
import sys
from typing import NamedTuple

# The layers, and the layers whose headers each may include besides its own.
LAYERS = {
    "core": (),
    "config": ("core",),
    "metrics": ("core",),
    "text": ("core",),
    "io": ("core",),
    "data": ("core", "config", "text"),
    "ops": ("core",),
    "nn": ("core", "ops"),
    "model": ("core", "config", "io", "ops", "nn"),
    "parallel": ("core", "config"),
    "train": ("core", "config", "io", "data", "ops", "nn", "model", "parallel"),
    "generate": ("core", "config", "text", "data", "ops", "nn", "model"),
}
LAYERS["app"] = tuple(LAYERS)

# The data layer is absent on purpose: it makes plain vectors, and train makes the tensors.
TORCH_LAYERS = ("io", "ops", "nn", "model", "parallel", "train", "generate", "app")
ALL_LAYERS = tuple(LAYERS)


class Library(NamedTuple):
    """A third-party library: how its headers are spelled, and where they may be included."""

    name: str
    headers: str  # a regular expression, matched at the start of the include's path
    layers: tuple
    in_headers: tuple = ALL_LAYERS  # the layers (of those above) whose headers may include it too


LIBRARIES = (
    Library("spdlog and fmt", r"spdlog/|fmt/", ("core",), in_headers=()),
    Library("nlohmann-json", r"nlohmann/", ALL_LAYERS, in_headers=("core",)),
    Library("xxHash", r"xxhash\.h", ("core", "io", "data"), in_headers=()),
    Library("yaml-cpp", r"yaml-cpp/", ("config",), in_headers=()),
    Library("NVML", r"nvml\.h", ("metrics",), in_headers=()),
    Library("SentencePiece", r"sentencepiece", ("text",), in_headers=()),
    Library("utf8proc", r"utf8proc\.h", ("text",), in_headers=()),
    Library("zip and zlib", r"zip\.h|zlib\.h|zconf\.h|minizip/", ("io",), in_headers=()),
    Library("Arrow and Parquet", r"arrow/|parquet/", ("data",), in_headers=()),
    Library("NCCL", r"nccl\.h", ("parallel",), in_headers=()),
    Library("MPI", r"mpi\.h", ("parallel",), in_headers=()),
    Library("c10d", r"torch/csrc/distributed/", ("parallel",), in_headers=()),
    Library("CLI11", r"CLI/", ("app",)),
    Library("libcurl", r"curl/", ("app",)),
    Library("CUDA", r"cuda|cublas|cudnn|cub/|cooperative_groups|mma\.h|nvtx3/", ("ops", "parallel"), in_headers=("ops",)),
    Library("LibTorch", r"ATen/|c10/|torch/", TORCH_LAYERS),
)

# A name without a dot is the standard library's; these are C's, POSIX's, Linux's and the compiler's.
SYSTEM_HEADERS = re.compile(
    r"[a-z_]+$|(?:sys|linux|netinet|arpa|net|bits)/|"
    r"(?:assert|ctype|cpuid|dirent|dlfcn|errno|fcntl|float|fnmatch|getopt|glob|ifaddrs|immintrin|inttypes|"
    r"limits|locale|malloc|math|netdb|omp|poll|pthread|pwd|sched|signal|spawn|stdarg|stddef|stdint|stdio|stdlib|string|strings|termios|time|unistd|wchar|"
    r"x86intrin)\.h$"
)

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
CONDITION = re.compile(r"^\s*#\s*(?:if|ifdef|ifndef|elif|elifdef|elifndef)\b(.*)")
COMMENT_OR_STRING = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"([^(\s]*)\((?:.*?)\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S
)
HEADER_SUFFIXES = (".h", ".cuh")
SOURCE_SUFFIXES = (".cpp", ".cu")
HEADER_LINES = 250
SOURCE_LINES = 400


def blank_comments(text):
    """Return the text with comments and raw strings emptied, line numbers kept."""

    def blank(match):
        if match.group().startswith(("//", "/*", "R")):
            return "\n" * match.group().count("\n")
        return match.group()

    return COMMENT_OR_STRING.sub(blank, text)


def layer_of(path):
    """Return the layer of a path relative to the repository's root, or None where it is in none."""
    parts = path.parts
    if parts[0] == "include" and len(parts) > 3 and parts[1] == "txtsum":
        return parts[2]
    if parts[0] == "src":
        return parts[1] if len(parts) > 2 else "app"  # src/main.cpp
    return None


class Checker:
    """Collects what is wrong in a tree: (path, line, message)."""

    def __init__(self, root):
        self.root = root
        self.errors = []
        self.warnings = []

    def check_tree(self):
        """Check every file; return how many there were."""
        files = sorted(
            path
            for top in ("include", "src")
            for path in (self.root / top).rglob("*")
            if path.suffix in HEADER_SUFFIXES + SOURCE_SUFFIXES
        )
        for path in files:
            self.check_file(path)
        return len(files)

    def check_file(self, path):
        relative = path.relative_to(self.root)
        layer = layer_of(relative)
        text = path.read_text(encoding="utf-8")
        self.check_length(relative, text.count("\n"))
        if layer not in LAYERS:
            self.errors.append((relative, 1, f"is in no layer (the layers are {', '.join(LAYERS)})"))
            return
        public = relative.parts[0] == "include"
        if public and path.suffix not in HEADER_SUFFIXES:
            self.errors.append((relative, 1, "include/ holds headers alone"))
        for number, line in enumerate(blank_comments(text).split("\n"), 1):
            condition = CONDITION.match(line)
            if public and condition:
                self.check_condition(relative, number, condition.group(1))
            include = INCLUDE.match(line)
            if include:
                self.check_include(relative, number, layer, *include.groups())

    def check_length(self, path, lines):
        limit = HEADER_LINES if path.suffix in HEADER_SUFFIXES else SOURCE_LINES
        if lines > limit:
            self.warnings.append((path, lines, f"has {lines} lines, more than {limit}"))

    def check_condition(self, path, number, condition):
        """A public header must read the same in every build; what the compiler itself defines is no build flag."""
        for name in re.findall(r"[A-Za-z_]\w*", condition):
            if name != "defined" and not name.startswith("__"):
                self.errors.append((path, number, f"a public header depends on the build flag {name}"))

    def check_include(self, path, number, layer, bracket, target):
        if bracket == '"':
            message = self.own_breach(path, layer, target)
        else:
            message = self.foreign_breach(path, layer, target)
        if message:
            closing = ">" if bracket == "<" else '"'
            self.errors.append((path, number, f"{layer} must not include {bracket}{target}{closing}: {message}"))

    def own_breach(self, path, layer, target):
        """Return what is wrong with including the project's header target, or None."""
        parts = pathlib.PurePosixPath(target).parts
        if ".." in parts:
            return "write the path from include/ or src/"
        if parts[0] == "txtsum":
            other = parts[1] if len(parts) > 2 else None
            if other not in LAYERS:
                return "there is no such layer"
            if not (self.root / "include" / target).is_file():
                return "there is no such header"
            if other != layer and other not in LAYERS[layer]:
                allowed = ", ".join(LAYERS[layer]) or "none"
                return f"it may include its own layer and: {allowed}"
            if parts[-1] == "experiment_config.h" and layer not in ("config", "app"):
                return "the aggregate is for config and app; take the section's own header"
            return None
        beside = (self.root / path).parent / target
        from_src = self.root / "src" / target
        if path.parts[0] == "include":
            return "a public header includes public headers alone"
        found = beside if beside.is_file() else from_src
        if not found.is_file():
            return "no such header of the project; a library's goes into <>"
        if found.parent != (self.root / path).parent:
            return "a header under src/ is private to its folder"
        return None

    def foreign_breach(self, path, layer, target):
        """Return what is wrong with including the header <target>, or None."""
        if target.startswith("txtsum/"):
            return 'the project\'s own headers go into ""'
        if target == "torch/torch.h" or target == "torch/extension.h":
            return "include the narrow headers"
        for library in LIBRARIES:
            if not re.match(library.headers, target):
                continue
            if layer not in library.layers:
                return f"{library.name} is for {', '.join(library.layers)}"
            if path.suffix in HEADER_SUFFIXES and path.parts[0] == "include" and layer not in library.in_headers:
                return f"{library.name} stays out of public headers"
            if path.suffix in HEADER_SUFFIXES and library.name == "nlohmann-json" and path.name != "json.h":
                return "nlohmann-json is for source files and core/json.h"
            return None
        if SYSTEM_HEADERS.match(target):
            return None
        return "a library that scripts/check_layers.py does not know; add it there, with its layer"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("root", nargs="?", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    checker = Checker(parser.parse_args().root)
    count = checker.check_tree()
    if count == 0:
        sys.exit(f"check_layers.py: no sources under {checker.root}")
    for path, _, message in checker.warnings:
        print(f"{path}: warning: {message}")
    for path, line, message in checker.errors:
        print(f"{path}:{line}: {message}")
    print(f"{count} files, {len(checker.errors)} breaches, {len(checker.warnings)} warnings")
    sys.exit(1 if checker.errors else 0)


if __name__ == "__main__":
    main()
