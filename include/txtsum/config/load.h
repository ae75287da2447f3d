#pragma once

#include <string>
#include <vector>

namespace txtsum::config {

struct ExperimentConfig;

/// Reads the experiment at `path` and applies `arguments` (`key.sub=value`, as on the command line).
///
/// Precedence, least first: the structs' defaults, the fragments that the file's `include:` names (relative to the
/// file, in their order), the file, the arguments. `null` unsets an optional key and empties a list. Where one of two
/// exclusive keys is set at a higher level than the other, the lower one gives way. Paths in values are relative to the
/// current folder and are not looked at here.
///
/// Throws UserError with all complaints, one a line: `file:line:column key: what (did you mean x?)`, or
/// `argument 2: train.x=1: what`. Arguments that are flags (`--learning_rate 3e-5`) are answered with our spelling.
ExperimentConfig load_experiment(const std::string& path, const std::vector<std::string>& arguments = {});

/// The defaults with `arguments` applied, for commands without a config file: required keys may stay empty, and only
/// what a single struct can check is checked. Throws UserError as load_experiment does.
ExperimentConfig load_arguments(const std::vector<std::string>& arguments);

}  // namespace txtsum::config
