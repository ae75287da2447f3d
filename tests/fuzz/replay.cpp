// Runs every file that is named, or lies in a folder that is named, through the entry of libFuzzer: a corpus as a test,
// for compilers without libFuzzer.

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "untrusted.h"

namespace {

std::vector<std::filesystem::path> list_files(int count, char** names) {
  std::vector<std::filesystem::path> files;
  for (int i = 1; i < count; ++i) {
    if (!std::filesystem::is_directory(names[i])) {
      files.emplace_back(names[i]);
      continue;
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(names[i])) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::filesystem::path> files = list_files(argc, argv);
  if (files.empty()) {
    std::fprintf(stderr, "usage: %s FILE_OR_FOLDER...: there is no file\n", argv[0]);
    return 2;
  }
  for (const std::filesystem::path& path : files) {
    std::printf("%s\n", path.c_str());
    std::fflush(stdout);  // the last line says which file a crash is of
    std::ifstream stream(path, std::ios::binary);
    const std::vector<char> read((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
    const std::vector<uint8_t> bytes(read.begin(), read.end());
    try {
      LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s: neither accepted nor refused: %s\n", path.c_str(), error.what());
      return 1;
    }
  }
  std::printf("%zu files, %d times accepted, none crashes\n", files.size(), txtsum::tests::accepted);
  return 0;
}
