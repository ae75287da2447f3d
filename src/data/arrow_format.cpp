#include <algorithm>
#include <charconv>
#include <stdexcept>

#include "arrow_batches.h"
#include "record_format.h"
#include "txtsum/core/error.h"

namespace txtsum::data {
namespace {

/// Rows of Arrow and Parquet files. The batch of the current row is all that is held.
class ArrowFormat : public RecordReader::Format {
 public:
  explicit ArrowFormat(std::vector<std::string> files) : batches_(std::move(files)) {
    name_ = batches_.file().format_name();
    for (const ArrowColumn& column : batches_.file().columns()) names_.push_back(column.name);
  }

  const std::string& path() const override { return batches_.paths()[current_.file]; }
  std::vector<std::string> files() const override { return batches_.paths(); }
  const char* format_name() const override { return name_; }
  std::vector<std::string> names() const override { return names_; }
  int64_t line() const override { return current_.first_row + row_ + 1; }
  std::string where() const override { return current_.batch ? path() + ", row " + std::to_string(line()) : path(); }

  void select(const ColumnChoice& choice) override {
    selection_.add(choice.source, /*allow_integer=*/false);
    if (!choice.target.empty()) selection_.add(choice.target, false);
    if (!choice.id.empty()) selection_.add(choice.id, true);
    batches_.select(selection_);
  }

  bool advance() override {
    ++row_;
    while (!current_.batch || row_ >= current_.batch->rows()) {
      if (!batches_.next(current_)) return false;
      row_ = 0;
    }
    return true;
  }

  std::string field(const std::string& name, bool) const override {
    std::optional<std::string> value;
    try {
      value = current_.batch->value(selection_.slot(name), row_);
    } catch (const std::runtime_error& error) {
      fail(name, error.what());
    }
    if (!value) fail(name, "wanted a string, found null");
    if (!is_utf8(*value)) fail(name, "the text is not UTF-8");
    return *value;
  }

 protected:
  [[noreturn]] void fail(const std::string& name, const std::string& reason) const {
    throw core::DataError(where() + ": column '" + name + "': " + reason);
  }

  ArrowBatches batches_;
  PlacedBatch current_;
  int64_t row_ = -1;  // in the current batch

 private:
  const char* name_;
  std::vector<std::string> names_;
  ArrowSelection selection_;
};

/// The numbers in datasets' index files, which have one column.
std::vector<int64_t> read_indices(const std::vector<std::string>& files) {
  constexpr const char* kColumn = "indices";
  ArrowSelection selection;
  selection.add(kColumn, /*allow_integer=*/true);
  ArrowBatches batches(files);
  batches.select(selection);
  std::vector<int64_t> indices;
  for (PlacedBatch placed; batches.next(placed);) {
    for (int64_t row = 0; row < placed.batch->rows(); ++row) {
      const std::string digits = placed.batch->value(0, row).value_or("null");
      int64_t index = 0;
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
      if (error != std::errc() || end != digits.data() + digits.size()) {
        throw core::DataError(batches.paths()[placed.file] + ", row " + std::to_string(placed.first_row + row + 1) +
                              ": wanted the number of a row, found " + digits);
      }
      indices.push_back(index);
    }
  }
  return indices;
}

/// Rows by number, as early versions of datasets saved a selection or a shuffle. All batches are open at once; those of
/// save_to_disk are no more than places in the mapped file.
class IndexedArrowFormat : public ArrowFormat {
 public:
  explicit IndexedArrowFormat(const DataFiles& files)
      : ArrowFormat(files.files), index_files_(files.index_files), indices_(read_indices(files.index_files)) {}

  const char* format_name() const override { return "Arrow rows by number"; }
  std::vector<std::string> files() const override {
    std::vector<std::string> all = ArrowFormat::files();
    all.insert(all.end(), index_files_.begin(), index_files_.end());
    return all;
  }

  void select(const ColumnChoice& choice) override {
    ArrowFormat::select(choice);
    int64_t rows = 0;
    for (PlacedBatch placed; batches_.next(placed);) {
      all_.push_back(placed);
      rows += placed.batch->rows();
      ends_.push_back(rows);
    }
    for (size_t i = 0; i < indices_.size(); ++i) {
      if (indices_[i] >= 0 && indices_[i] < rows) continue;
      throw core::DataError(index_files_.front() + ": index " + std::to_string(i) + " is " +
                            std::to_string(indices_[i]) + ", and the data has " + std::to_string(rows) + " rows");
    }
  }

  bool advance() override {
    if (next_ == indices_.size()) return false;
    const int64_t index = indices_[next_++];
    const auto place = static_cast<size_t>(std::upper_bound(ends_.begin(), ends_.end(), index) - ends_.begin());
    current_ = all_[place];
    row_ = index - (ends_[place] - current_.batch->rows());
    return true;
  }

 private:
  std::vector<std::string> index_files_;
  std::vector<int64_t> indices_;
  std::vector<PlacedBatch> all_;
  std::vector<int64_t> ends_;  // rows up to the end of each batch
  size_t next_ = 0;
};

}  // namespace

std::unique_ptr<RecordReader::Format> open_arrow(const DataFiles& files) {
  if (files.index_files.empty()) return std::make_unique<ArrowFormat>(files.files);
  return std::make_unique<IndexedArrowFormat>(files);
}

}  // namespace txtsum::data
