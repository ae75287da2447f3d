#include "metrics/data_sheets.h"
#include "txtsum/core/error.h"

namespace txtsum::metrics {

std::vector<DataSheet> data_sheets(const std::string& topic, const std::string& override_path) {
  if (!override_path.empty()) return {{override_path, core::read_json_file(override_path)}};
  std::vector<DataSheet> sheets;
  for (const EmbeddedSheet& sheet : embedded_sheets()) {
    if (topic == sheet.topic) sheets.push_back({sheet.path, core::Json::parse(sheet.text)});
  }
  return sheets;
}

void fail_sheet(const std::string& path, const std::string& reason) {
  throw core::DataError(path + ": not a data sheet of the wanted form (docs/metrics.md): " + reason);
}

}  // namespace txtsum::metrics
