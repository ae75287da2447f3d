#include "app/model_card.h"

#include <array>
#include <filesystem>
#include <vector>

#include "app/card_metadata.h"
#include "app/finished_run.h"
#include "txtsum/app/number_text.h"
#include "txtsum/app/table.h"
#include "txtsum/core/file.h"

namespace txtsum::app {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kReadme = "README";

/// The name of a base model's README beside the new one.
std::string base_readme_name(const std::string& name) {
  return std::string(kReadme) + "_base" + name.substr(kReadme.size());
}

/// Text within a line or a cell of Markdown.
std::string inline_text(const std::string& text) {
  std::string markdown;
  for (const char c : text) {
    if (c == '\n' || c == '\r') {
      markdown += ' ';
      continue;
    }
    if (std::string_view("\\`*_[]<>|#&").find(c) != std::string_view::npos) markdown += '\\';
    markdown += c;
  }
  return markdown;
}

/// Text between backquotes: a longer run of them than any inside.
std::string code(const std::string& text) {
  std::string fence("`");
  while (text.find(fence) != std::string::npos) fence += '`';
  return fence.size() == 1 ? fence + text + fence : fence + " " + text + " " + fence;
}

std::string code_block(const std::string& text) {
  std::string fence("```");
  while (text.find(fence) != std::string::npos) fence += '`';
  return fence + "\n" + text + (text.empty() || text.back() != '\n' ? "\n" : "") + fence + "\n";
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::string markdown;
  for (size_t r = 0; r < rows.size(); ++r) {
    for (const std::string& cell : rows[r]) markdown += "| " + cell + " ";
    markdown += "|\n";
    if (r > 0) continue;
    for (size_t c = 0; c < rows[0].size(); ++c) markdown += "|---";
    markdown += "|\n";
  }
  return markdown;
}

std::string introduction(const core::Json& report, const CardBase& base) {
  const std::string checkpoint = config_value(report, "model.checkpoint");
  const std::string id = base.folder.source == ModelSource::kCache
                             ? "[" + inline_text(checkpoint) + "](https://huggingface.co/" + checkpoint + ")"
                             : code(checkpoint);
  const std::string model = base.folder.revision.empty() ? id : id + " (revision " + code(base.folder.revision) + ")";
  const bool anew = config_value(report, "model.init") == "random";
  std::string text =
      anew ? "A model for abstractive summarization, trained from random weights with the architecture of " + model
           : model + ", fine-tuned for abstractive summarization";
  text += ", by txtsum " + inline_text(report.at("program_version").get<std::string>()) + ".\n\n";
  text += "txtsum has written this card from the run's report.json, which has every number of it. ";
  text +=
      "What it cannot know is not here: intended use, limits of the model, and whether its licence and that of the "
      "data "
      "allow your use.\n";
  if (base.readmes.contains("README.md")) {
    text += anew ? "\nThe card of the model whose architecture and tokenizer it has: "
                 : "\nThe card of the model that it started from: ";
    text += "[" + base_readme_name("README.md") + "](" + base_readme_name("README.md") + ").\n";
  }
  return text;
}

std::string scores_part(const core::Json& report) {
  const CardScores scores = card_scores(report);
  if (scores.split.empty()) return "Missing: no summaries were scored in this run.\n";
  std::vector<std::vector<std::string>> rows{{"F x 100", scores.split, "95 % interval"}};
  for (size_t k = 0; k < kRougeTitles.size(); ++k) {
    const char* name = metrics::kRougeKinds[k].name;
    std::string interval = "missing";
    if (scores.values.contains("intervals")) {
      const core::Json& found = scores.values.at("intervals").at(name);
      interval = fixed(found.at("low").get<double>(), 2) + " to " + fixed(found.at("high").get<double>(), 2);
    }
    rows.push_back({kRougeTitles[k], core::to_line(scores.values.at(name)), interval});
  }
  std::string text = table(rows) + "\n";
  for (const std::string& warning : warnings_of(report)) text += "- " + inline_text(warning) + "\n";
  if (!warnings_of(report).empty()) text += "\n";
  if (!scores.values.contains("pairs")) {
    return text + "Of the validation during training; the test split was not scored in this run.\n";
  }
  text += with_separators(scores.values.at("pairs").get<long long>()) + " documents of " +
          code(split_files(report, scores.split)) +
          ". Stemmer: " + inline_text(scores.values.at("stemmer").get<std::string>()) +
          ". Sentences of ROUGE-Lsum: " + inline_text(scores.values.at("sentences").get<std::string>()) + ". ";
  return text + inline_text(scores.values.at("aggregation").get<std::string>()) + ".\n";
}

std::string data_part(const core::Json& report) {
  const core::Json& data = report.at("data");
  if (!data.contains("splits")) return "Missing: the run kept no numbers of its data.\n";
  std::vector<std::vector<std::string>> rows{{"split", "examples", "left out, empty",
                                              "document tokens: mean, p95, longest",
                                              "summary tokens: mean, p95, longest", "documents cut"}};
  const auto lengths = [](const core::Json& of) {
    return fixed(of.at("mean").get<double>(), 1) + ", " + with_separators(of.at("p95").get<long long>()) + ", " +
           with_separators(of.at("max").get<long long>());
  };
  for (const core::Json& split : data.at("splits")) {
    const auto count = [&](const char* key) { return split.at(key).get<long long>(); };
    rows.push_back({split.at("name").get<std::string>(), with_separators(count("examples")),
                    with_separators(count("empty_source") + count("empty_target")), lengths(split.at("source_tokens")),
                    lengths(split.at("target_tokens")),
                    with_separators(split.at("source_tokens").at("truncated").get<long long>())});
  }
  std::string text = table(rows);
  text += "\nTraining files: " + code(split_files(report, "train")) + ".";
  if (config_value(report, "report.dataset").empty()) text += " Missing: the data set's name (`report.dataset`).";
  return text + "\n";
}

/// The settings that a reader looks for first; the whole config is in the run's folder and below.
std::string settings_part(const core::Json& report) {
  static constexpr std::array kKeys{"train.epochs",
                                    "train.max_updates",
                                    "train.max_minutes",
                                    "train.batch_size",
                                    "train.batch_tokens",
                                    "train.precision",
                                    "train.label_smoothing",
                                    "train.clip_norm",
                                    "optimizer.name",
                                    "optimizer.learning_rate",
                                    "optimizer.weight_decay",
                                    "schedule.name",
                                    "schedule.warmup_share",
                                    "schedule.warmup_updates",
                                    "model.freeze",
                                    "model.dropout",
                                    "data.source_prefix",
                                    "data.max_source_tokens",
                                    "data.max_target_tokens",
                                    "generation.beams",
                                    "generation.max_new_tokens",
                                    "generation.length_penalty",
                                    "generation.no_repeat_ngram",
                                    "run.seed"};
  std::vector<std::vector<std::string>> rows{{"setting", "value"}};
  for (const char* key : kKeys) {
    const std::string value = config_value(report, key);
    if (!value.empty()) rows.push_back({code(key), inline_text(value)});
  }
  const core::Json& work = report.at("phases").at("train").at("work");
  const auto count = [&](const char* key) { return with_separators(work.at(key).get<long long>()); };
  const auto twice = report.at("work_done_twice").at("updates").get<long long>();
  std::string text = table(rows) + "\n" + with_separators(work.at("updates").get<long long>() - twice) +
                     " updates on " + count("examples") + " examples, " + count("source_tokens") + " source and " +
                     count("target_tokens") + " target tokens";
  if (twice > 0) {
    text += ", those of " + with_separators(twice) + " updates included that were done again after an interruption";
  }
  return text + ".\n";
}

std::string cost_part(const core::Json& report) {
  std::vector<std::vector<std::string>> rows{{"whole run", "value", "how it is known"}};
  std::string missing;
  for (const NamedFigure& row : footprint_figures(report)) {
    const std::string tag(metrics::provenance_name(row.figure.provenance));
    if (!row.figure.known()) {
      rows.push_back({row.label, "missing", inline_text(row.figure.note)});
      continue;
    }
    std::string how = tag + ": " + row.figure.source;
    if (row.figure.year) how += " (" + std::to_string(*row.figure.year) + ")";
    if (!row.figure.note.empty()) how += "; " + row.figure.note;
    rows.push_back({row.label, value_text(row.figure), inline_text(how)});
  }
  for (const core::Json& entry : report.at("missing")) {
    missing +=
        "- " + inline_text(entry.at("what").get<std::string>() + ": " + entry.at("reason").get<std::string>()) + "\n";
  }
  const std::string device = hardware(report);
  std::string text = table(rows) + "\nHardware: " + (device.empty() ? "missing" : inline_text(device)) + ". ";
  const std::string region = report.at("carbon").at("region").get<std::string>();
  text += "Region: " + (region.empty() ? "missing (`resources.region`)" : inline_text(region)) + ".\n";
  std::string doubts;
  for (const std::string& doubt : doubts_of(report)) doubts += "- " + inline_text(doubt) + "\n";
  if (!doubts.empty()) text += "\nIn doubt:\n\n" + doubts;
  return missing.empty() ? text : text + "\nMissing in these figures:\n\n" + missing;
}

std::string usage_part() {
  return code_block("echo \"A long text ...\" | txtsum summarize --model .") +
         "\nIn this folder. transformers loads it with `AutoModelForSeq2SeqLM.from_pretrained(\".\")`.\n";
}

std::string repeat_part(const core::Json& report) {
  std::string config;
  for (const auto& [key, value] : report.at("config").items()) config += key + "=" + value.get<std::string>() + "\n";
  const core::Json& environment = report.at("environment");
  std::string text = code_block(report.at("command_line").get<std::string>());
  text += "\ntxtsum " + inline_text(report.at("program_version").get<std::string>()) + ", LibTorch " +
          inline_text(environment.value("libtorch_version", "missing")) + ", ended " +
          report.at("created_utc").get<std::string>() + ". The whole config:\n\n";
  return text + "<details><summary>" + std::to_string(report.at("config").size()) + " settings</summary>\n\n" +
         code_block(config) + "\n</details>\n";
}

}  // namespace

CardBase read_card_base(const ModelFolder& folder) {
  CardBase base{folder, {}};
  for (const fs::directory_entry& entry : fs::directory_iterator(folder.path)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(kReadme) && name.ends_with(".md") && entry.is_regular_file()) {
      base.readmes[name] = core::read_file(entry.path().string());
    }
  }
  return base;
}

std::string model_card(const core::Json& report, const CardBase& base) {
  std::string card = "---\n" + card_metadata(report, base) + "---\n\n";
  card += "# " + inline_text(report.at("run_name").get<std::string>()) + "\n\n" + introduction(report, base);
  card += "\n## Scores\n\n" + scores_part(report);
  card += "\n## Data\n\n" + data_part(report);
  card += "\n## Training\n\n" + settings_part(report);
  card += "\n## Energy, carbon and cost\n\n" + cost_part(report);
  card += "\n## Use\n\n" + usage_part();
  return card + "\n## The command\n\n" + repeat_part(report);
}

void write_model_card(const std::string& model_folder, const core::Json& report, const CardBase& base) {
  for (const auto& [name, text] : base.readmes) core::write_file(model_folder + "/" + base_readme_name(name), text);
  core::write_file(model_folder + "/README.md", model_card(report, base));
}

}  // namespace txtsum::app
