#pragma once

namespace txtsum::parallel {

class Communicator;

/// The signal that asks any rank to stop, the same on every rank; 0: none does. Of two, SIGTERM. All ranks call it: one
/// that left by itself would leave the others in their next collective.
int agreed_stop_signal(Communicator& ranks);

}  // namespace txtsum::parallel
