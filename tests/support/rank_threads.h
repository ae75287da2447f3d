#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "txtsum/parallel/make_communicator.h"

namespace txtsum::tests {

/// Runs `body` once a rank, each in a thread of its own; returns what each threw, null where nothing.
inline std::vector<std::exception_ptr> try_ranks(std::vector<std::unique_ptr<parallel::Communicator>>& communicators,
                                                 const std::function<void(parallel::Communicator&)>& body) {
  std::vector<std::exception_ptr> thrown(communicators.size());
  std::vector<std::thread> threads;
  for (size_t r = 0; r < communicators.size(); ++r) {
    threads.emplace_back([&, r] {
      try {
        body(*communicators[r]);
      } catch (...) {
        thrown[r] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return thrown;
}

/// Runs `body` on `world` ranks as threads; throws what the first that threw did.
inline void run_ranks(int64_t world, const std::function<void(parallel::Communicator&)>& body,
                      double deadline_seconds = 60) {
  auto communicators = parallel::make_thread_communicators(world, deadline_seconds);
  for (const std::exception_ptr& each : try_ranks(communicators, body)) {
    if (each) std::rethrow_exception(each);
  }
}

}  // namespace txtsum::tests
