#pragma once

#include <memory>

#include "data/record_format.h"
#include "txtsum/data/record_reader.h"
#include "untrusted.h"

namespace txtsum::tests {

/// Reads all rows of `bytes`: by the first and the last column, whatever their names, and as a training reads them.
inline void read_rows(const InputFile& file, std::unique_ptr<data::RecordReader::Format> (*open)(core::MappedFile),
                      std::string_view bytes) {
  file.write(bytes);
  accepts(file.path(), [&] {
    const auto format = open(core::MappedFile(file.path()));
    const std::vector<std::string> names = format->names();
    while (!names.empty() && format->advance()) {
      format->field(names.front(), /*allow_integer=*/true);
      format->field(names.back(), /*allow_integer=*/false);
    }
  });
  accepts(file.path(), [&] {
    data::RecordReader reader(file.path(), {});
    data::Record record;
    while (reader.next(record)) {
    }
  });
}

}  // namespace txtsum::tests
