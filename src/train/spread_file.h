#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "txtsum/io/safetensors_layout.h"
#include "txtsum/parallel/communicator.h"

namespace txtsum::train {

/// A stretch of a tensor, in row-major order, and the rank that has it.
struct SpreadPiece {
  int64_t rank = 0, begin = 0, numel = 0;
  at::Tensor values;  ///< 1-D; undefined where another rank has them.
};

/// A tensor that is to be saved, whoever has what of it. Every rank knows all pieces.
struct SpreadTensor {
  io::TensorDeclaration declaration;
  std::vector<SpreadPiece> pieces;  ///< Ascending, without holes.
};

/// A file of such tensors.
struct SpreadFile {
  io::FileLayout layout;
  const std::vector<SpreadTensor>& tensors;
};

std::vector<io::TensorDeclaration> declarations_of(const std::vector<SpreadTensor>& tensors);

/// Makes the file in `folder` with its header and room for all pieces. Throws DataError.
void make_room(const std::string& folder, const SpreadFile& file);
/// Writes into it, after make_room, what `rank` has. Throws DataError.
void write_pieces_of(int64_t rank, const std::string& folder, const SpreadFile& file);
/// Instead of both: rank 0 writes the file from front to back, and the others hand it their pieces, one at a time. All
/// ranks call it. Throws DataError, on rank 0, when all pieces have come.
void write_through_first(parallel::Communicator& ranks, const std::string& folder, const SpreadFile& file);

}  // namespace txtsum::train
