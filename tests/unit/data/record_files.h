#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "support/temporary_folder.h"
#include "txtsum/core/error.h"
#include "txtsum/data/record_reader.h"

namespace txtsum::data {

inline const std::string kFixtures = std::string(TXTSUM_SOURCE_DIR) + "/tests/fixtures/data/";

inline std::vector<Record> read_all(const std::string& path, const ColumnRequest& request = {}) {
  RecordReader reader(path, request);
  std::vector<Record> records;
  for (Record record; reader.next(record);) records.push_back(record);
  return records;
}

/// Source and target of each row.
inline std::vector<std::vector<std::string>> pairs_in(const std::string& path, const ColumnRequest& request = {}) {
  std::vector<std::vector<std::string>> pairs;
  for (const Record& record : read_all(path, request)) pairs.push_back({record.source, record.target});
  return pairs;
}

/// A request of two named columns.
inline ColumnRequest columns(const std::string& source, const std::string& target) {
  ColumnRequest request;
  request.source = source;
  request.target = target;
  return request;
}

/// A folder for data files, and what the reader says about them.
class RecordFiles : public ::testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& text) const {
    std::filesystem::remove(folder_.path(name));  // some file systems flush a file that is cut and written again
    std::ofstream(folder_.path(name), std::ios::binary) << text;
    return folder_.path(name);
  }
  std::vector<std::vector<std::string>> pairs_of(const std::string& name, const std::string& text,
                                                 const ColumnRequest& request = {}) const {
    return pairs_in(write(name, text), request);
  }
  /// The text of the error that reading ends with; empty when there is none.
  std::string error_of(const std::string& name, const std::string& text, const ColumnRequest& request = {}) const {
    try {
      read_all(write(name, text), request);
    } catch (const core::DataError& error) {
      return error.what();
    }
    return "";
  }
  tests::TemporaryFolder folder_;
};

}  // namespace txtsum::data
