#pragma once

#include <string>
#include <vector>

namespace txtsum::data {

/// The Arrow or Parquet files that a data set consists of.
struct DataFiles {
  std::vector<std::string> files;        ///< In the order of the rows.
  std::vector<std::string> index_files;  ///< Of a data set whose rows are read by number; mostly none.
};

/// Finds the files of `split` in a folder: one that datasets' save_to_disk wrote for a Dataset (state.json) or a
/// DatasetDict (dataset_dict.json), or a folder of shards, in the order of their names. Of shards whose names have the
/// word of a split, those of `split` are taken; it may be empty where there is no choice. Throws DataError: nothing to
/// read, no such split, a shard that is missing.
DataFiles find_data_files(const std::string& folder, const std::string& split);

/// Whether files with this ending are read by Arrow: .parquet, .arrow and .feather.
bool is_arrow_ending(const std::string& ending);

}  // namespace txtsum::data
