#include "txtsum/data/record_reader.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "known_columns.h"
#include "record_format.h"
#include "txtsum/core/error.h"
#include "txtsum/core/json.h"

namespace txtsum::data {
namespace {

std::unique_ptr<RecordReader::Format> open_format(const std::string& path, const std::string& split) {
  std::error_code ignored;  // what cannot be looked at is said when it is opened
  if (std::filesystem::is_directory(path, ignored)) return open_arrow(find_data_files(path, split));
  const std::string ending = ending_of(path);
  if (ending == ".jsonl" || ending == ".ndjson") return open_json_lines(core::MappedFile(path));
  if (ending == ".json") return open_json(core::MappedFile(path));
  if (ending == ".csv") return open_csv(core::MappedFile(path));
  if (ending == ".tsv") return open_tsv(core::MappedFile(path));
  if (is_arrow_ending(ending)) return open_arrow({{path}, {}});
  if (!std::filesystem::exists(path, ignored)) throw core::DataError(path + ": no such file or folder");
  throw core::DataError(path + ": cannot tell the format: wanted a folder, or a name that ends in .jsonl, .ndjson, " +
                        ".json, .csv, .tsv, .parquet, .arrow or .feather, found '" + ending + "'");
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void require_column(const RecordReader::Format& format, const std::string& name) {
  if (contains(format.names(), name)) return;
  throw core::DataError(format.where() + ": no column '" + name + "'; found " + quoted_list(format.names()));
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
    find_known_columns(format.names(), request.wants_target, format.where() + ": ", choice);
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

std::string ending_of(const std::string& path) {
  std::string ending = std::filesystem::path(path).extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  return ending;
}

bool is_utf8(const std::string& text) {
  if (std::none_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; })) return true;
  try {
    static_cast<void>(nlohmann::json(text).dump());
    return true;
  } catch (const nlohmann::json::type_error&) {
    return false;
  }
}

RecordReader::RecordReader(const std::string& path, const ColumnRequest& request, const std::string& split)
    : format_(open_format(path, split)), columns_(choose_columns(*format_, request)) {
  format_->select(columns_);
}
RecordReader::~RecordReader() = default;
RecordReader::RecordReader(RecordReader&&) noexcept = default;

const std::string& RecordReader::path() const { return format_->path(); }
std::string RecordReader::where() const { return format_->where(); }
std::vector<std::string> RecordReader::files() const { return format_->files(); }
const char* RecordReader::format_name() const { return format_->format_name(); }
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
