#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace txtsum::config {

/// A file of configs/ that is built into the program.
struct ShippedConfig {
  std::string_view name;   ///< `bart_base_samsum`, `smoke/tiny_bart`, `base/bart`
  std::string_view title;  ///< First comment line, without `# `.
  std::string_view text;   ///< The whole file.
};

/// Every shipped config, by name; fragments of base/ too.
const std::vector<ShippedConfig>& shipped_configs();

/// The shipped config named `name`; `configs/` before it and `.yaml` after it may stay. Throws UserError that names the
/// closest one.
const ShippedConfig& find_shipped_config(std::string_view name);

/// Whether it is a fragment for `include:`, no experiment by itself.
bool is_fragment(const ShippedConfig& config);

/// Writes the config and the fragments that it includes below `folder` (`folder`/<name>.yaml, `folder`/base/...).
/// Returns the paths written, the config's first. Throws UserError when one exists with
/// another text, DataError when it cannot write.
std::vector<std::string> copy_shipped_config(const ShippedConfig& config, const std::string& folder);

}  // namespace txtsum::config
