#include "app/documents.h"

#include <algorithm>
#include <filesystem>

#include "txtsum/core/error.h"
#include "txtsum/core/parse_json.h"
#include "txtsum/data/record_reader.h"

namespace txtsum::app {
namespace {

constexpr const char* kBlank = " \t\r\n\f\v";

bool is_blank(const std::string& text) { return text.find_first_not_of(kBlank) == std::string::npos; }

InputDocument parse_json_line(const std::string& line, const std::string& where, const std::string& number,
                              const std::string& field) {
  const core::Json json = core::parse_json(line, where);
  if (!json.is_object()) throw core::DataError(where + ": wanted a JSON object, found " + line.substr(0, 60));
  if (!json.contains(field) || !json.at(field).is_string()) {
    std::string found;
    for (const auto& [key, value] : json.items()) {
      found += (found.empty() ? "" : ", ") + key;
    }
    throw core::DataError(where + ": no text in field '" + field + "' (found: " + found + "); name it with --field");
  }
  InputDocument document{number, json.at(field).get<std::string>()};
  if (json.contains("id")) {
    document.id = json.at("id").is_string() ? json.at("id").get<std::string>() : core::to_line(json.at("id"));
  }
  return document;
}

bool ends_sentence(const std::string& text) {
  const size_t last = text.find_last_not_of(" \t\r\"')]");
  if (last == std::string::npos) return true;
  return std::string_view(".!?:;").find(text[last]) != std::string_view::npos ||
         static_cast<unsigned char>(text[last]) >= 0x80;
}

}  // namespace

InputFormat format_of(const std::string& path) {
  const std::string ending = std::filesystem::path(path).extension().string();
  if (ending == ".jsonl" || ending == ".ndjson") return InputFormat::kJsonl;
  return ending == ".md" ? InputFormat::kDocument : InputFormat::kLines;
}

std::vector<InputDocument> parse_documents(const std::string& content, const std::string& name, InputFormat format,
                                           const std::string& field) {
  if (format == InputFormat::kDocument) return {{name, content}};
  std::vector<InputDocument> documents;
  int64_t number = 0;
  for (size_t begin = 0; begin < content.size();) {
    const size_t end = std::min(content.find('\n', begin), content.size());
    std::string line = content.substr(begin, end - begin);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    begin = end + 1;
    ++number;
    if (format == InputFormat::kLines) {
      documents.push_back({std::to_string(number), std::move(line)});
    } else if (!is_blank(line)) {
      documents.push_back(parse_json_line(line, name + ":" + std::to_string(number), std::to_string(number), field));
    }
  }
  return documents;
}

bool is_table(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return true;
  const std::string ending = std::filesystem::path(path).extension().string();
  for (const char* known : {".json", ".csv", ".tsv", ".parquet", ".arrow", ".feather"}) {
    if (ending == known) return true;
  }
  return false;
}

std::vector<InputDocument> read_table(const std::string& path, const std::string& field) {
  data::ColumnRequest request;
  request.source = field;
  request.wants_target = false;
  data::RecordReader reader(path, request);
  std::vector<InputDocument> documents;
  for (data::Record record; reader.next(record);) {
    std::string id = record.id.empty() ? std::to_string(documents.size() + 1) : record.id;
    documents.push_back({std::move(id), std::move(record.source)});
  }
  return documents;
}

bool looks_like_one_text(const std::vector<InputDocument>& lines) {
  size_t gaps = 0, open = 0, full = 0;
  bool after_blank = false;
  for (const InputDocument& line : lines) {
    if (is_blank(line.text)) {
      after_blank = true;
      continue;
    }
    if (after_blank && full > 0) ++gaps;
    after_blank = false;
    ++full;
    if (!ends_sentence(line.text)) ++open;
  }
  return gaps > 0 || (full >= 3 && 2 * open > full);
}

}  // namespace txtsum::app
