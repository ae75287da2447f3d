#include "txtsum/io/tensor_file.h"

#include "txtsum/io/pickled_weights.h"
#include "txtsum/io/safetensors.h"

namespace txtsum::io {

std::unique_ptr<TensorFile> open_tensor_file(const std::string& path) {
  if (path.ends_with(".safetensors")) return std::make_unique<SafetensorsFile>(path);
  return std::make_unique<PickledWeights>(path);
}

}  // namespace txtsum::io
