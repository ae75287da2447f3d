#pragma once

namespace txtsum::app {

/// Runs the command line to its end: results to stdout, log to stderr. Returns the exit code (docs/architecture.md has
/// the table). Throws nothing.
int run_program(int argc, const char* const* argv);

}  // namespace txtsum::app
