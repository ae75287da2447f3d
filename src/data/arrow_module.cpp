// libtxtsum_arrow.so: all that the program asks of Arrow. Nothing here starts a thread: tokenizing has its own.

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/io/file.h>
#include <arrow/ipc/reader.h>
#include <arrow/memory_pool.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/file_reader.h>

#include <numeric>

#include "arrow_columns.h"

namespace txtsum::data {
namespace {

constexpr int64_t kParquetRows = 256;  // decoded at a time; a row group may be as large as a file

using MappedInput = std::shared_ptr<arrow::io::MemoryMappedFile>;

arrow::ipc::IpcReadOptions read_options(const std::vector<int>& columns = {}) {
  arrow::ipc::IpcReadOptions options = arrow::ipc::IpcReadOptions::Defaults();
  options.memory_pool = arrow::system_memory_pool();
  options.use_threads = false;
  options.included_fields = columns;
  return options;
}

/// The `count` bytes that end at `end`; fewer where the file begins within them.
std::string bytes_before(const MappedInput& input, int64_t end, int64_t count) {
  const int64_t begin = std::max<int64_t>(end - count, 0);
  return value_of(input->ReadAt(begin, end - begin))->ToString();
}

/// The stream that datasets' save_to_disk writes: messages one after the other.
class ArrowStreamFile : public ArrowFile {
 public:
  explicit ArrowStreamFile(MappedInput input) : input_(std::move(input)) {
    reader_ = value_of(arrow::ipc::RecordBatchStreamReader::Open(input_, read_options()));
    columns_ = columns_of(*reader_->schema());
  }
  const char* format_name() const override { return "Arrow stream"; }
  const std::vector<ArrowColumn>& columns() const override { return columns_; }

  void select(const std::vector<size_t>& columns) override {
    maker_ = BatchMaker(columns);
    require_ok(input_->Seek(0));
    reader_ = value_of(arrow::ipc::RecordBatchStreamReader::Open(input_, read_options(maker_.in_file_order())));
  }

  std::shared_ptr<const ArrowBatch> next_batch() override {
    std::shared_ptr<arrow::RecordBatch> batch;
    require_ok(reader_->ReadNext(&batch));
    if (batch) return maker_.make(batch);
    check_end();
    return nullptr;
  }

 private:
  /// Arrow takes a stream that stops between two messages as ended. The mark is optional in Arrow's specification, but
  /// all its libraries write it into files, and a file that was cut there would lose rows without a word.
  void check_end() const {
    const std::string continuation(4, '\xff');
    const std::string zeros(4, '\0');
    const int64_t at = value_of(input_->Tell());
    const bool is_old = bytes_before(input_, 4, 4) != continuation;  // before Arrow 0.15
    const std::string mark = is_old ? zeros : continuation + zeros;
    if (bytes_before(input_, at, static_cast<int64_t>(mark.size())) != mark) {
      throw std::runtime_error("the stream stops without its end mark: the file is cut off");
    }
    if (at != value_of(input_->GetSize())) {
      throw std::runtime_error("there are bytes behind the stream's end mark, at byte " + std::to_string(at));
    }
  }

  MappedInput input_;
  std::shared_ptr<arrow::ipc::RecordBatchStreamReader> reader_;
  std::vector<ArrowColumn> columns_;
  BatchMaker maker_;
};

/// Arrow's file format, with a table of batches at its end; Feather version 2 is the same.
class ArrowTableFile : public ArrowFile {
 public:
  explicit ArrowTableFile(MappedInput input) : input_(std::move(input)) {
    reader_ = value_of(arrow::ipc::RecordBatchFileReader::Open(input_, read_options()));
    columns_ = columns_of(*reader_->schema());
  }
  const char* format_name() const override { return "Arrow file"; }
  const std::vector<ArrowColumn>& columns() const override { return columns_; }

  void select(const std::vector<size_t>& columns) override {
    maker_ = BatchMaker(columns);
    reader_ = value_of(arrow::ipc::RecordBatchFileReader::Open(input_, read_options(maker_.in_file_order())));
    next_ = 0;
  }

  std::shared_ptr<const ArrowBatch> next_batch() override {
    if (next_ == reader_->num_record_batches()) return nullptr;
    return maker_.make(value_of(reader_->ReadRecordBatch(next_++)));
  }

 private:
  MappedInput input_;
  std::shared_ptr<arrow::ipc::RecordBatchFileReader> reader_;
  std::vector<ArrowColumn> columns_;
  BatchMaker maker_;
  int next_ = 0;
};

class ParquetFile : public ArrowFile {
 public:
  explicit ParquetFile(const MappedInput& input) {
    parquet::arrow::FileReaderBuilder builder;
    require_ok(builder.Open(input, parquet::ReaderProperties(arrow::system_memory_pool())));
    parquet::ArrowReaderProperties properties(/*use_threads=*/false);
    properties.set_pre_buffer(false);  // it would hold the whole file
    properties.set_batch_size(kParquetRows);
    reader_ = value_of(builder.memory_pool(arrow::system_memory_pool())->properties(properties)->Build());
    std::shared_ptr<arrow::Schema> schema;
    require_ok(reader_->GetSchema(&schema));
    columns_ = columns_of(*schema);
  }
  const char* format_name() const override { return "Parquet"; }
  const std::vector<ArrowColumn>& columns() const override { return columns_; }

  void select(const std::vector<size_t>& columns) override {
    maker_ = BatchMaker(columns);
    // Parquet counts the leaves of nested columns; the selected ones are leaves themselves.
    std::vector<int> leaves;
    for (const int column : maker_.in_file_order()) {
      leaves.push_back(reader_->manifest().schema_fields[static_cast<size_t>(column)].column_index);
    }
    std::vector<int> row_groups(static_cast<size_t>(reader_->num_row_groups()));
    std::iota(row_groups.begin(), row_groups.end(), 0);
    batches_ = value_of(reader_->GetRecordBatchReader(row_groups, leaves));
    rows_ = 0;
  }

  std::shared_ptr<const ArrowBatch> next_batch() override {
    std::shared_ptr<arrow::RecordBatch> batch;
    require_ok(batches_->ReadNext(&batch));
    if (batch) {
      rows_ += batch->num_rows();
      return maker_.make(batch);
    }
    const int64_t wanted = reader_->parquet_reader()->metadata()->num_rows();
    if (rows_ != wanted) {
      throw std::runtime_error("wanted " + std::to_string(wanted) + " rows as the footer says, found " +
                               std::to_string(rows_));
    }
    return nullptr;
  }

 private:
  std::unique_ptr<parquet::arrow::FileReader> reader_;
  std::unique_ptr<arrow::RecordBatchReader> batches_;
  std::vector<ArrowColumn> columns_;
  BatchMaker maker_;
  int64_t rows_ = 0;
};

}  // namespace
}  // namespace txtsum::data

extern "C" __attribute__((visibility("default"))) std::unique_ptr<txtsum::data::ArrowFile> txtsum_open_arrow_file_1(
    const std::string& path, bool is_parquet) {
  using namespace txtsum::data;
  const MappedInput input = value_of(arrow::io::MemoryMappedFile::Open(path, arrow::io::FileMode::READ));
  if (is_parquet) return std::make_unique<ParquetFile>(input);
  const std::string magic = bytes_before(input, std::min<int64_t>(value_of(input->GetSize()), 6), 6);
  if (magic.starts_with("FEA1")) {
    throw std::runtime_error("Feather version 1, which Arrow replaced; write it again (pandas: to_feather)");
  }
  if (magic == "ARROW1") return std::make_unique<ArrowTableFile>(input);
  return std::make_unique<ArrowStreamFile>(input);
}
