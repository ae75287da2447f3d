#pragma once

namespace txtsum::core {

/// Makes SIGTERM and SIGINT set a flag instead of ending the process. A second SIGINT ends it at once. Call once, in
/// main.
void install_stop_signals();

/// Makes SIGTERM and SIGINT end the process at once, with 128 + signal: for commands that have nothing to save.
void end_at_stop_signals();

/// The signal that asked the process to stop, or 0. Loops of any length poll it: training, validation, generation,
/// loading.
int stop_signal();

/// Sets or clears the flag, as a signal would (tests; 0 clears).
void set_stop_signal(int signal);

}  // namespace txtsum::core
