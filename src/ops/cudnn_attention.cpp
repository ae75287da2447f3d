#include "cudnn_attention.h"

#include <cudnn_frontend.h>
#include <dlfcn.h>

#include <cstdlib>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <unordered_map>

namespace cudnn_frontend {
// The frontend looks cuDNN's functions up here. LibTorch's libraries have loaded this one already.
void* cudnn_dlhandle = nullptr;
}  // namespace cudnn_frontend

namespace txtsum::ops::cudnn {
namespace {

namespace fe = cudnn_frontend;
using Tensor = std::shared_ptr<fe::graph::Tensor_attributes>;

enum Id : int64_t {
  kQ = 1,
  kK,
  kV,
  kOut,
  kSums,
  kDOut,
  kDQ,
  kDK,
  kDV,
  kLengthsQ,
  kLengthsK,
  kIndexQ,
  kIndexK,
  kIndexOut,
  kIndexSums
};

void require(fe::error_t status) {
  if (status.is_bad()) throw std::runtime_error("cuDNN attention: " + status.get_message());
}

void require(cudnnStatus_t status) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  throw std::runtime_error(std::string("cuDNN: ") + fe::detail::get_error_string(status));
}

/// The graph of one plan: declares the tensors and the node, and lets cuDNN choose a kernel.
class Builder {
 public:
  Builder(const AttentionPlan& plan, fe::graph::Graph& graph) : plan_(plan), graph_(graph) {
    graph_.set_io_data_type(plan.half ? fe::DataType_t::HALF : fe::DataType_t::BFLOAT16)
        .set_intermediate_data_type(fe::DataType_t::FLOAT)
        .set_compute_data_type(fe::DataType_t::FLOAT);
    q_index_ = index(kIndexQ, plan.slots + 1);
    k_index_ = index(kIndexK, plan.slots + 1);
    out_index_ = index(kIndexOut, plan.slots + 1);
    sums_index_ = index(kIndexSums, plan.slots + 1);
  }

  void forward() {
    auto options = fe::graph::SDPA_attributes().set_generate_stats(true);
    describe(options);
    auto [out, sums] = graph_.sdpa(q(kQ), k(kK), k(kV), options);
    place(out->set_output(true), kOut, plan_.longest_q, width(), out_index_);
    place_sums(sums->set_output(true));
  }

  void backward() {
    auto options = fe::graph::SDPA_backward_attributes();
    describe(options);
    options.set_max_total_seq_len_q(plan_.tokens_q);
    Tensor sums = graph_.tensor(fe::graph::Tensor_attributes());
    place_sums(sums);
    auto [d_q, d_k, d_v] = graph_.sdpa_backward(q(kQ), k(kK), k(kV), out(kOut), out(kDOut), sums, options);
    place(d_q->set_output(true), kDQ, plan_.longest_q, plan_.q_stride, q_index_);
    place(d_k->set_output(true), kDK, plan_.longest_k, plan_.k_stride, k_index_);
    place(d_v->set_output(true), kDV, plan_.longest_k, plan_.k_stride, k_index_);
  }

 private:
  int64_t width() const { return plan_.heads * plan_.head_width; }

  Tensor index(Id id, int64_t count) {
    return graph_.tensor(fe::graph::Tensor_attributes()
                             .set_uid(id)
                             .set_dim({count, 1, 1, 1})
                             .set_stride({1, 1, 1, 1})
                             .set_data_type(fe::DataType_t::INT32));
  }

  void place(fe::graph::Tensor_attributes& tensor, Id id, int64_t longest, int64_t stride, const Tensor& offsets) {
    tensor.set_uid(id)
        .set_dim({plan_.slots, plan_.heads, longest, plan_.head_width})
        .set_stride({longest * stride, plan_.head_width, stride, 1})
        .set_ragged_offset(offsets);
  }

  void place_sums(fe::graph::Tensor_attributes& sums) {
    sums.set_uid(kSums)
        .set_dim({plan_.slots, plan_.heads, plan_.longest_q, 1})
        .set_stride({plan_.longest_q * plan_.heads, 1, plan_.heads, 1})
        .set_ragged_offset(sums_index_)
        .set_data_type(fe::DataType_t::FLOAT);
  }
  void place_sums(const Tensor& sums) { place_sums(*sums); }

  Tensor rows(Id id, int64_t longest, int64_t stride, const Tensor& offsets) {
    fe::graph::Tensor_attributes tensor;
    place(tensor, id, longest, stride, offsets);
    return graph_.tensor(tensor);
  }
  Tensor q(Id id) { return rows(id, plan_.longest_q, plan_.q_stride, q_index_); }
  Tensor k(Id id) { return rows(id, plan_.longest_k, plan_.k_stride, k_index_); }
  Tensor out(Id id) { return rows(id, plan_.longest_q, width(), out_index_); }

  template <typename Options>
  void describe(Options& options) {
    options.set_name("attention")
        .set_attn_scale(static_cast<float>(plan_.scale))
        .set_padding_mask(true)
        .set_seq_len_q(index(kLengthsQ, plan_.slots))
        .set_seq_len_kv(index(kLengthsK, plan_.slots));
  }

  const AttentionPlan& plan_;
  fe::graph::Graph& graph_;
  Tensor q_index_, k_index_, out_index_, sums_index_;
};

/// The process's cuDNN handle and the plans made with it. Forward and backward come from different threads.
class Plans {
 public:
  static Plans& of_process() {
    static Plans plans;
    return plans;
  }

  void plan_ahead(AttentionPlan plan) {
    ahead_ = std::async(std::launch::async, [this, plan]() mutable {
      for (const bool backward : {false, true}) {
        plan.backward = backward;
        workspace_bytes(plan);
      }
    });
  }

  size_t workspace_bytes(const AttentionPlan& plan) {
    const std::lock_guard lock(mutex_);
    return static_cast<size_t>(planned(plan).get_workspace_size());
  }

  void run(const AttentionPlan& plan, const AttentionPointers& pointers, void* workspace, cudaStream_t stream) {
    const std::lock_guard lock(mutex_);
    require(fe::detail::set_stream(handle_, stream));
    const AttentionIndices& indices = pointers.indices;
    std::unordered_map<int64_t, void*> pack{{kQ, writable(pointers.q)},
                                            {kK, writable(pointers.k)},
                                            {kV, writable(pointers.v)},
                                            {kOut, pointers.out},
                                            {kSums, pointers.log_sums},
                                            {kLengthsQ, writable(indices.lengths_q)},
                                            {kLengthsK, writable(indices.lengths_k)},
                                            {kIndexQ, writable(indices.q)},
                                            {kIndexK, writable(indices.k)},
                                            {kIndexOut, writable(indices.out)},
                                            {kIndexSums, writable(indices.sums)}};
    if (plan.backward) {
      pack.insert({{kDOut, writable(pointers.d_out)}, {kDQ, pointers.d_q}, {kDK, pointers.d_k}, {kDV, pointers.d_v}});
    }
    require(planned(plan).execute(handle_, pack, workspace));
  }

 private:
  Plans() {
    // LibTorch's runtime, whatever other versions the machine has.
    setenv("CUDNN_FRONTEND_CUDART_LIB_NAME", "libcudart.so.13", /*overwrite=*/0);
    fe::cudnn_dlhandle = dlopen("libcudnn.so.9", RTLD_NOW);
    if (fe::cudnn_dlhandle == nullptr) throw std::runtime_error(std::string("cuDNN: ") + dlerror());
    require(fe::detail::create_handle(&handle_));
  }

  /// cuDNN's interface takes addresses it only reads without const.
  static void* writable(const void* pointer) { return const_cast<void*>(pointer); }

  fe::graph::Graph& planned(const AttentionPlan& plan) {
    auto found = graphs_.find(plan);
    if (found == graphs_.end()) {
      auto graph = std::make_unique<fe::graph::Graph>();
      Builder builder(plan, *graph);
      if (plan.backward) {
        builder.backward();
      } else {
        builder.forward();
      }
      require(graph->build(handle_, {fe::HeurMode_t::A}));
      found = graphs_.emplace(plan, std::move(graph)).first;
    }
    return *found->second;
  }

  std::mutex mutex_;
  cudnnHandle_t handle_ = nullptr;  // never destroyed: at exit the driver may be gone before it
  std::map<AttentionPlan, std::unique_ptr<fe::graph::Graph>> graphs_;
  std::future<void> ahead_;  // last: waited for before the rest goes. An error of its comes again at the first batch
};

}  // namespace

void plan_ahead(const AttentionPlan& plan) { Plans::of_process().plan_ahead(plan); }

size_t attention_workspace_bytes(const AttentionPlan& plan) { return Plans::of_process().workspace_bytes(plan); }

void run_attention(const AttentionPlan& plan, const AttentionPointers& pointers, void* workspace, cudaStream_t stream) {
  Plans::of_process().run(plan, pointers, workspace, stream);
}

}  // namespace txtsum::ops::cudnn
