#pragma once

#include "txtsum/io/tensor_file.h"
#include "untrusted.h"

namespace txtsum::tests {

/// Asks a file for each of its tensors and reads their elements.
inline void read_tensors(const io::TensorFile& file) {
  constexpr uint64_t kMostBytes = 1 << 20;  // a tensor may repeat one element without end
  for (const io::TensorEntry& entry : file.entries()) {
    accepts(file.path(), [&] {
      const at::Tensor tensor = file.tensor(entry.name);
      if (tensor.sizes() != entry.shape) InputFile::die(entry.name + " has another shape than its entry");
      if (tensor.nbytes() <= kMostBytes) tensor.clone(at::MemoryFormat::Contiguous);
    });
  }
}

}  // namespace txtsum::tests
