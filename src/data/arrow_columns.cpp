#include "arrow_columns.h"

#include <arrow/array.h>
#include <arrow/scalar.h>

#include <algorithm>
#include <string_view>

namespace txtsum::data {
namespace {

bool is_text(const arrow::DataType& type) {
  return type.id() == arrow::Type::STRING || type.id() == arrow::Type::LARGE_STRING ||
         type.id() == arrow::Type::STRING_VIEW;
}

ArrowKind kind_of(const arrow::DataType& type) {
  if (is_text(type)) return ArrowKind::kText;
  if (arrow::is_integer(type.id())) return ArrowKind::kInteger;
  if (type.id() != arrow::Type::DICTIONARY) return ArrowKind::kOther;
  return is_text(*static_cast<const arrow::DictionaryType&>(type).value_type()) ? ArrowKind::kText : ArrowKind::kOther;
}

/// Checks the offsets of texts. They are looked at as bytes: as texts, a letter that is not UTF-8 would be reported
/// without its row.
void check_texts(const arrow::Array& texts) {
  std::shared_ptr<arrow::DataType> bytes = arrow::binary();
  if (texts.type_id() == arrow::Type::LARGE_STRING) bytes = arrow::large_binary();
  if (texts.type_id() == arrow::Type::STRING_VIEW) bytes = arrow::binary_view();
  require_ok(value_of(texts.View(bytes))->ValidateFull());
}

std::string_view text_at(const arrow::Array& texts, int64_t row) {
  switch (texts.type_id()) {
    case arrow::Type::STRING:
      return static_cast<const arrow::StringArray&>(texts).GetView(row);
    case arrow::Type::LARGE_STRING:
      return static_cast<const arrow::LargeStringArray&>(texts).GetView(row);
    default:
      return static_cast<const arrow::StringViewArray&>(texts).GetView(row);
  }
}

class Batch : public ArrowBatch {
 public:
  Batch(std::shared_ptr<arrow::RecordBatch> batch, const std::vector<size_t>& places) : batch_(std::move(batch)) {
    for (const size_t place : places) columns_.push_back(batch_->column(static_cast<int>(place)));
  }

  int64_t rows() const override { return batch_->num_rows(); }

  std::optional<std::string> value(size_t column, int64_t row) const override {
    const arrow::Array& array = *columns_[column];
    if (array.IsNull(row)) return std::nullopt;
    if (is_text(*array.type())) return std::string(text_at(array, row));
    if (array.type_id() != arrow::Type::DICTIONARY) return value_of(array.GetScalar(row))->ToString();
    const auto& encoded = static_cast<const arrow::DictionaryArray&>(array);
    const arrow::Array& texts = *encoded.dictionary();
    const int64_t index = encoded.GetValueIndex(row);
    if (index < 0 || index >= texts.length()) {
      throw std::runtime_error("a dictionary index is " + std::to_string(index) + " and the dictionary has " +
                               std::to_string(texts.length()) + " values");
    }
    if (texts.IsNull(index)) return std::nullopt;
    return std::string(text_at(texts, index));
  }

 private:
  std::shared_ptr<arrow::RecordBatch> batch_;
  std::vector<std::shared_ptr<arrow::Array>> columns_;
};

}  // namespace

std::vector<ArrowColumn> columns_of(const arrow::Schema& schema) {
  std::vector<ArrowColumn> columns;
  for (const auto& field : schema.fields()) {
    columns.push_back({field->name(), field->type()->ToString(), kind_of(*field->type())});
  }
  return columns;
}

BatchMaker::BatchMaker(const std::vector<size_t>& selected) : checked_dictionaries_(selected.size()) {
  for (const size_t column : selected) in_file_order_.push_back(static_cast<int>(column));
  std::sort(in_file_order_.begin(), in_file_order_.end());
  for (const size_t column : selected) {
    const auto place = std::find(in_file_order_.begin(), in_file_order_.end(), static_cast<int>(column));
    places_.push_back(static_cast<size_t>(place - in_file_order_.begin()));
  }
}

std::shared_ptr<const ArrowBatch> BatchMaker::make(const std::shared_ptr<arrow::RecordBatch>& batch) {
  require_ok(batch->Validate());
  for (size_t place = 0; place < in_file_order_.size(); ++place) {
    const std::shared_ptr<arrow::Array> array = batch->column(static_cast<int>(place));
    if (array->type_id() == arrow::Type::DICTIONARY) {
      const auto& encoded = static_cast<const arrow::DictionaryArray&>(*array);
      require_ok(encoded.indices()->ValidateFull());
      if (checked_dictionaries_[place] == array->data()->dictionary) continue;
      check_texts(*encoded.dictionary());
      checked_dictionaries_[place] = array->data()->dictionary;
    } else if (is_text(*array->type())) {
      check_texts(*array);
    } else {
      require_ok(array->ValidateFull());
    }
  }
  return std::make_shared<Batch>(batch, places_);
}

}  // namespace txtsum::data
