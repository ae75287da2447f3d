"""Tests of scripts/check_layers.py on small trees made for the purpose."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "check_layers.py"


class CheckLayers(unittest.TestCase):
    def check(self, files):
        """Run the script on a tree of {path: text}; return (exit status, output)."""
        with tempfile.TemporaryDirectory() as folder:
            for path, text in files.items():
                file = pathlib.Path(folder, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            run = subprocess.run([sys.executable, SCRIPT, folder], capture_output=True, text=True, check=False)
        return run.returncode, run.stdout + run.stderr

    def assert_refused(self, files, *expected):
        status, output = self.check(files)
        self.assertEqual(status, 1, output)
        for text in expected:
            self.assertIn(text, output)
        self.assertIn(" 1 breaches", output)

    def assert_passes(self, files):
        status, output = self.check(files)
        self.assertEqual(status, 0, output)
        self.assertIn(" 0 breaches", output)

    def test_allowed_layers_and_libraries_pass(self):
        self.assert_passes(
            {
                "include/txtsum/core/error.h": "#pragma once\n#include <string>\n",
                "include/txtsum/core/json.h": "#include <nlohmann/json.hpp>\n",
                "include/txtsum/model/arena.h": '#include <ATen/core/Tensor.h>\n#include "txtsum/core/error.h"\n',
                "src/model/arena.cpp": '#include "txtsum/model/arena.h"\n#include "ranges.h"\n#include <sys/mman.h>\n',
                "src/model/layout.cpp": '#include "model/ranges.h"\n',
                "src/model/ranges.h": "#pragma once\n",
                "src/main.cpp": '#include "txtsum/model/arena.h"\n#include <CLI/CLI.hpp>\n',
            }
        )

    def test_layer_that_is_not_listed_is_refused_with_its_line(self):
        self.assert_refused(
            {"include/txtsum/data/batch.h": "", "src/parallel/plan.cpp": '\n#include "txtsum/data/batch.h"\n'},
            'src/parallel/plan.cpp:2: parallel must not include "txtsum/data/batch.h"',
            "core, config",
        )

    def test_train_and_generate_do_not_meet(self):
        header = {"include/txtsum/generate/beam.h": "", "include/txtsum/train/loop.h": ""}
        self.assert_refused(header | {"src/train/a.cpp": '#include "txtsum/generate/beam.h"\n'}, "src/train/a.cpp:1:")
        self.assert_refused(header | {"src/generate/a.cpp": '#include "txtsum/train/loop.h"\n'}, "src/generate/a.cpp:1:")

    def test_private_header_of_another_folder_is_refused(self):
        private = {"src/text/bytes.h": ""}
        self.assert_refused(private | {"src/app/run.cpp": '#include "text/bytes.h"\n'}, "private to its folder")
        self.assert_refused(private | {"src/app/run.cpp": '#include "../text/bytes.h"\n'}, "write the path from")

    def test_public_header_with_a_private_one_is_refused(self):
        self.assert_refused(
            {"src/text/bytes.h": "", "include/txtsum/text/a.h": '#include "text/bytes.h"\n'}, "public headers alone"
        )

    def test_missing_header_is_refused(self):
        self.assert_refused({"src/core/a.cpp": '#include "txtsum/core/gone.h"\n'}, "there is no such header")
        self.assert_refused({"src/core/a.cpp": '#include "gone.h"\n'}, "no such header")

    def test_library_outside_its_layer_is_refused(self):
        for layer, header in (
            ("text", "ATen/ATen.h"),
            ("data", "ATen/ATen.h"),
            ("train", "yaml-cpp/yaml.h"),
            ("config", "spdlog/spdlog.h"),
            ("model", "cuda_runtime.h"),
            ("train", "torch/csrc/distributed/c10d/TCPStore.hpp"),
            ("metrics", "curl/curl.h"),
        ):
            with self.subTest(layer=layer, header=header):
                self.assert_refused({f"src/{layer}/a.cpp": f"#include <{header}>\n"}, f"src/{layer}/a.cpp:1:", " is for ")

    def test_source_only_library_in_a_header_is_refused(self):
        self.assert_refused({"include/txtsum/config/a.h": "#include <yaml-cpp/yaml.h>\n"}, "out of public headers")
        self.assert_refused({"include/txtsum/text/a.h": "#include <nlohmann/json.hpp>\n"}, "out of public headers")
        self.assert_refused({"src/text/a.h": "#include <nlohmann/json.hpp>\n"}, "source files and core/json.h")

    def test_unknown_library_is_refused(self):
        self.assert_refused({"src/core/a.cpp": "#include <boost/any.hpp>\n"}, "does not know")

    def test_wide_torch_header_is_refused(self):
        self.assert_refused({"src/model/a.cpp": "#include <torch/torch.h>\n"}, "narrow headers")

    def test_aggregate_config_is_for_config_and_app(self):
        header = {"include/txtsum/config/experiment_config.h": ""}
        include = '#include "txtsum/config/experiment_config.h"\n'
        self.assert_passes(header | {"src/app/a.cpp": include, "src/config/a.cpp": include})
        self.assert_refused(header | {"src/train/a.cpp": include}, "the aggregate")

    def test_build_flag_in_a_public_header_is_refused(self):
        flag = "#ifdef TXTSUM_WITH_CUDA\n#endif\n"
        self.assert_refused({"include/txtsum/ops/a.h": flag}, "include/txtsum/ops/a.h:1:", "TXTSUM_WITH_CUDA")
        self.assert_passes({"src/ops/a.h": flag, "include/txtsum/ops/b.h": "#if defined(__CUDACC__)\n#endif\n"})

    def test_comments_and_strings_are_no_includes(self):
        self.assert_passes(
            {
                "src/core/a.cpp": '// #include <boost/any.hpp>\n/*\n#include <boost/any.hpp>\n*/\n'
                'const char* raw = R"(\n#include <boost/any.hpp>\n)";\nconst char* url = "http://x";\n'
            }
        )

    def test_line_numbers_survive_comments(self):
        self.assert_refused({"src/core/a.cpp": "/* a\n b */\n#include <boost/any.hpp>\n"}, "src/core/a.cpp:3:")

    def test_unknown_layer_is_refused(self):
        self.assert_refused({"src/helpers/a.cpp": ""}, "is in no layer")

    def test_long_files_are_warnings(self):
        status, output = self.check({"include/txtsum/core/a.h": "\n" * 251, "src/core/a.cpp": "\n" * 400})
        self.assertEqual(status, 0, output)
        self.assertIn("include/txtsum/core/a.h: warning: has 251 lines", output)
        self.assertIn("1 warnings", output)

    def test_empty_tree_is_an_error(self):
        status, output = self.check({})
        self.assertEqual(status, 1, output)


if __name__ == "__main__":
    unittest.main()
