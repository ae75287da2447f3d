// The page's ledger: time, energy, carbon and cost by phase.

#include <array>
#include <numeric>

#include "app/report_sections.h"
#include "txtsum/app/chart.h"
#include "txtsum/app/html_text.h"
#include "txtsum/app/number_text.h"
#include "txtsum/app/table.h"

namespace txtsum::app {
namespace {

constexpr std::array<const char*, 5> kPhases{"load", "train", "validate", "generate", "save"};

std::string cell(const metrics::Figure& figure) {
  return figure_mark(figure, figure.known() ? escape_html(value_text(figure)) : "&ndash;");
}

/// Without the unit, which the column's head has.
std::string number(const metrics::Figure& figure) { return figure_mark(figure, number_html(figure)); }

std::vector<std::string> phase_row(const std::string& name, const core::Json& phase) {
  const auto figure = [&](const char* key) { return metrics::figure_from_json(phase.at(key)); };
  const metrics::Figure wh = metrics::scaled(metrics::figure_from_json(phase.at("energy_kwh").at("total")), 1000, "Wh");
  const metrics::Figure low = figure("carbon_grams_low"), high = figure("carbon_grams_high");
  return {name,
          (phase.contains("bound") ? "&ge;&nbsp;" : "") + format_duration(phase.at("seconds").get<double>()),
          number(wh),
          number(figure("mean_watts")),
          figure_mark(high, range_html(low, high)),
          number(figure("cost_usd")),
          cell(figure("peak_device_memory_bytes")),
          cell(figure("peak_host_rss_bytes"))};
}

std::string phases_table(const core::Json& report) {
  std::vector<std::vector<std::string>> rows{
      {"Phase", "Time", "Energy, Wh", "Mean, W", "CO<sub>2</sub>e, g", "Cost, USD", "Peak, device", "Peak, host"}};
  for (const char* phase : kPhases) {
    const core::Json& json = report.at("phases").at(phase);
    if (json.at("seconds").get<double>() > 0) rows.push_back(phase_row(phase, json));
  }
  rows.push_back(phase_row("all", report.at("total")));
  return table_html(rows, "ledger") + tags_legend();
}

std::string phases_chart(const core::Json& report) {
  std::vector<std::string> names(kPhases.begin(), kPhases.end());
  ShareBar time{"Time", {}}, energy{"Energy", {}};
  for (const char* phase : kPhases) {
    const core::Json& json = report.at("phases").at(phase);
    time.parts.push_back(json.at("seconds").get<double>());
    energy.parts.push_back(metrics::figure_from_json(json.at("energy_kwh").at("total")).value.value_or(0));
  }
  std::vector<ShareBar> bars{time};
  if (std::accumulate(energy.parts.begin(), energy.parts.end(), 0.0) > 0) bars.push_back(energy);
  std::string legend;
  for (size_t i = 0; i < names.size(); ++i) {
    legend += element("li", "class=\"q" + std::to_string(i) + "\"", "<i></i>" + names[i]);
  }
  return figure_html(element("ul", "class=\"legend\"", legend),
                     share_bars("Shares of the phases in time and energy", names, bars));
}

/// Where the energy's figures come from, a line a component.
std::string sources_html(const core::Json& report) {
  std::string items;
  const core::Json& energy = report.at("total").at("energy_kwh");
  for (const char* component : {"gpu", "cpu", "ram", "other"}) {
    const metrics::Figure figure = metrics::figure_from_json(energy.at(component));
    if (!figure.known()) continue;
    const metrics::Figure wh = metrics::scaled(figure, 1000, "Wh");
    items += element("li", "",
                     std::string("Energy of ") + component + ": " + cell(wh) + " " + escape_html(figure.source) +
                         (figure.note.empty() ? "" : "; " + escape_html(figure.note)));
  }
  for (const core::Json& factor : report.at("carbon").at("factors")) {
    const std::string year = factor.at("year").is_null() ? "" : " (" + core::to_line(factor.at("year")) + ")";
    items += element("li", "",
                     "Carbon: " + significant(factor.at("grams_per_kwh").get<double>()) + " g CO<sub>2</sub>e/kWh, " +
                         escape_html(factor.at("table").get<std::string>() + year));
  }
  const metrics::Figure price = metrics::figure_from_json(report.at("cost").at("usd_per_hour"));
  if (price.known()) {
    items += element("li", "", "Price: " + significant(*price.value) + " USD/h, " + escape_html(price.source));
  }
  return items.empty() ? "" : element("h3", "", "Sources") + element("ul", "class=\"plain\"", items);
}

std::string missing_html(const core::Json& report) {
  std::string items;
  for (const core::Json& entry : report.at("missing")) {
    items += element("li", "",
                     escape_html(entry.at("what").get<std::string>() + ": " + entry.at("reason").get<std::string>()));
  }
  return items.empty() ? "" : element("h3", "", "Missing") + element("ul", "class=\"plain\"", items);
}

std::string outside_html(const core::Json& report) {
  std::string items;
  for (const core::Json& entry : report.at("outside"))
    items += element("li", "", escape_html(entry.get<std::string>()));
  return element("details", "",
                 element("summary", "", "What no figure covers") + element("ul", "class=\"plain\"", items));
}

std::string ledger_html(const core::Json& report) {
  return phases_chart(report) + phases_table(report) + sources_html(report) + missing_html(report) +
         outside_html(report);
}

}  // namespace

std::string ledger_section(const Runs& runs) {
  if (runs.size() == 1) return section("Ledger", ledger_html(runs.front().report));
  std::string html;
  for (size_t i = 0; i < runs.size(); ++i) {
    html += element("details", "", element("summary", "", run_mark(runs, i)) + ledger_html(runs[i].report));
  }
  return section("Ledger", html);
}

}  // namespace txtsum::app
