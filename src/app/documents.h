#pragma once

#include <string>
#include <vector>

namespace txtsum::app {

/// How texts come in. kLines: one a line; kDocument: all of it is one; kJsonl: one object a line.
enum class InputFormat { kLines, kDocument, kJsonl };

/// A text to summarize.
struct InputDocument {
  std::string id;
  std::string text;
};

/// The format that a file's ending says: .jsonl and .ndjson are JSON lines, .md is a document; else lines.
InputFormat format_of(const std::string& path);

/// Cuts `content` (of `name`, for messages and ids) into documents. `field` names the text of a JSON line; its id is
/// the field `id`, else the number of the line from 1, as for lines. Throws DataError with the line.
std::vector<InputDocument> parse_documents(const std::string& content, const std::string& name, InputFormat format,
                                           const std::string& field);

/// Whether `path` has rows with named columns: a folder, or by its ending .json (one document), .csv, .tsv, .parquet,
/// .arrow or .feather.
bool is_table(const std::string& path);

/// The column `field` of it (docs/data.md); an id is the column `id`, else the number of the row from 1.
/// Throws DataError with the line.
std::vector<InputDocument> read_table(const std::string& path, const std::string& field);

/// Whether lines look like one text: paragraphs with blank lines between them, or sentences that run over line ends.
bool looks_like_one_text(const std::vector<InputDocument>& lines);

}  // namespace txtsum::app
