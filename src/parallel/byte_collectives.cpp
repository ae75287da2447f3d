#include "byte_collectives.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "rank_sum.h"
#include "txtsum/parallel/communicator.h"

namespace txtsum::parallel {
namespace {

/// Bytes of a piece: large enough that a message's start costs nothing beside it, small enough that what a
/// reduce_scatter receives before it is added takes little memory.
constexpr int64_t kPieceBytes = int64_t{4} << 20;

std::byte* bytes_of(const at::Tensor& tensor) { return static_cast<std::byte*>(tensor.data_ptr()); }

/// The bytes of what `piece` (a stretch of every part, from the part's begin) has of `part`.
std::span<std::byte> cut(std::byte* values, const Part& part, const Part& piece, int64_t element_size) {
  const int64_t begin = std::min(part.begin + piece.begin, part.end);
  const int64_t end = std::min(part.begin + piece.end, part.end);
  return {values + begin * element_size, static_cast<size_t>((end - begin) * element_size)};
}

/// Calls `exchange(piece)` for stretches that cover `length` elements, at least once: ranks meet in every collective.
template <typename Function>
void for_each_piece(int64_t length, int64_t element_size, const Function& exchange) {
  const int64_t most = kPieceBytes / element_size;
  int64_t begin = 0;
  do {
    exchange(Part{begin, std::min(begin + most, length)});
    begin += most;
  } while (begin < length);
}

}  // namespace

ByteCollectives::ByteCollectives(int64_t rank, int64_t world, RunExchange run)
    : rank_(rank), world_(world), run_(std::move(run)), received_(static_cast<size_t>(world)) {}

Exchange ByteCollectives::empty_exchange() const {
  Exchange exchange;
  exchange.send.resize(static_cast<size_t>(world_));
  exchange.receive.resize(static_cast<size_t>(world_));
  return exchange;
}

void ByteCollectives::reduce_scatter(const at::Tensor& values, const at::Tensor& shard) {
  const int64_t numel = values.numel();
  const auto size = static_cast<int64_t>(values.element_size());
  const Part own = part_of(numel, world_, rank_);
  for_each_piece(part_length(numel, world_), size, [&](const Part& piece) {
    const std::span<std::byte> own_piece = cut(bytes_of(values), own, piece, size);
    Exchange exchange = empty_exchange();
    std::vector<const void*> addends;
    for (int64_t r = 0; r < world_; ++r) {
      const auto peer = static_cast<size_t>(r);
      if (is_peer(r)) {
        exchange.send[peer] = cut(bytes_of(values), part_of(numel, world_, r), piece, size);
        received_[peer].resize(std::max(received_[peer].size(), own_piece.size()));
        exchange.receive[peer] = std::span(received_[peer]).first(own_piece.size());
      }
      addends.push_back(is_peer(r) ? received_[peer].data() : own_piece.data());
    }
    run_(exchange);
    const int64_t count = static_cast<int64_t>(own_piece.size()) / size;
    if (count > 0) add_in_order(values.scalar_type(), addends, count, bytes_of(shard) + piece.begin * size);
  });
}

void ByteCollectives::all_gather(const at::Tensor& shard, const at::Tensor& values) {
  const int64_t numel = values.numel();
  const auto size = static_cast<int64_t>(values.element_size());
  const Part own = part_of(numel, world_, rank_);
  std::byte* const own_values = bytes_of(values) + own.begin * size;
  if (own.numel() > 0 && own_values != bytes_of(shard)) {
    std::memcpy(own_values, bytes_of(shard), static_cast<size_t>(own.numel() * size));
  }
  for_each_piece(part_length(numel, world_), size, [&](const Part& piece) {
    Exchange exchange = empty_exchange();
    for (int64_t r = 0; r < world_; ++r) {
      if (!is_peer(r)) continue;
      exchange.send[static_cast<size_t>(r)] = cut(bytes_of(values), own, piece, size);
      exchange.receive[static_cast<size_t>(r)] = cut(bytes_of(values), part_of(numel, world_, r), piece, size);
    }
    run_(exchange);
  });
}

void ByteCollectives::broadcast(const at::Tensor& values, int64_t root) {
  const auto size = static_cast<int64_t>(values.element_size());
  const Part all{0, values.numel()};
  for_each_piece(values.numel(), size, [&](const Part& piece) {
    Exchange exchange = empty_exchange();
    const std::span<std::byte> bytes = cut(bytes_of(values), all, piece, size);
    if (rank_ != root) exchange.receive[static_cast<size_t>(root)] = bytes;
    for (int64_t r = 0; r < world_; ++r) {
      if (is_peer(r) && rank_ == root) exchange.send[static_cast<size_t>(r)] = bytes;
    }
    run_(exchange);
  });
}

std::vector<std::string> ByteCollectives::gather(const std::string& bytes) {
  const auto ranks = static_cast<size_t>(world_);
  std::vector<int64_t> lengths(ranks, static_cast<int64_t>(bytes.size()));
  Exchange exchange = empty_exchange();
  for (size_t r = 0; r < ranks; ++r) {
    if (!is_peer(static_cast<int64_t>(r))) continue;
    exchange.send[r] = std::as_bytes(std::span(&lengths[static_cast<size_t>(rank_)], 1));
    exchange.receive[r] = std::as_writable_bytes(std::span(&lengths[r], 1));
  }
  run_(exchange);

  std::vector<std::string> all(ranks);
  all[static_cast<size_t>(rank_)] = bytes;
  for (size_t r = 0; r < ranks; ++r) all[r].resize(static_cast<size_t>(lengths[r]));
  const int64_t longest = *std::max_element(lengths.begin(), lengths.end());
  if (longest == 0) return all;
  for_each_piece(longest, 1, [&](const Part& piece) {
    Exchange part = empty_exchange();
    for (size_t r = 0; r < ranks; ++r) {
      if (!is_peer(static_cast<int64_t>(r))) continue;
      std::string& own = all[static_cast<size_t>(rank_)];
      part.send[r] = cut(reinterpret_cast<std::byte*>(own.data()), {0, lengths[static_cast<size_t>(rank_)]}, piece, 1);
      part.receive[r] = cut(reinterpret_cast<std::byte*>(all[r].data()), {0, lengths[r]}, piece, 1);
    }
    run_(part);
  });
  return all;
}

}  // namespace txtsum::parallel
