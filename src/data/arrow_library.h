#pragma once

#include <memory>
#include <new>
#include <string>

#include "arrow_interface.h"
#include "txtsum/core/error.h"

namespace txtsum::data {

/// Opens an Arrow or Parquet file (the latter where its name ends in .parquet), and at the first call the module that
/// reads them: the program itself is not linked with Arrow, whose 60 MB most runs need not have. Throws DataError with
/// the path: no module, no such file, not of the format.
std::unique_ptr<ArrowFile> open_arrow_file(const std::string& path);

/// Does `work` with the file at `path`; what the module throws becomes a DataError that names the path.
template <typename Work>
auto with_path_in_errors(const std::string& path, const Work& work) {
  try {
    return work();
  } catch (const core::Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    throw core::DataError(path + ": " + error.what());
  }
}

}  // namespace txtsum::data
