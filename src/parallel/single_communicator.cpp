#include <string>

#include "txtsum/core/check.h"
#include "txtsum/parallel/communicator.h"

namespace txtsum::parallel {
namespace {

class SingleCommunicator final : public Communicator {
 public:
  int64_t rank() const override { return 0; }
  int64_t world() const override { return 1; }

  void all_reduce(const at::Tensor&) override { check_alive(); }
  void reduce_scatter(const at::Tensor& values, const at::Tensor& shard) override { copy(values, shard); }
  void all_gather(const at::Tensor& shard, const at::Tensor& values) override { copy(shard, values); }
  void broadcast(const at::Tensor&, int64_t root) override {
    check_alive();
    TXTSUM_CHECK(root == 0, "root ", root);
  }
  void all_reduce(std::vector<double>&) override { check_alive(); }
  void barrier() override { check_alive(); }
  void abort(const std::string& reason) override { abort_reason_ = reason.empty() ? "no reason given" : reason; }

 private:
  void check_alive() const { TXTSUM_CHECK(abort_reason_.empty(), "a collective after abort: ", abort_reason_); }

  void copy(const at::Tensor& from, const at::Tensor& to) const {
    check_alive();
    TXTSUM_CHECK(from.dim() == 1 && to.dim() == 1 && from.numel() == to.numel(), from.numel(), " ", to.numel());
    TXTSUM_CHECK(from.scalar_type() == to.scalar_type());
    if (from.data_ptr() != to.data_ptr()) to.copy_(from);
  }

  std::string abort_reason_;
};

}  // namespace

std::unique_ptr<Communicator> make_single_communicator() { return std::make_unique<SingleCommunicator>(); }

}  // namespace txtsum::parallel
