#include "txtsum/data/record_reader.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "record_format.h"
#include "txtsum/core/error.h"

namespace txtsum::data {
namespace {

struct KnownPair {
  const char* source;
  const char* target;
};
constexpr std::array<KnownPair, 4> kKnownPairs = {
    {{"dialogue", "summary"}, {"article", "highlights"}, {"document", "summary"}, {"text", "summary"}}};

std::unique_ptr<RecordReader::Format> open_format(const std::string& path) {
  std::string ending = std::filesystem::path(path).extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  if (ending == ".jsonl" || ending == ".json" || ending == ".ndjson") return open_json_lines(path);
  if (ending == ".csv") return open_csv(path);
  throw core::DataError(path +
                        ": cannot tell the format: wanted a name that ends in .jsonl, .json, .ndjson or .csv, found '" +
                        ending + "'");
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void require_column(const RecordReader::Format& format, const std::string& name) {
  if (contains(format.names(), name)) return;
  throw core::DataError(format.path() + ":" + std::to_string(format.line()) + ": no column '" + name + "'; found " +
                        quoted_list(format.names()));
}

void find_known_columns(const RecordReader::Format& format, bool wants_target, ColumnChoice& choice) {
  const std::vector<std::string> names = format.names();
  const std::string where = format.path() + ":" + std::to_string(format.line()) + ": ";
  for (const KnownPair& pair : kKnownPairs) {
    if (!contains(names, pair.source) || (wants_target && !contains(names, pair.target))) continue;
    if (choice.found_by_name) {
      throw core::DataError(where + "two known pairs of columns, by '" + choice.source + "' and by '" + pair.source +
                            "'; name the columns to read (data.source_column, data.summary_column)");
    }
    choice.source = pair.source;
    choice.target = wants_target ? pair.target : "";
    choice.found_by_name = true;
  }
  if (!choice.found_by_name) {
    throw core::DataError(where + "no known columns (" +
                          (wants_target ? "dialogue/summary, article/highlights, document/summary, text/summary"
                                        : "dialogue, article, document, text") +
                          "); found " + quoted_list(names) +
                          "; name the columns to read (data.source_column, data.summary_column)");
  }
}

ColumnChoice choose_columns(const RecordReader::Format& format, const ColumnRequest& request) {
  ColumnChoice choice;
  if (request.source) {
    choice.source = *request.source;
    choice.target = request.target.value_or("");
    require_column(format, choice.source);
    if (request.target) require_column(format, choice.target);
    if (!request.target && request.wants_target) {
      throw core::DataError(format.path() + ": the source column is named ('" + choice.source +
                            "') and the target column is not; name both (data.source_column, data.summary_column)");
    }
  } else if (request.target) {
    throw core::DataError(format.path() + ": the target column is named ('" + *request.target +
                          "') and the source column is not; name both (data.source_column, data.summary_column)");
  } else {
    find_known_columns(format, request.wants_target, choice);
  }
  if (request.id) {
    require_column(format, *request.id);
    choice.id = *request.id;
  } else if (contains(format.names(), "id")) {
    choice.id = "id";
  }
  return choice;
}

}  // namespace

std::string quoted_list(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text.append(text.empty() ? "'" : ", '").append(name).append("'");
  return text.empty() ? "none" : text;
}

RecordReader::RecordReader(const std::string& path, const ColumnRequest& request)
    : format_(open_format(path)), columns_(choose_columns(*format_, request)) {}
RecordReader::~RecordReader() = default;
RecordReader::RecordReader(RecordReader&&) noexcept = default;

const std::string& RecordReader::path() const { return format_->path(); }
const ColumnChoice& RecordReader::columns() const { return columns_; }

bool RecordReader::next(Record& record) {
  if (!format_->advance()) return false;
  record.source = format_->field(columns_.source, false);
  record.target = columns_.target.empty() ? "" : format_->field(columns_.target, false);
  record.id = columns_.id.empty() ? "" : format_->field(columns_.id, true);
  record.line = format_->line();
  return true;
}

}  // namespace txtsum::data
