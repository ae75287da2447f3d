#include "spread_file.h"

#include <ATen/ATen.h>

#include <optional>

#include "txtsum/core/error.h"
#include "txtsum/io/piece_file.h"

namespace txtsum::train {
namespace {

using Place = io::FileLayout::Place;

uint64_t first_byte(const Place& place, const SpreadPiece& piece, at::ScalarType type) {
  return place.begin + static_cast<uint64_t>(piece.begin) * c10::elementSize(type);
}

template <typename Function>
void for_each_piece(const SpreadFile& file, const Function& visit) {
  for (const Place& place : file.layout.places) {
    const SpreadTensor& tensor = file.tensors[place.tensor];
    for (const SpreadPiece& piece : tensor.pieces) visit(place, piece, tensor.declaration.type);
  }
}

/// A file that says at its end what went wrong on the way, so that whoever hands it pieces can do so to the end.
class PatientFile {
 public:
  explicit PatientFile(const std::string& path) {
    attempt([&] { file_.emplace(io::PieceFile::create(path)); });
  }
  template <typename... Arguments>
  void write(const Arguments&... arguments) {
    attempt([&] { file_->write(arguments...); });
  }
  void publish() {
    attempt([&] { file_->publish(); });
    if (problem_) throw core::DataError(*problem_);
  }

 private:
  template <typename Function>
  void attempt(const Function& work) {
    if (problem_) return;
    try {
      work();
    } catch (const core::DataError& error) {
      problem_ = error.what();
    }
  }

  std::optional<io::PieceFile> file_;
  std::optional<std::string> problem_;
};

}  // namespace

std::vector<io::TensorDeclaration> declarations_of(const std::vector<SpreadTensor>& tensors) {
  std::vector<io::TensorDeclaration> declarations;
  for (const SpreadTensor& tensor : tensors) declarations.push_back(tensor.declaration);
  return declarations;
}

void make_room(const std::string& folder, const SpreadFile& file) {
  io::PieceFile made = io::PieceFile::create(folder + "/" + file.layout.name);
  made.reserve(file.layout.bytes);
  made.write(0, file.layout.header);
  made.publish();
}

void write_pieces_of(int64_t rank, const std::string& folder, const SpreadFile& file) {
  io::PieceFile shared = io::PieceFile::open(folder + "/" + file.layout.name);
  for_each_piece(file, [&](const Place& place, const SpreadPiece& piece, at::ScalarType type) {
    if (piece.rank == rank) shared.write(first_byte(place, piece, type), piece.values, type);
  });
  shared.publish();
}

void write_through_first(parallel::Communicator& ranks, const std::string& folder, const SpreadFile& file) {
  std::optional<PatientFile> whole;
  if (ranks.rank() == 0) {
    whole.emplace(folder + "/" + file.layout.name);
    whole->write(0, file.layout.header);
  }
  for_each_piece(file, [&](const Place& place, const SpreadPiece& piece, at::ScalarType type) {
    at::Tensor values = piece.values;
    if (piece.rank != 0) {  // there is no way to one rank alone
      values = values.defined() ? values.to(at::kCPU, type).contiguous() : at::empty({piece.numel}, type);
      ranks.wait(ranks.broadcast(values, piece.rank));
    }
    if (whole) whole->write(first_byte(place, piece, type), values, type);
  });
  if (whole) whole->publish();
}

}  // namespace txtsum::train
