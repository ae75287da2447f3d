#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "byte_communicator.h"
#include "byte_transport.h"
#include "txtsum/core/check.h"
#include "txtsum/parallel/make_communicator.h"

namespace txtsum::parallel {
namespace {

/// Where the threads put down what they send.
struct MeetingPlace {
  struct Post {
    const Exchange* exchange = nullptr;  ///< The rank's current one.
    int64_t number = 0;                  ///< Of the exchange that it is at or was at last.
    int64_t taken = 0;                   ///< Ranks that have taken theirs of it.
    bool has_left = false;
    std::string gave_up;
  };

  explicit MeetingPlace(int64_t world) : posts(static_cast<size_t>(world)) {}

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Post> posts;  ///< By rank.
};

class ThreadTransport final : public ByteTransport {
 public:
  ThreadTransport(std::shared_ptr<MeetingPlace> place, int64_t rank)
      : place_(std::move(place)), rank_(rank), has_come_(place_->posts.size(), true) {}
  ~ThreadTransport() override {
    const std::lock_guard lock(place_->mutex);
    own().has_left = true;
    place_->changed.notify_all();
  }

  int64_t rank() const override { return rank_; }
  int64_t world() const override { return static_cast<int64_t>(place_->posts.size()); }

  void start(const Exchange& exchange) override {
    const std::lock_guard lock(place_->mutex);
    exchange_ = exchange;
    std::fill(has_come_.begin(), has_come_.end(), false);
    has_come_[static_cast<size_t>(rank_)] = true;
    own().exchange = &exchange_;
    own().number = exchange.label.exchange;
    own().taken = 0;
    place_->changed.notify_all();
  }

  bool progress(double seconds) override {
    std::unique_lock lock(place_->mutex);
    if (!is_over()) place_->changed.wait_for(lock, std::chrono::duration<double>(seconds), [&] { return is_over(); });
    if (!is_over()) return false;
    own().exchange = nullptr;
    return true;
  }

  std::vector<int64_t> missing() const override {
    std::vector<int64_t> ranks;
    for (size_t r = 0; r < has_come_.size(); ++r) {
      if (!has_come_[r]) ranks.push_back(static_cast<int64_t>(r));
    }
    return ranks;
  }

  void give_up(const std::string& reason, double) noexcept override {
    const std::lock_guard lock(place_->mutex);
    own().exchange = nullptr;
    own().gave_up = reason;
    place_->changed.notify_all();
  }

 private:
  MeetingPlace::Post& own() { return place_->posts[static_cast<size_t>(rank_)]; }

  /// Takes what has come.
  bool is_over() {
    bool all_here = true;
    for (size_t r = 0; r < has_come_.size(); ++r) {
      if (!has_come_[r]) has_come_[r] = take_from(r);
      all_here = all_here && has_come_[r];
    }
    if (all_here && own().taken == world() - 1) return true;
    for (const MeetingPlace::Post& post : place_->posts) {
      if (!post.gave_up.empty()) throw PeerGaveUp(post.gave_up);
    }
    return false;
  }

  bool take_from(size_t peer) {
    MeetingPlace::Post& post = place_->posts[peer];
    // A post is there until all have taken theirs of it, so its number is at most one behind this rank's.
    if (post.exchange == nullptr || post.number != exchange_.label.exchange) {
      if (post.has_left && post.gave_up.empty()) throw std::runtime_error("rank " + std::to_string(peer) + " has left");
      return false;
    }
    const std::string problem = disagreement(exchange_.label, post.exchange->label, static_cast<int64_t>(peer));
    if (!problem.empty()) throw std::runtime_error(problem);
    const std::span<const std::byte> sent = post.exchange->send[static_cast<size_t>(rank_)];
    TXTSUM_CHECK(sent.size() == exchange_.receive[peer].size(), sent.size(), " ", exchange_.receive[peer].size());
    std::copy(sent.begin(), sent.end(), exchange_.receive[peer].begin());
    ++post.taken;
    place_->changed.notify_all();
    return true;
  }

  std::shared_ptr<MeetingPlace> place_;
  int64_t rank_;
  Exchange exchange_;
  std::vector<bool> has_come_;  ///< By rank.
};

}  // namespace

std::vector<std::unique_ptr<Communicator>> make_thread_communicators(int64_t world, double deadline_seconds) {
  TXTSUM_CHECK(world >= 1, "world ", world);
  const auto place = std::make_shared<MeetingPlace>(world);
  std::vector<std::unique_ptr<Communicator>> communicators;
  for (int64_t rank = 0; rank < world; ++rank) {
    communicators.push_back(std::make_unique<ByteCommunicator>(
        [&] { return std::make_unique<ThreadTransport>(place, rank); }, deadline_seconds));
  }
  return communicators;
}

}  // namespace txtsum::parallel
