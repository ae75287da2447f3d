#include "app/run_comparison.h"

#include <unordered_map>
#include <utility>

#include "txtsum/app/number_text.h"
#include "txtsum/app/table.h"
#include "txtsum/core/error.h"

namespace txtsum::app {
namespace {

/// Place of each id; empty where one occurs twice.
std::unordered_map<std::string, size_t> places_by_id(const FinishedRun& run) {
  std::unordered_map<std::string, size_t> places;
  for (size_t i = 0; i < run.predictions.size(); ++i) {
    if (!places.emplace(run.predictions[i].id, i).second) return {};
  }
  return places;
}

[[noreturn]] void refuse(const FinishedRun& first, const FinishedRun& second, const std::string& reason) {
  throw core::UserError(
      first.folder + " and " + second.folder + " cannot be compared: " + reason +
      ". A comparison needs summaries of the same documents, scored alike: txtsum evaluate makes them");
}

void require_same_scoring(const FinishedRun& first, const FinishedRun& second) {
  for (const FinishedRun* run : {&first, &second}) {
    if (run->split.empty()) throw core::UserError(run->folder + " has no scored summaries: txtsum evaluate makes them");
  }
  for (const char* key : {"stemmer", "sentences"}) {
    const std::string left = first.quality().at(key).get<std::string>();
    const std::string right = second.quality().at(key).get<std::string>();
    if (left != right)
      refuse(first, second, std::string(key) + " is '" + left + "' in one and '" + right + "' in the other");
  }
}

/// For each document of `first` its place in `second`.
std::vector<size_t> match_documents(const FinishedRun& first, const FinishedRun& second) {
  const size_t count = first.predictions.size();
  if (count != second.predictions.size()) {
    refuse(first, second,
           std::to_string(count) + " documents here, " + std::to_string(second.predictions.size()) + " there");
  }
  const auto places = places_by_id(second);
  const bool by_id = !places.empty() && !places_by_id(first).empty();
  std::vector<size_t> matched;
  for (size_t i = 0; i < count; ++i) {
    const Prediction& here = first.predictions[i];
    const auto found = by_id ? places.find(here.id) : places.end();
    if (by_id && found == places.end()) refuse(first, second, "document '" + here.id + "' is in the first alone");
    matched.push_back(by_id ? found->second : i);
    const Prediction& there = second.predictions[matched.back()];
    if (here.id != there.id) {
      refuse(first, second,
             "document " + std::to_string(i) + " is '" + here.id + "' in one, '" + there.id + "' in the other");
    }
    if (here.reference != there.reference) refuse(first, second, "document '" + here.id + "' has another reference");
  }
  return matched;
}

void append_scores(const Prediction& prediction, std::vector<double>& scores) {
  scores.insert(scores.end(), prediction.rouge.begin(), prediction.rouge.end());
}

std::string what_it_covers(const FinishedRun& run) {
  return run.has_training() ? "a training, its test included" : "an evaluation alone, without the training";
}

std::vector<std::string> notes_of(const FinishedRun& first, const FinishedRun& second,
                                  const std::vector<ComparedFigure>& figures) {
  std::vector<std::string> notes;
  if (first.has_training() != second.has_training()) {
    notes.push_back("time, energy, carbon and cost: A's are of " + what_it_covers(first) + "; B's of " +
                    what_it_covers(second));
  }
  for (const ComparedFigure& row : figures) {
    const std::string& left = row.first.figure.note;
    const std::string& right = row.second.note;
    const std::string label(row.first.label);
    if (left == right) {
      if (!left.empty()) notes.push_back(label + ": " + left);
      continue;
    }
    if (!left.empty()) notes.push_back(label + " of A: " + left);
    if (!right.empty()) notes.push_back(label + " of B: " + right);
  }
  return notes;
}

}  // namespace

RunComparison compare_runs(const FinishedRun& first, const FinishedRun& second,
                           const metrics::BootstrapOptions& bootstrap) {
  require_same_scoring(first, second);
  const std::vector<size_t> matched = match_documents(first, second);
  std::vector<double> here, there;
  for (size_t i = 0; i < matched.size(); ++i) {
    append_scores(first.predictions[i], here);
    append_scores(second.predictions[matched[i]], there);
  }
  RunComparison comparison;
  comparison.documents = matched.size();
  comparison.bootstrap = bootstrap;
  comparison.rouge = metrics::paired_bootstrap(here, there, metrics::kRougeKinds.size(), bootstrap);
  const std::vector<NamedFigure> left = footprint_figures(first.report), right = footprint_figures(second.report);
  for (size_t i = 0; i < left.size(); ++i) {
    comparison.figures.push_back({left[i], right[i].figure, metrics::difference(left[i].figure, right[i].figure)});
  }
  comparison.notes = notes_of(first, second, comparison.figures);
  return comparison;
}

namespace {

std::string bootstrap_text(const RunComparison& comparison) {
  return with_separators(static_cast<long long>(comparison.documents)) +
         " documents; paired bootstrap: " + with_separators(comparison.bootstrap.resamples) +
         " resamples of the documents, " + metrics::generator_name(comparison.bootstrap.generator) + ", seed " +
         std::to_string(comparison.bootstrap.seed);
}

std::string tagged(const metrics::Figure& figure) {
  if (!figure.known()) return "missing";
  return value_text(figure) + " (" + std::string(metrics::provenance_name(figure.provenance)) + ")";
}

/// How many times as much; empty where there is nothing to divide.
std::string ratio_text(const ComparedFigure& row) {
  if (!row.difference.known() || *row.first.figure.value <= 0) return "";
  const std::string at_least = row.difference.lower_bound ? "at least " : "";
  return at_least + significant(*row.second.value / *row.first.figure.value);
}

core::Json side_json(const FinishedRun& run) {
  return {{"folder", run.folder},
          {"run_name", run.name()},
          {"split", run.split},
          {"program_version", run.report.at("program_version")},
          {"has_training", run.has_training()}};
}

}  // namespace

std::string comparison_text(const FinishedRun& first, const FinishedRun& second, const RunComparison& comparison) {
  const auto head = [](const char* letter, const FinishedRun& run) {
    return std::string(letter) + "  " + run.folder + " (" + run.name() + ", " + run.split + " split; " +
           what_it_covers(run) + ")\n";
  };
  using Align = Table::Align;
  Table scores(
      {"ROUGE F x 100", "A", "B", "B - A", "95 % interval", "p-value", "B better"},
      {Align::kLeft, Align::kRight, Align::kRight, Align::kRight, Align::kRight, Align::kRight, Align::kRight});
  for (size_t k = 0; k < comparison.rouge.size(); ++k) {
    const metrics::PairedDifference& row = comparison.rouge[k];
    scores.add_row({metrics::kRougeKinds[k].name, fixed(row.first, 2), fixed(row.second, 2),
                    fixed(row.difference, 2, true),
                    fixed(row.interval.low, 2, true) + " to " + fixed(row.interval.high, 2, true),
                    fixed(row.p_value, 4), fixed(100 * row.share_second_better, 1) + " %"});
  }
  Table figures({"whole run", "A", "B", "B - A", "B / A"},
                {Align::kLeft, Align::kRight, Align::kRight, Align::kRight, Align::kRight});
  for (const ComparedFigure& row : comparison.figures) {
    figures.add_row({row.first.label, tagged(row.first.figure), tagged(row.second), signed_value_text(row.difference),
                     ratio_text(row)});
  }
  std::string text = head("A", first) + head("B", second) + "\n" + scores.text() + bootstrap_text(comparison) + "\n\n" +
                     figures.text();
  for (const std::string& note : comparison.notes) text.append("- ").append(note).append("\n");
  return text;
}

core::Json comparison_json(const FinishedRun& first, const FinishedRun& second, const RunComparison& comparison) {
  core::Json json{{"a", side_json(first)}, {"b", side_json(second)}, {"documents", comparison.documents}};
  for (size_t k = 0; k < comparison.rouge.size(); ++k) {
    const metrics::PairedDifference& row = comparison.rouge[k];
    json["rouge"][metrics::kRougeKinds[k].name] = {{"a", metrics::round_to_4_decimals(row.first)},
                                                   {"b", metrics::round_to_4_decimals(row.second)},
                                                   {"difference", row.difference},
                                                   {"low", row.interval.low},
                                                   {"high", row.interval.high},
                                                   {"p_value", row.p_value},
                                                   {"share_b_better", row.share_second_better}};
  }
  json["bootstrap"] = {{"method", "paired, percentiles"},
                       {"resamples", comparison.bootstrap.resamples},
                       {"confidence", comparison.bootstrap.confidence},
                       {"generator", metrics::generator_name(comparison.bootstrap.generator)},
                       {"seed", comparison.bootstrap.seed}};
  for (const ComparedFigure& row : comparison.figures) {
    json["whole_run"][row.first.key] = {{"a", metrics::to_json(row.first.figure)},
                                        {"b", metrics::to_json(row.second)},
                                        {"difference", metrics::to_json(row.difference)}};
  }
  json["notes"] = comparison.notes;
  return json;
}

}  // namespace txtsum::app
