#include "arrow_batches.h"

#include <algorithm>

#include "arrow_library.h"
#include "record_format.h"
#include "txtsum/core/error.h"

namespace txtsum::data {
namespace {

size_t find_column(const std::vector<ArrowColumn>& columns, const std::string& name, const std::string& path) {
  std::vector<std::string> names;
  std::vector<size_t> places;
  for (size_t i = 0; i < columns.size(); ++i) {
    names.push_back(columns[i].name);
    if (columns[i].name == name) places.push_back(i);
  }
  if (places.empty()) throw core::DataError(path + ": no column '" + name + "'; found " + quoted_list(names));
  if (places.size() > 1) throw core::DataError(path + ": column '" + name + "' is there twice");
  return places[0];
}

}  // namespace

void ArrowSelection::add(const std::string& name, bool allow_integer) {
  if (slot(name) == columns_.size()) columns_.push_back({name, allow_integer});
}

size_t ArrowSelection::slot(const std::string& name) const {
  const auto found = std::find_if(columns_.begin(), columns_.end(), [&](const Column& c) { return c.name == name; });
  return static_cast<size_t>(found - columns_.begin());
}

void ArrowSelection::apply(ArrowFile& file, const std::string& path) const {
  std::vector<size_t> places;
  for (const Column& wanted : columns_) {
    places.push_back(find_column(file.columns(), wanted.name, path));
    const ArrowColumn& column = file.columns()[places.back()];
    if (column.kind == ArrowKind::kText || (wanted.allow_integer && column.kind == ArrowKind::kInteger)) continue;
    throw core::DataError(path + ": column '" + wanted.name + "': wanted " +
                          (wanted.allow_integer ? "integers or " : "") +
                          "strings (string, large_string, string_view, or a dictionary of them), found " + column.type);
  }
  with_path_in_errors(path, [&] { file.select(places); });
}

ArrowBatches::ArrowBatches(std::vector<std::string> paths)
    : paths_(std::move(paths)), file_(open_arrow_file(paths_.front())) {}

void ArrowBatches::select(const ArrowSelection& selection) {
  selection_ = selection;
  selection_.apply(*file_, paths_[number_]);
}

bool ArrowBatches::next(PlacedBatch& placed) {
  while (true) {
    if (auto batch = with_path_in_errors(paths_[number_], [&] { return file_->next_batch(); })) {
      placed = {batch, number_, rows_};
      rows_ += batch->rows();
      return true;
    }
    if (number_ + 1 == paths_.size()) return false;
    file_ = open_arrow_file(paths_[++number_]);
    selection_.apply(*file_, paths_[number_]);
    rows_ = 0;
  }
}

}  // namespace txtsum::data
