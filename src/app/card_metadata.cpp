// The model card's metadata, as the Hugging Face Hub reads it: a key is there only where its value is known.

#include "app/card_metadata.h"

#include <sstream>

#include "app/finished_run.h"

namespace txtsum::app {
namespace {

/// A YAML string in double quotes: JSON's escapes are YAML's too.
std::string yaml_text(const std::string& text) { return core::to_line(core::Json(text)); }

std::string line(const std::string& indent, const std::string& key, const std::string& value) {
  return indent + key + ": " + value + "\n";
}

/// A value of the config, one or a list in brackets, with each entry in quotes: `no` is a language.
std::string entries_yaml(const std::string& value) {
  const bool is_list = value.size() > 2 && value.front() == '[';
  std::string entries;
  std::istringstream words(is_list ? value.substr(1, value.size() - 2) : value);
  for (std::string word; std::getline(words >> std::ws, word, ',');) {
    entries += (entries.empty() ? "" : ", ") + (word.front() == '"' ? word : yaml_text(word));
  }
  return is_list ? "[" + entries + "]" : entries;
}

/// Whether nothing but architecture and tokenizer is the base model's.
bool is_trained_anew(const core::Json& report) { return config_value(report, "model.init") == "random"; }

/// The config's own word, else the base model's, where its weights are the start.
std::string stated_or_inherited(const core::Json& report, const CardBase& base, const std::string& config_key,
                                const std::string& key) {
  const std::string stated = config_key.empty() ? "" : config_value(report, config_key);
  if (!stated.empty()) return line("", key, entries_yaml(stated));
  if (is_trained_anew(report)) return "";
  const auto readme = base.readmes.find("README.md");
  return readme == base.readmes.end() ? "" : metadata_entry(readme->second, key);
}

/// The data set by its Hub id where the config names one, else by its files.
std::string dataset_yaml(const core::Json& report, const std::string& split) {
  const std::string id = config_value(report, "report.dataset");
  const std::string indent(6, ' ');
  return "    dataset:\n" + line(indent, "name", yaml_text(id.empty() ? split_files(report, split) : id)) +
         line(indent, "type", id.empty() ? "local-files" : yaml_text(id)) + line(indent, "split", split);
}

std::string model_index(const core::Json& report) {
  const CardScores scores = card_scores(report);
  if (scores.split.empty()) return "";
  std::string yaml("model-index:\n");
  yaml += line("- ", "name", yaml_text(report.at("run_name").get<std::string>()));
  yaml += "  results:\n  - task:\n      type: summarization\n      name: Summarization\n";
  yaml += dataset_yaml(report, scores.split) + "    metrics:\n";
  for (size_t k = 0; k < metrics::kRougeKinds.size(); ++k) {
    yaml += line("    - ", "type", "rouge") + line("      ", "name", kRougeTitles[k]);
    yaml += line("      ", "value", core::to_line(scores.values.at(metrics::kRougeKinds[k].name)));
  }
  return yaml;
}

std::string emissions_source(const core::Json& report, const metrics::Figure& grams) {
  std::string tables;
  for (const core::Json& factor : report.at("carbon").at("factors")) {
    tables += (tables.empty() ? "" : "; ") + factor.at("table").get<std::string>();
  }
  const bool has_pue = metrics::figure_from_json(report.at("carbon").at("pue")).known();
  return "txtsum " + report.at("program_version").get<std::string>() + ", " +
         std::string(metrics::provenance_name(grams.provenance)) + (grams.lower_bound ? ", a lower bound" : "") +
         ": energy x " + (has_pue ? "PUE x " : "") + "grid intensity, the highest of: " + tables;
}

std::string emissions(const core::Json& report) {
  const metrics::Figure grams = metrics::figure_from_json(report.at("carbon").at("high_grams"));
  if (!grams.known()) return "";
  std::string yaml("co2_eq_emissions:\n");
  yaml += line("  ", "emissions", core::to_line(core::Json(*grams.value)));
  yaml += line("  ", "source", yaml_text(emissions_source(report, grams)));
  yaml += line("  ", "training_type", is_trained_anew(report) ? "pre-training" : "fine-tuning");
  const std::string region = report.at("carbon").at("region").get<std::string>();
  if (!region.empty()) yaml += line("  ", "geographical_location", yaml_text(region));
  const std::string device = hardware(report);
  if (!device.empty()) yaml += line("  ", "hardware_used", yaml_text(device));
  return yaml;
}

}  // namespace

CardScores card_scores(const core::Json& report) {
  const core::Json& quality = report.at("quality");
  for (const char* split : {"test", "validation"}) {
    if (quality.contains(split) && quality.at(split).is_object() && quality.at(split).contains("rouge1")) {
      return {split, quality.at(split)};
    }
  }
  return {};
}

std::string config_value(const core::Json& report, const std::string& key) {
  const core::Json& config = report.at("config");
  if (!config.contains(key)) return "";
  std::string value = config.at(key).get<std::string>();
  // A text that YAML needs quotes for has them, with the escapes of JSON.
  const core::Json unquoted =
      value.starts_with('"') ? core::Json::parse(value, nullptr, /*allow_exceptions=*/false) : core::Json();
  if (unquoted.is_string()) value = unquoted.get<std::string>();
  return value == "null" || value == "[]" ? "" : value;
}

std::string hardware(const core::Json& report) {
  const core::Json& environment = report.at("environment");
  const std::string device = environment.value("device", "");
  return device.empty() || device == "cpu" ? environment.value("cpu_model", "") : device;
}

std::string split_files(const core::Json& report, const std::string& split) {
  std::string files = config_value(report, "data." + split);
  if (files.empty()) files = config_value(report, "data.train");  // of which it is a share
  const bool is_list = files.size() > 2 && files.front() == '[';
  return is_list ? files.substr(1, files.size() - 2) : files;
}

std::string card_metadata(const core::Json& report, const CardBase& base) {
  std::string yaml = stated_or_inherited(report, base, "report.language", "language");
  for (const char* key : {"license", "license_name", "license_link"})
    yaml += stated_or_inherited(report, base, "", key);
  yaml += "library_name: transformers\npipeline_tag: summarization\ntags:\n- summarization\n- txtsum\n";
  if (base.folder.source == ModelSource::kCache && !is_trained_anew(report)) {
    yaml += line("", "base_model", config_value(report, "model.checkpoint")) + "base_model_relation: finetune\n";
  }
  const std::string dataset = config_value(report, "report.dataset");
  if (!dataset.empty()) yaml += "datasets:\n- " + yaml_text(dataset) + "\n";
  if (!card_scores(report).split.empty()) yaml += "metrics:\n- rouge\n";
  return yaml + model_index(report) + emissions(report);
}

std::string metadata_entry(const std::string& card, const std::string& key) {
  std::istringstream lines(card);
  std::string text, entry;
  const auto next = [&] {
    if (!std::getline(lines, text)) return false;
    if (!text.empty() && text.back() == '\r') text.pop_back();
    return true;
  };
  if (!next() || text != "---") return "";
  while (next() && text != "---" && text != "...") {
    const bool continues = text.empty() || text.front() == ' ' || text.front() == '-' || text.front() == '#';
    if (text.starts_with(key + ":") || (continues && !entry.empty())) {
      entry += text + "\n";
    } else if (!entry.empty()) {
      break;
    }
  }
  return entry;
}

}  // namespace txtsum::app
