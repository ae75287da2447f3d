#include "txtsum/parallel/communicator.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "txtsum/core/check.h"

namespace txtsum::parallel {
namespace {

void check_values(const at::Tensor& values) {
  TXTSUM_CHECK(values.dim() == 1 && values.is_contiguous(), "sizes ", values.sizes());
}

/// Any other overlap than being the part itself would be written while it is read.
void check_shard(const at::Tensor& values, const at::Tensor& shard, const Part& part) {
  check_values(values);
  TXTSUM_CHECK(shard.dim() == 1 && shard.is_contiguous(), "sizes ", shard.sizes());
  TXTSUM_CHECK(shard.numel() == part.numel(), "shard ", shard.numel(), " part ", part.numel());
  TXTSUM_CHECK(shard.scalar_type() == values.scalar_type() && shard.device() == values.device());
  const auto* begin = static_cast<const char*>(values.const_data_ptr());
  const auto* own = static_cast<const char*>(shard.const_data_ptr());
  const auto size = static_cast<int64_t>(values.element_size());
  const bool apart = own + shard.numel() * size <= begin || own >= begin + values.numel() * size;
  TXTSUM_CHECK(shard.numel() == 0 || apart || own == begin + part.begin * size, "the shard overlaps other parts");
}

}  // namespace

TicketRef Communicator::reduce_scatter(const at::Tensor& values, const at::Tensor& shard) {
  const Part part = part_of(values.numel(), world(), rank());
  check_shard(values, shard, part);
  TXTSUM_CHECK(values.is_floating_point(), "type ", values.scalar_type());
  begin("reduce_scatter", values.numel());
  count_sent(counts_.reduce_scatter_elements, values.numel() - part.numel(), values.element_size());
  return start_reduce_scatter(values, shard);
}

TicketRef Communicator::all_gather(const at::Tensor& shard, const at::Tensor& values) {
  const Part part = part_of(values.numel(), world(), rank());
  check_shard(values, shard, part);
  begin("all_gather", values.numel());
  count_sent(counts_.all_gather_elements, part.numel() * (world() - 1), values.element_size());
  return start_all_gather(shard, values);
}

TicketRef Communicator::broadcast(const at::Tensor& values, int64_t root) {
  check_values(values);
  TXTSUM_CHECK(root >= 0 && root < world(), "root ", root, " world ", world());
  begin("broadcast", values.numel());
  if (root == rank()) {
    count_sent(counts_.broadcast_elements, values.numel() * (world() - 1), values.element_size());
  }
  return start_broadcast(values, root);
}

TrafficCounts Communicator::take_captured(const TrafficCounts& before) {
  TrafficCounts sent = counts_;
  sent.reduce_scatter_elements -= before.reduce_scatter_elements;
  sent.all_gather_elements -= before.all_gather_elements;
  sent.broadcast_elements -= before.broadcast_elements;
  sent.bytes -= before.bytes;
  sent.collectives = 0;  // their numbers are taken
  const int64_t collectives = counts_.collectives;
  counts_ = before;
  counts_.collectives = collectives;
  return sent;
}

void Communicator::watch_replay(const TrafficCounts& sent) {
  counts_.reduce_scatter_elements += sent.reduce_scatter_elements;
  counts_.all_gather_elements += sent.all_gather_elements;
  counts_.broadcast_elements += sent.broadcast_elements;
  counts_.bytes += sent.bytes;
  begin("replayed graph", 0);
  start_watch();
}

void Communicator::all_reduce(std::vector<double>& values) {
  begin("all_reduce", static_cast<int64_t>(values.size()));
  std::string bytes(values.size() * sizeof(double), '\0');
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  const std::vector<std::string> all = exchange(bytes);
  std::vector<double> sums(values.size()), addends(values.size());
  for (size_t r = 0; r < all.size(); ++r) {
    TXTSUM_CHECK(all[r].size() == bytes.size(), "rank ", r, " sent ", all[r].size(), " bytes, wanted ", bytes.size());
    if (bytes.empty()) continue;
    std::memcpy(addends.data(), all[r].data(), bytes.size());
    for (size_t i = 0; i < sums.size(); ++i) sums[i] = r == 0 ? addends[i] : sums[i] + addends[i];
  }
  values = std::move(sums);
}

std::vector<std::string> Communicator::gather_bytes(const std::string& bytes) {
  // The number of elements is left out of the name: it may differ between ranks.
  begin("gather_bytes", 0);
  return exchange(bytes);
}

void Communicator::barrier() {
  begin("barrier", 0);
  exchange("");
}

void Communicator::abort(const std::string& reason) { abort_at(place(), reason.empty() ? "no reason given" : reason); }

void Communicator::set_phase(int64_t update, std::string phase) {
  update_ = update;
  phase_ = std::move(phase);
}

void Communicator::lend_place(Communicator& other) const {
  other.update_ = update_;
  other.phase_ = phase_;
}

std::vector<std::string> Communicator::exchange_through(Communicator& other, const std::string& bytes) const {
  lend_place(other);
  other.current_ = {++other.counts_.collectives, current_.name, current_.elements};
  return other.exchange(bytes);
}

void Communicator::abort_other(Communicator& other, const std::string& place, const std::string& reason) {
  other.abort_at(place, reason);
}

std::string Communicator::place() const {
  std::string text = "update " + std::to_string(update_) + ", " + phase_;
  if (current_.number == 0) return text;
  text += ", collective " + std::to_string(current_.number) + " (" + current_.name;
  if (current_.elements > 0) text += " of " + std::to_string(current_.elements) + " elements";
  return text + ")";
}

void Communicator::begin(const char* name, int64_t elements) { current_ = {++counts_.collectives, name, elements}; }

void Communicator::count_sent(int64_t& elements_so_far, int64_t elements, size_t element_size) {
  elements_so_far += elements;
  counts_.bytes += elements * static_cast<int64_t>(element_size);
}

}  // namespace txtsum::parallel
