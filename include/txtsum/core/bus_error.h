#pragma once

namespace txtsum::core {

/// Makes the process end with exit code 71 and a line on stderr where a mapped file has lost the page that is read: the
/// file was cut short, or its disk or mount failed. Call once, in main.
void explain_bus_errors();

}  // namespace txtsum::core
