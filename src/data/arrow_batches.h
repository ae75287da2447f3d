#pragma once

#include <memory>
#include <string>
#include <vector>

#include "arrow_interface.h"

namespace txtsum::data {

/// Columns to read, by name.
class ArrowSelection {
 public:
  /// A second request for a column changes nothing.
  void add(const std::string& name, bool allow_integer);
  /// The number of a column that was added, which batches know it by.
  size_t slot(const std::string& name) const;
  /// Selects the columns in `file`. Throws DataError, with `path`, where it lacks one or has it in another type.
  void apply(ArrowFile& file, const std::string& path) const;

 private:
  struct Column {
    std::string name;
    bool allow_integer;
  };
  std::vector<Column> columns_;
};

/// A batch and where it lies.
struct PlacedBatch {
  std::shared_ptr<const ArrowBatch> batch;
  size_t file = 0;        ///< Number of the file.
  int64_t first_row = 0;  ///< Its first row's number in the file, from 0.
};

/// Hands out the batches of files with the same columns, one file after the other. Only one is open at a time.
class ArrowBatches {
 public:
  /// Opens the first file. Throws DataError, as the other functions do.
  explicit ArrowBatches(std::vector<std::string> paths);

  const std::vector<std::string>& paths() const { return paths_; }
  /// The file that is open.
  const ArrowFile& file() const { return *file_; }
  /// To be called before the first batch.
  void select(const ArrowSelection& selection);
  /// False at the end of the last file.
  bool next(PlacedBatch& placed);

 private:
  std::vector<std::string> paths_;
  ArrowSelection selection_;
  size_t number_ = 0;
  int64_t rows_ = 0;  // of the open file, handed out
  std::unique_ptr<ArrowFile> file_;
};

}  // namespace txtsum::data
