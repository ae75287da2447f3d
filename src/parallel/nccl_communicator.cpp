#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGraphsC10Utils.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include <cstring>
#include <exception>
#include <type_traits>
#include <utility>

#include "nccl_connection.h"
#include "nccl_library.h"
#include "txtsum/core/check.h"
#include "txtsum/core/error.h"
#include "txtsum/core/log.h"
#include "txtsum/parallel/make_communicator.h"

namespace txtsum::parallel {
namespace {

ncclDataType_t nccl_type(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return ncclFloat32;
    case at::kDouble:
      return ncclFloat64;
    case at::kBFloat16:
      return ncclBfloat16;
    case at::kHalf:
      return ncclFloat16;
    default:
      TXTSUM_CHECK(false, "type ", c10::toString(type));
  }
  return ncclFloat32;
}

/// A connection's name, made by rank 0.
ncclUniqueId share_id(Communicator& host) {
  ncclUniqueId id{};
  std::string bytes;
  if (host.rank() == 0) {
    const ncclResult_t code = nccl_library().get_unique_id(&id);
    if (code != ncclSuccess) throw core::EnvironmentError(nccl_library().error_text(code));
    bytes.assign(id.internal, sizeof id.internal);
  }
  const std::string all = host.gather_bytes(bytes).front();
  TXTSUM_CHECK(all.size() == sizeof id.internal, "bytes ", all.size());
  std::memcpy(id.internal, all.data(), sizeof id.internal);
  return id;
}

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(std::unique_ptr<Communicator> host, const c10::Device& device, double deadline_seconds)
      : exceptions_at_start_(std::uncaught_exceptions()),
        host_(std::move(host)),
        device_(device),
        stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/true, device.index())) {
    const c10::cuda::CUDAGuard guard(device_.index());
    connection_ = std::make_unique<NcclConnection>(host_, share_id(*host_), place(), deadline_seconds);
  }

  ~NcclCommunicator() override {
    try {
      leave();
    } catch (const std::exception& error) {
      core::log_warning(error.what());
    }
  }
  NcclCommunicator(const NcclCommunicator&) = delete;
  NcclCommunicator& operator=(const NcclCommunicator&) = delete;

  int64_t rank() const override { return host_->rank(); }
  int64_t world() const override { return host_->world(); }
  bool fits_graphs() const override { return true; }
  std::string peer_problem() override {
    const std::string own = connection_->failure().text;
    return own.empty() ? host_->peer_problem() : own;
  }

  void wait(const TicketRef& ticket) override {
    const auto started = std::dynamic_pointer_cast<NcclTicket>(ticket);
    TXTSUM_CHECK(started != nullptr);
    guarded([&] {
      if (started->host) return host_->wait(started->host);
      const c10::cuda::CUDAGuard guard(device_.index());
      TXTSUM_CHECK(started->in_graph == is_capturing(), "waited for on the other side of a graph's capture");
      started->over.block(c10::cuda::getCurrentCUDAStream());
      started->tensors.clear();
    });
  }

 protected:
  TicketRef start_reduce_scatter(const at::Tensor& values, const at::Tensor& shard) override {
    if (values.is_cpu()) return through_host([&] { return host_->reduce_scatter(values, shard); });
    const int64_t length = part_length(values.numel(), world());
    const ncclDataType_t type = nccl_type(values.scalar_type());
    const auto put = [&](const void* from, void* to) {
      call([&](ncclComm_t comm) {
        return nccl_.reduce_scatter(from, to, static_cast<size_t>(length), type, ncclSum, comm, stream_.stream());
      });
    };
    if (values.numel() == world() * length) {
      return on_stream({values, shard}, [&] { put(values.const_data_ptr(), shard.mutable_data_ptr()); });
    }
    // NCCL's parts are equal: the last ones are filled up with zeros.
    const at::Tensor padded = at::empty({world() * length}, values.options());
    return on_stream({values, shard, padded}, [&] {
      const size_t bytes = values.nbytes();
      copy(padded.mutable_data_ptr(), values.const_data_ptr(), bytes);
      C10_CUDA_CHECK(cudaMemsetAsync(static_cast<char*>(padded.mutable_data_ptr()) + bytes, 0, padded.nbytes() - bytes,
                                     stream_.stream()));
      char* const own = static_cast<char*>(padded.mutable_data_ptr()) + rank() * length * padded.element_size();
      put(padded.const_data_ptr(), own);
      copy(shard.mutable_data_ptr(), own, shard.nbytes());
    });
  }

  TicketRef start_all_gather(const at::Tensor& shard, const at::Tensor& values) override {
    if (values.is_cpu()) return through_host([&] { return host_->all_gather(shard, values); });
    const int64_t length = part_length(values.numel(), world());
    const auto part_bytes = static_cast<size_t>(length * values.element_size());
    const auto put = [&](const void* from, void* to) {
      call([&](ncclComm_t comm) { return nccl_.all_gather(from, to, part_bytes, ncclUint8, comm, stream_.stream()); });
    };
    if (values.numel() == world() * length) {
      return on_stream({shard, values}, [&] { put(shard.const_data_ptr(), values.mutable_data_ptr()); });
    }
    const at::Tensor padded = at::empty({world() * length}, values.options());
    return on_stream({shard, values, padded}, [&] {
      char* const own = static_cast<char*>(padded.mutable_data_ptr()) + static_cast<size_t>(rank()) * part_bytes;
      copy(own, shard.const_data_ptr(), shard.nbytes());
      put(own, padded.mutable_data_ptr());
      copy(values.mutable_data_ptr(), padded.const_data_ptr(), values.nbytes());
    });
  }

  TicketRef start_broadcast(const at::Tensor& values, int64_t root) override {
    if (values.is_cpu()) return through_host([&] { return host_->broadcast(values, root); });
    return on_stream({values}, [&] {
      call([&](ncclComm_t comm) {
        return nccl_.broadcast(values.const_data_ptr(), values.mutable_data_ptr(), values.nbytes(), ncclUint8,
                               static_cast<int>(root), comm, stream_.stream());
      });
    });
  }

  void start_watch() override {
    guarded([&] {
      const c10::cuda::CUDAGuard guard(device_.index());
      TXTSUM_CHECK(!is_capturing());
      const auto ticket = std::make_shared<NcclTicket>();
      ticket->place = place();
      ticket->over.record(c10::cuda::getCurrentCUDAStream());
      connection_->watch(ticket);
    });
  }

  std::vector<std::string> exchange(const std::string& bytes) override {
    return guarded([&] { return exchange_through(*host_, bytes); });
  }

  void abort_at(const std::string& place, const std::string& reason) override {
    connection_->fail(place, reason);
    abort_other(*host_, place, reason);
  }

 private:
  bool is_capturing() const {
    return c10::cuda::currentStreamCaptureStatusMayInitCtx() != c10::cuda::CaptureStatus::None;
  }

  void call(const std::function<ncclResult_t(ncclComm_t)>& put) { connection_->start(place(), put); }

  void copy(void* to, const void* from, size_t bytes) {
    if (bytes == 0) return;
    C10_CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_.stream()));
  }

  /// Has `put` put its work on the stream, behind what is on the current one. `tensors` are what it reads and writes.
  template <typename Put>
  TicketRef on_stream(std::vector<at::Tensor> tensors, const Put& put) {
    for (const at::Tensor& each : tensors) TXTSUM_CHECK(each.device() == device_, "device ", each.device().str());
    return guarded([&]() -> TicketRef {
      const c10::cuda::CUDAGuard guard(device_.index());
      const auto ticket = std::make_shared<NcclTicket>();
      ticket->place = place();
      ticket->in_graph = is_capturing();
      at::cuda::CUDAEvent ready;
      ready.record(c10::cuda::getCurrentCUDAStream());
      ready.block(stream_);
      if (current().elements > 0) put();
      ticket->tensors = std::move(tensors);
      ticket->over.record(stream_);
      if (!ticket->in_graph) connection_->watch(ticket);
      return ticket;
    });
  }

  template <typename Start>
  TicketRef through_host(const Start& start) {
    return guarded([&]() -> TicketRef {
      const auto ticket = std::make_shared<NcclTicket>();
      lend_place(*host_);
      ticket->host = start();
      return ticket;
    });
  }

  /// A failure of NCCL ends the host communicator, and the other way round.
  template <typename Body>
  std::invoke_result_t<Body> guarded(const Body& body) {
    try {
      connection_->check();
      return body();
    } catch (const core::RankError& error) {
      connection_->fail(error.what());
      const NcclFailure failure = connection_->failure();
      if (!failure.place.empty()) abort_other(*host_, failure.place, failure.what);
      throw;
    }
  }

  void leave() {
    if (std::uncaught_exceptions() > exceptions_at_start_) return abort("it leaves because of an error");
    connection_->drain();
    if (!connection_->failure().text.empty()) return;
    // Another GPU may still read this one's memory.
    guarded([&] {
      lend_place(*host_);
      host_->barrier();
    });
  }

  const NcclLibrary& nccl_ = nccl_library();
  const int exceptions_at_start_;
  const std::shared_ptr<Communicator> host_;
  const c10::Device device_;
  const c10::cuda::CUDAStream stream_;
  std::unique_ptr<NcclConnection> connection_;
};

}  // namespace

std::unique_ptr<Communicator> make_nccl_communicator(std::unique_ptr<Communicator> host, const c10::Device& device,
                                                     double deadline_seconds) {
  TXTSUM_CHECK(device.is_cuda() && device.has_index(), "device ", device.str());
  const c10::DeviceIndex gpus = c10::cuda::device_count();
  if (device.index() >= gpus) {
    throw core::EnvironmentError(device.str() + " is not there: this process sees " + std::to_string(gpus) + " GPUs");
  }
  if (host->rank() == 0) {
    core::log_info("ranks exchange through NCCL " + nccl_library().version + " (" + nccl_library().file + ")");
  }
  return std::make_unique<NcclCommunicator>(std::move(host), device, deadline_seconds);
}

}  // namespace txtsum::parallel
