#include "txtsum/data/dataset_loader.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

#include "txtsum/core/check.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/core/json.h"
#include "txtsum/core/stop_signal.h"
#include "txtsum/data/token_cache.h"

namespace txtsum::data {
namespace {

constexpr int64_t kTableVersion = 1;    // raised when the same options give another table
constexpr size_t kRowsPerChunk = 4096;  // rows held as text while they are tokenized

/// A row that is going to be tokenized.
struct PendingRow {
  Record record;
  int64_t number;  // in the split
};

bool is_blank(const std::string& text) { return text.find_first_not_of(" \t\r\n\f\v") == std::string::npos; }

uint64_t hash_of(const std::string& text) { return std::stoull(core::content_hash(text).substr(0, 16), nullptr, 16); }

/// Runs work(i) for all i < count on `threads` threads; the first exception ends the work and comes out here.
void run_parallel(size_t count, int threads, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next{0};
  std::exception_ptr failure;
  std::mutex mutex;
  const auto loop = [&] {
    try {
      for (size_t i = next++; i < count; i = next++) work(i);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex);
      if (!failure) failure = std::current_exception();
      next = count;
    }
  };
  std::vector<std::thread> workers;
  for (int i = 1; i < threads && static_cast<size_t>(i) < count; ++i) workers.emplace_back(loop);
  loop();
  for (std::thread& worker : workers) worker.join();
  if (failure) std::rethrow_exception(failure);
}

/// Goes through the rows of a split that are kept, in order; counts those that are dropped.
class RowSource {
 public:
  explicit RowSource(const DatasetOptions& options) : options_(options) {}

  bool next(PendingRow& row) {
    while (!options_.max_examples || counts_.read < *options_.max_examples) {
      if (!reader_) {
        if (file_ == options_.files.size()) return false;
        reader_.emplace(options_.files[file_++], options_.columns, options_.folder_split);
      }
      if (!reader_->next(row.record)) {
        reader_.reset();
        continue;
      }
      if (!options_.share.is_all() && !options_.share.holds(row.record.source)) continue;
      row.number = counts_.read++;
      if (keep(row.record)) return true;
    }
    return false;
  }
  const RowCounts& counts() const { return counts_; }

 private:
  bool keep(const Record& record) {
    const bool no_source = is_blank(record.source);
    const bool no_target = !reader_->columns().target.empty() && is_blank(record.target);
    if (!no_source && !no_target) return true;
    if (options_.fail_on_empty) {
      throw core::DataError(reader_->where() + ": column '" +
                            (no_source ? reader_->columns().source : reader_->columns().target) +
                            "' is empty; fill it, or let such pairs be dropped (data.empty: drop)");
    }
    ++(no_source ? counts_.empty_source : counts_.empty_target);
    return false;
  }

  const DatasetOptions& options_;
  std::optional<RecordReader> reader_;
  size_t file_ = 0;
  RowCounts counts_;
};

void require_not_stopped() {
  const int signal = core::stop_signal();
  if (signal != 0) throw core::StoppedBySignal("stopped while tokenizing; nothing was saved, start again", signal);
}

TokenRow encode_row(const PendingRow& row, const DatasetOptions& options, const Encode& encode) {
  TokenRow made;
  Encoded source = encode(options.source_prefix + row.record.source, options.max_source_tokens);
  made.source_ids = std::move(source.ids);
  made.full_source_length = source.full_length;
  if (!row.record.target.empty()) {
    Encoded target = encode(row.record.target, options.max_target_tokens);
    made.target_ids = std::move(target.ids);
    made.full_target_length = target.full_length;
  }
  made.source_hash = hash_of(row.record.source);
  made.row = row.number;
  return made;
}

TokenTable tokenize(const DatasetOptions& options, const Encode& encode) {
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const int threads = options.threads > 0 ? options.threads : cores;
  RowSource source(options);
  TokenTableBuilder builder;
  std::vector<PendingRow> chunk(kRowsPerChunk);
  std::vector<TokenRow> made(kRowsPerChunk);
  for (size_t count = kRowsPerChunk; count == kRowsPerChunk;) {
    require_not_stopped();
    count = 0;
    while (count < kRowsPerChunk && source.next(chunk[count])) ++count;
    run_parallel(count, threads, [&](size_t i) {
      require_not_stopped();
      made[i] = encode_row(chunk[i], options, encode);
    });
    for (size_t i = 0; i < count; ++i) builder.add(made[i]);
  }
  return builder.finish(source.counts());
}

/// A file or folder of the split. `format` as the reader names it: the same bytes have other rows as CSV than as TSV.
struct OpenedInput {
  std::vector<std::string> files;
  std::string format;
  ColumnChoice columns;
};

std::string cache_key(const DatasetOptions& options, const std::vector<OpenedInput>& inputs) {
  core::Json parts;
  parts["version"] = kTableVersion;
  for (const OpenedInput& input : inputs) {
    std::string content;
    for (const std::string& path : input.files) {
      content.append(content.empty() ? "" : " ").append(core::content_hash(core::MappedFile(path).text()));
    }
    parts["files"].push_back({content, input.format, input.columns.source, input.columns.target});
  }
  if (!options.share.is_all()) parts["share"] = {options.share.begin, options.share.end};
  parts["tokenizer"] = options.tokenizer_fingerprint;
  parts["prefix"] = options.source_prefix;
  parts["limits"] = {options.max_source_tokens, options.max_target_tokens, options.max_examples.value_or(-1)};
  parts["fail_on_empty"] = options.fail_on_empty;
  return core::content_hash(core::to_line(parts));
}

std::vector<ExampleText> read_texts(const DatasetOptions& options, const TokenTable& table) {
  std::vector<ExampleText> texts;
  texts.reserve(table.rows.size());
  RowSource source(options);
  for (PendingRow row; source.next(row);) {
    if (row.record.id.empty()) row.record.id = std::to_string(row.number);
    texts.push_back({std::move(row.record.id), std::move(row.record.source), std::move(row.record.target)});
  }
  if (texts.size() != table.rows.size()) {
    throw core::DataError(options.files.front() + ": the data changed while it was read: " +
                          std::to_string(table.rows.size()) + " examples, then " + std::to_string(texts.size()));
  }
  return texts;
}

}  // namespace

bool SourceShare::holds(const std::string& source) const {
  // The lower half of the hash: the upper one is what the data report tells documents apart by.
  const uint64_t hash = std::stoull(core::content_hash(source).substr(16), nullptr, 16);
  const double place = static_cast<double>(hash >> 11) * 0x1p-53;
  return place >= begin && place < end;
}

LoadedDataset load_dataset(const DatasetOptions& options, const Encode& encode) {
  TXTSUM_CHECK(!options.files.empty());
  LoadedDataset loaded;
  std::vector<OpenedInput> inputs;
  for (const std::string& file : options.files) {
    const RecordReader reader(file, options.columns, options.folder_split);
    inputs.push_back({reader.files(), reader.format_name(), reader.columns()});
    loaded.columns.push_back(reader.columns());
  }
  const std::string key = options.cache_folder.empty() ? "" : cache_key(options, inputs);
  TokenTable table = open_or_build_token_cache(
      options.cache_folder, key, [&] { return tokenize(options, encode); }, loaded.was_cached);
  if (table.size() == 0) {
    throw core::DataError(options.files.front() + ": no example: " + std::to_string(table.counts.read) +
                          " rows read, " + std::to_string(table.counts.empty_source) + " with an empty source and " +
                          std::to_string(table.counts.empty_target) + " with an empty target" +
                          (options.share.is_all() ? "" : ", in the share of the documents that this split takes"));
  }
  std::vector<ExampleText> texts;
  if (options.keep_texts) texts = read_texts(options, table);
  loaded.dataset = Dataset(std::move(table), std::move(texts));
  return loaded;
}

}  // namespace txtsum::data
