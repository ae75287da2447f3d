#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace txtsum::data {

// What libtxtsum_arrow.so gives the program. The program is not linked with Arrow: it opens the module when the first
// Arrow or Parquet file is read (arrow_library.h). Both come out of one build, so C++ types may cross; what the module
// throws is a std::exception whose text is Arrow's and says nothing of the path.

/// What a column can be read as. kText: string, large_string, string_view, or a dictionary of one of them.
enum class ArrowKind { kText, kInteger, kOther };

struct ArrowColumn {
  std::string name;
  std::string type;  ///< As Arrow writes it, for messages.
  ArrowKind kind = ArrowKind::kOther;
};

/// Rows of the selected columns. Stays valid when its file is closed.
class ArrowBatch {
 public:
  virtual ~ArrowBatch() = default;
  virtual int64_t rows() const = 0;
  /// The value in the selection's column number `column`: the bytes of a text, not checked to be UTF-8, or an integer's
  /// digits. Nothing where it is null.
  virtual std::optional<std::string> value(size_t column, int64_t row) const = 0;
};

/// One file, opened.
class ArrowFile {
 public:
  virtual ~ArrowFile() = default;
  /// `Parquet`, `Arrow stream` or `Arrow file`.
  virtual const char* format_name() const = 0;
  virtual const std::vector<ArrowColumn>& columns() const = 0;
  /// Begins at the front, with batches of these columns alone (at least one, each once, none of kOther).
  virtual void select(const std::vector<size_t>& columns) = 0;
  /// The next batch, checked so that reading it cannot leave its buffers; null at the end. Throws where the file ends
  /// too early.
  virtual std::shared_ptr<const ArrowBatch> next_batch() = 0;
};

/// The module's function. The name has the interface's version: raised with every change above.
using OpenArrowFile = std::unique_ptr<ArrowFile> (*)(const std::string& path, bool is_parquet);
inline constexpr const char* kOpenArrowFile = "txtsum_open_arrow_file_1";

}  // namespace txtsum::data
