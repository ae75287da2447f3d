// The page's examples: the best and the worst summaries.

#include <algorithm>
#include <numeric>

#include "app/report_sections.h"
#include "txtsum/app/html_text.h"
#include "txtsum/app/number_text.h"

namespace txtsum::app {
namespace {

/// What examples are ordered by: the mean of ROUGE-1, -2 and -L.
double order_score(const Prediction& prediction) {
  return (prediction.rouge[0] + prediction.rouge[1] + prediction.rouge[2]) / 3;
}

/// Places of the predictions from best to worst; equal ones stay in input order.
std::vector<size_t> from_best_to_worst(const std::vector<Prediction>& predictions) {
  std::vector<size_t> order(predictions.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return order_score(predictions[a]) > order_score(predictions[b]); });
  return order;
}

std::string entry(const char* name, const std::string& text) {
  return element("dt", "", name) + element("dd", "class=\"text\"", text);
}

std::string shown(const std::string& text) {
  constexpr size_t kCharacters = 1500;
  const std::string cut = beginning_of(text, kCharacters);
  return cut.empty() ? element("span", "class=\"soft\"", "(empty)") : escape_html(cut);
}

std::string example_html(const Prediction& prediction) {
  std::string scores;
  for (size_t k = 0; k < metrics::kRougeKinds.size(); ++k) {
    scores +=
        (k == 0 ? "" : " &middot; ") + std::string(metrics::kRougeKinds[k].name) + " " + fixed(prediction.rouge[k], 1);
  }
  const std::string source = prediction.source_start
                                 ? shown(*prediction.source_start)
                                 : element("span", "class=\"soft\"", "not kept by the version that wrote it");
  return element("div", "class=\"example\"",
                 element("dl", "",
                         entry("Document", source) + entry("Reference", shown(prediction.reference)) +
                             entry("Summary", shown(prediction.summary)) +
                             entry("Id, scores", escape_html(prediction.id) + " &middot; " + scores)));
}

std::string examples_html(const std::vector<Prediction>& predictions) {
  constexpr size_t kShown = 3;
  const std::vector<size_t> order = from_best_to_worst(predictions);
  const size_t best = std::min(kShown, (order.size() + 1) / 2);
  const size_t worst = std::min(kShown, order.size() - best);
  std::string html = element("h3", "", "Best");
  for (size_t i = 0; i < best; ++i) html += example_html(predictions[order[i]]);
  if (worst > 0) html += element("h3", "", "Worst");
  for (size_t i = 0; i < worst; ++i) html += example_html(predictions[order[order.size() - 1 - i]]);
  return html;
}

}  // namespace

std::string examples_section(const Runs& runs) {
  std::string html;
  for (size_t i = 0; i < runs.size(); ++i) {
    if (runs[i].predictions.empty()) continue;
    const std::string examples = examples_html(runs[i].predictions);
    html += runs.size() == 1 ? examples : element("details", "", element("summary", "", run_mark(runs, i)) + examples);
  }
  if (html.empty()) return "";
  return section(
      "Best and worst summaries",
      element("p", "class=\"sub\"", "By the mean of ROUGE-1, ROUGE-2 and ROUGE-L; a document's beginning only.") +
          html);
}

}  // namespace txtsum::app
