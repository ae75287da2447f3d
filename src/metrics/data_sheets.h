#pragma once

#include <string>
#include <vector>

#include "txtsum/core/json.h"

namespace txtsum::metrics {

/// One file of configs/carbon, configs/prices or configs/devices, carried inside the binary.
struct EmbeddedSheet {
  const char* topic;  ///< carbon, prices or devices.
  const char* path;   ///< Inside the project.
  const char* text;
};

/// Defined in a source file that is made when the build is configured.
const std::vector<EmbeddedSheet>& embedded_sheets();

struct DataSheet {
  std::string path;
  core::Json json;
};

/// The sheets of a topic: those inside the binary, or, where `override_path` is not empty, that file alone.
/// Throws DataError when it cannot be read.
std::vector<DataSheet> data_sheets(const std::string& topic, const std::string& override_path);

/// Throws DataError: the sheet at `path` is not of the wanted form.
[[noreturn]] void fail_sheet(const std::string& path, const std::string& reason);

/// Runs `parse` and turns a missing or wrong key into a DataError that names the sheet.
template <typename Parse>
void parse_sheet(const DataSheet& sheet, const Parse& parse) {
  try {
    parse(sheet.json);
  } catch (const core::Json::exception& error) {
    fail_sheet(sheet.path, error.what());
  }
}

}  // namespace txtsum::metrics
