#pragma once

#include <array>

namespace txtsum::parallel {

class Communicator;

/// The signal that asks any rank to stop, the same on every rank; 0: none does. Of two, SIGTERM. All ranks call it: one
/// that left by itself would leave the others in their next collective.
int agreed_stop_signal(Communicator& ranks);

/// For those who sum other numbers in the same exchange: what this rank says of its signal, and what the sums over the
/// ranks mean.
std::array<double, 2> stop_votes();
int signal_of(const std::array<double, 2>& summed_votes);

}  // namespace txtsum::parallel
