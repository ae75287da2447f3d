#pragma once

#include <string>

#include "txtsum/metrics/figure.h"

namespace txtsum::app {

/// Formats with at least `digits` significant digits and no exponent down to 1e-6: `1,234`, `12.3`, `0.00412`.
std::string significant(double value, int digits = 3);

/// `612 MiB`, `3.25 GiB`.
std::string bytes_text(double bytes);

/// The value with its unit, as suits the unit: seconds as a duration, bytes as MiB or GiB; `missing` where it is.
std::string value_text(const metrics::Figure& figure);

/// The same with a sign, for differences.
std::string signed_value_text(const metrics::Figure& figure);

/// A percentage, a score or a difference with `decimals` decimals; `with_sign` puts a + before what is above 0.
std::string fixed(double value, int decimals, bool with_sign = false);

}  // namespace txtsum::app
