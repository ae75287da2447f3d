#include "app/report_page.h"

#include <algorithm>
#include <set>

#include "app/report_sections.h"
#include "txtsum/app/chart.h"
#include "txtsum/app/html_text.h"
#include "txtsum/app/number_text.h"
#include "txtsum/app/table.h"
#include "txtsum/core/error.h"

namespace txtsum::app {
namespace {

std::string text_at(const core::Json& json, const char* key) {
  return json.contains(key) && json.at(key).is_string() ? json.at(key).get<std::string>() : "";
}

/// Where and when: device, end, version.
std::string origin_line(const FinishedRun& run) {
  const core::Json& environment = run.report.at("environment");
  std::string device = text_at(environment, "device");
  if (device == "cpu") device = text_at(environment, "cpu_model");
  std::string line = escape_html(device);
  line += (line.empty() ? "" : " &middot; ") + escape_html(run.report.at("created_utc").get<std::string>());
  return line + " &middot; txtsum " + escape_html(run.report.at("program_version").get<std::string>());
}

std::string header_html(const Runs& runs) {
  std::string html = element("p", "class=\"over\"", "txtsum report");
  if (runs.size() == 1) {
    return html + element("h1", "", escape_html(runs.front().name())) +
           element("p", "class=\"sub\"", origin_line(runs.front()));
  }
  return html + element("h1", "", std::to_string(runs.size()) + " runs side by side");
}

std::vector<std::string> notices_of(const FinishedRun& run) {
  std::vector<std::string> notices;
  const core::Json& attempts = run.report.at("attempts");
  const std::string outcome = attempts.empty() ? "no attempt" : attempts.back().at("outcome").get<std::string>();
  if (outcome != "finished") notices.push_back("The run is not finished: " + outcome + ".");
  for (const std::string& doubt : doubts_of(run.report)) notices.push_back(doubt);
  const auto twice = run.report.at("work_done_twice").at("updates").get<long long>();
  if (twice > 0) {
    notices.push_back(with_separators(twice) + " updates were done twice, after a resume; their cost is counted.");
  }
  for (const std::string& warning : warnings_of(run.report)) notices.push_back(warning);
  return notices;
}

using Config = std::vector<std::pair<std::string, std::string>>;

Config config_of(const FinishedRun& run) {
  Config config;
  for (const auto& [key, value] : run.report.at("config").items()) {
    config.emplace_back(key, value.is_string() ? value.get<std::string>() : core::to_line(value));
  }
  return config;
}

std::string value_of(const Config& config, const std::string& key) {
  const auto found = std::find_if(config.begin(), config.end(), [&](const auto& entry) { return entry.first == key; });
  return found == config.end() ? "" : found->second;
}

/// The keys whose values differ, in the order of the first config that has them.
std::vector<std::string> differing_keys(const std::vector<Config>& configs) {
  static const std::set<std::string> kNames{"run.name", "run.output"};
  std::vector<std::string> keys;
  std::set<std::string> seen = kNames;
  for (const Config& config : configs) {
    for (const auto& [key, value] : config) {
      if (!seen.insert(key).second) continue;
      const bool differs = std::any_of(configs.begin(), configs.end(),
                                       [&](const Config& other) { return value_of(other, key) != value; });
      if (differs) keys.push_back(key);
    }
  }
  return keys;
}

std::string differences_html(const Runs& runs, const std::vector<Config>& configs) {
  std::vector<std::vector<std::string>> rows{{"Setting"}};
  for (size_t i = 0; i < runs.size(); ++i) rows.front().push_back(run_mark(runs, i));
  for (const std::string& key : differing_keys(configs)) {
    rows.push_back({element("code", "", escape_html(key))});
    for (const Config& config : configs) {
      const std::string value = value_of(config, key);
      rows.back().push_back(value.empty() ? "&ndash;" : escape_html(value));
    }
  }
  if (rows.size() == 1) return element("p", "", "All settings are the same.");
  return element("p", "class=\"sub\"", "What differs:") + table_html(rows, "words");
}

std::string footer_html(const Runs& runs) {
  std::string html;
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::string mark = runs.size() > 1 ? run_mark(runs, i) + " &middot; " + origin_line(runs[i]) + "<br>" : "";
    html +=
        element("p", "", mark + element("code", "", escape_html(runs[i].report.at("command_line").get<std::string>())));
  }
  html += element("p", "",
                  "Every number is from report.json, predictions.jsonl and steps.jsonl of the run; "
                  "docs/metrics.md and docs/rouge.md of txtsum have the formulas.");
  return element("footer", "", html);
}

std::string page_html(const Runs& runs) {
  const std::string title = runs.size() == 1 ? runs.front().name() : std::to_string(runs.size()) + " runs";
  std::string head = "<meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">";
  head += "<meta name=\"color-scheme\" content=\"light dark\">" +
          element("title", "", escape_html(title + " - txtsum report"));
  head += element("style", "", page_style());
  std::string body = header_html(runs);
  for (const auto make : {headline_section, notices_section, quality_section, differences_section, trade_off_section,
                          curves_section, lengths_section, ledger_section, examples_section, settings_section}) {
    body += make(runs);
  }
  body += footer_html(runs);
  return "<!DOCTYPE html>\n" +
         element("html", "lang=\"en\"", element("head", "", head) + element("body", "", element("main", "", body))) +
         "\n";
}

}  // namespace

std::string notices_section(const Runs& runs) {
  std::string items;
  for (size_t i = 0; i < runs.size(); ++i) {
    for (const std::string& notice : notices_of(runs[i])) {
      items += element("li", "", (runs.size() > 1 ? run_mark(runs, i) + ": " : "") + escape_html(notice));
    }
  }
  if (items.empty()) return "";
  return element("div", "class=\"notice\" role=\"note\"", element("h2", "", "Please note") + element("ul", "", items));
}

std::string settings_section(const Runs& runs) {
  std::vector<Config> configs;
  for (const FinishedRun& run : runs) configs.push_back(config_of(run));
  std::string html;
  if (runs.size() > 1) html += differences_html(runs, configs);
  for (size_t i = 0; i < runs.size(); ++i) {
    std::string lines;
    for (const auto& [key, value] : configs[i]) lines += key + "=" + value + "\n";
    const std::string title = runs.size() > 1 ? "The whole config of " + run_mark(runs, i) : "The whole config";
    html += element("details", "", element("summary", "", title) + element("pre", "", escape_html(lines)));
  }
  return section("Settings", html);
}

std::string letter_of(const Runs& runs, size_t i) {
  return runs.size() > 1 ? std::string(1, static_cast<char>('A' + i)) : "";
}

std::string run_mark(const Runs& runs, size_t i) {
  const std::string name = escape_html(runs[i].name());
  if (runs.size() == 1) return name;
  return element("span", "class=\"run c" + std::to_string(i % 8) + "\"",
                 element("b", "", letter_of(runs, i)) + " " + name);
}

std::string runs_legend(const Runs& runs) {
  if (runs.size() == 1) return "";
  std::string items;
  for (size_t i = 0; i < runs.size(); ++i) {
    items += element("li", "class=\"c" + std::to_string(i % 8) + "\"", "<i></i>" + run_mark(runs, i));
  }
  return element("ul", "class=\"legend\"", items);
}

std::string section(const std::string& heading, const std::string& content) {
  if (content.empty()) return "";
  return element("section", "", element("h2", "", escape_html(heading)) + content);
}

std::string figure_html(const std::string& caption, const std::string& chart) {
  return element("figure", "", element("figcaption", "", caption) + chart);
}

std::string table_html(const std::vector<std::vector<std::string>>& rows, const std::string& class_name) {
  std::string html;
  for (size_t r = 0; r < rows.size(); ++r) {
    std::string cells;
    for (const std::string& cell : rows[r]) cells += element(r == 0 ? "th" : "td", r == 0 ? "scope=\"col\"" : "", cell);
    html += element("tr", "", cells);
  }
  const std::string attributes = class_name.empty() ? "" : "class=\"" + class_name + "\"";
  return element("div", "class=\"scroll\"", element("table", attributes, html));
}

std::string figure_mark(const metrics::Figure& figure, const std::string& text) {
  const std::string tag(metrics::provenance_name(figure.provenance));
  std::string title = tag;
  if (!figure.source.empty()) title += ": " + figure.source;
  if (figure.year) title += " (" + std::to_string(*figure.year) + ")";
  if (!figure.note.empty()) title += ". " + figure.note;
  return element("span", "title=\"" + escape_html(title) + "\"",
                 text + element("span", "class=\"tag " + tag + "\" role=\"img\" aria-label=\"" + tag + "\"", ""));
}

std::string number_html(const metrics::Figure& figure) {
  if (!figure.known()) return "&ndash;";
  return (figure.lower_bound ? "&ge;&nbsp;" : "") + significant(*figure.value);
}

std::string range_html(const metrics::Figure& low, const metrics::Figure& high) {
  if (!low.known() || !high.known()) return "&ndash;";
  const std::string first = number_html(low), last = significant(*high.value);
  return significant(*low.value) == last ? first : first + "&ndash;" + last;
}

std::string tags_legend() {
  std::string html;
  for (const auto& [tag, meaning] :
       std::vector<std::pair<std::string, std::string>>{{"measured", "measured by a meter of the machine"},
                                                        {"modelled", "modelled from a table or a stated value"},
                                                        {"missing", "missing"}}) {
    html += element("span", "", element("span", "class=\"tag " + tag + "\"", "") + meaning);
  }
  return element("p", "class=\"tags\"", html);
}

std::string report_page(const std::vector<FinishedRun>& runs) {
  std::string folders;
  for (const FinishedRun& run : runs) folders += (folders.empty() ? "" : ", ") + run.folder;
  try {
    return page_html(runs);
  } catch (const core::Json::exception& error) {
    throw core::DataError(
        folders + ": a report or a line of steps is not of the form in docs/report_schema.json: " + error.what());
  } catch (const core::DataError& error) {
    throw core::DataError(folders + ": " + error.what());
  }
}

}  // namespace txtsum::app
