#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/finished_run.h"

namespace txtsum::app {

/// Parts of the page that report_page() makes. Each returns markup, or nothing where the runs have nothing for it.

using Runs = std::vector<FinishedRun>;

/// The page's style sheet.
std::string_view page_style();

/// Of a single run: its scores and what it cost, in large type. Of several: a table with a line for each.
std::string headline_section(const Runs& runs);
/// What a reader should know before believing the rest.
std::string notices_section(const Runs& runs);
/// ROUGE with intervals.
std::string quality_section(const Runs& runs);
/// Scores of each run against the first one's, and ROUGE against energy and dollars.
std::string differences_section(const Runs& runs);
std::string trade_off_section(const Runs& runs);
/// Loss, learning rate and validation over the updates.
std::string curves_section(const Runs& runs);
/// How long documents, references and summaries are.
std::string lengths_section(const Runs& runs);
/// Time, energy, carbon and cost by phase.
std::string ledger_section(const Runs& runs);
/// The three best and the three worst summaries of each run.
std::string examples_section(const Runs& runs);
/// Configs: what differs, and all of it.
std::string settings_section(const Runs& runs);

/// A, B, ... for run i; empty where there is one run alone.
std::string letter_of(const Runs& runs, size_t i);
/// The letter and the name, in the run's colour where there are several.
std::string run_mark(const Runs& runs, size_t i);
/// A legend of all runs; empty where there is one.
std::string runs_legend(const Runs& runs);
/// A headed section; empty where `content` is.
std::string section(const std::string& heading, const std::string& content);
/// A chart with what stands above it; `caption` is markup.
std::string figure_html(const std::string& caption, const std::string& chart);
/// Rows of cells, which are markup; the first row is the head. `class_name` may be empty.
std::string table_html(const std::vector<std::vector<std::string>>& rows, const std::string& class_name = "");
/// A value with a mark that shows its tag, and source and note where the pointer rests on it.
std::string figure_mark(const metrics::Figure& figure, const std::string& text);
/// The numbers of two figures of one unit as `1.2–3.4`, or once where they look the same.
/// The figure's value without its unit; a dash where it is missing.
std::string number_html(const metrics::Figure& figure);
std::string range_html(const metrics::Figure& low, const metrics::Figure& high);
/// What the marks mean.
std::string tags_legend();

}  // namespace txtsum::app
