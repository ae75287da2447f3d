#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace txtsum::parallel {

// What a way between ranks has to give; ByteCommunicator makes the collectives of it. No LibTorch here:
// libtxtsum_mpi.so gives such a transport and is linked with MPI alone. Both come out of one build, so C++ types may
// cross.

/// Goes ahead of an exchange's bytes, so that ranks which are not at the same place notice it.
struct ExchangeLabel {
  int64_t exchange = 0;    ///< Number of the exchange, from 1.
  int64_t collective = 0;  ///< That it is a piece of.
  int64_t elements = 0;    ///< Of the collective.
  char name[24] = {};      ///< Of the collective.
};

/// One exchange between all pairs of ranks: send[r] goes to rank r, and receive[r] takes what rank r sends to this one,
/// of the same length there. A rank's entries for itself are empty.
struct Exchange {
  ExchangeLabel label;
  std::vector<std::span<const std::byte>> send;
  std::vector<std::span<std::byte>> receive;
};

/// Another rank has said that it gave up, and why; the text goes on unchanged from rank to rank.
class PeerGaveUp : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Moves bytes between the ranks of a run. All calls come from one thread, the one that made it. What goes wrong is
/// thrown as a std::exception whose text names the rank, not the place; after that only give_up() is called.
class ByteTransport {
 public:
  virtual ~ByteTransport() = default;
  virtual int64_t rank() const = 0;
  virtual int64_t world() const = 0;

  /// Starts an exchange; the one before is over. Its memory must stay until progress() has returned true or give_up()
  /// has returned.
  virtual void start(const Exchange& exchange) = 0;
  /// Moves on, waiting for at most `seconds` where nothing can be done. True once the exchange is over.
  virtual bool progress(double seconds) = 0;
  /// The ranks whose bytes are not all here.
  virtual std::vector<int64_t> missing() const = 0;
  /// Between exchanges: throws as progress() does where another rank has gone or given up. Where a transport cannot see
  /// that, nothing happens.
  virtual void listen() {}
  /// Tells the other ranks why this one gives up, and gives those that can hear it up to `grace_seconds` to do so.
  /// Throws nothing.
  virtual void give_up(const std::string& reason, double grace_seconds) noexcept = 0;
};

/// What to say where rank `peer` is at another place than this one; empty where they agree.
inline std::string disagreement(const ExchangeLabel& own, const ExchangeLabel& theirs, int64_t peer) {
  const auto text = [](const ExchangeLabel& label) {
    return "collective " + std::to_string(label.collective) + " (" + label.name + " of " +
           std::to_string(label.elements) + " elements)";
  };
  const bool same = own.exchange == theirs.exchange && own.collective == theirs.collective &&
                    own.elements == theirs.elements && std::string_view(own.name) == theirs.name;
  return same ? ""
              : "rank " + std::to_string(peer) + " is at " + text(theirs) + " while this one is at " + text(own) +
                    ": the ranks do not run the same experiment or the same version";
}

}  // namespace txtsum::parallel
