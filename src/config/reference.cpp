#include "txtsum/config/reference.h"

#include <string_view>

#include "config/field_list.h"
#include "config/field_text.h"
#include "config/foreign_table.h"

namespace txtsum::config {
namespace {

constexpr std::string_view kIntroduction = R"(# Config reference

Made by `txtsum config docs`; do not edit.

An experiment is a YAML file of sections. What is set later wins, in this order: the defaults below, the fragments that the
file's `include:` names (a file or a list, relative to the file), the file, and `section.key=value` arguments on the command line.

- `null` unsets an optional key and empties a list. `auto` is not a value (but for `run.resume`): leave the key out.
- Of two keys that exclude each other, the one set later in that order counts; both in one file are an error.
- Paths in values are relative to the current folder. Lists may be written as one value: `data.train=a.jsonl` is
  `data.train=[a.jsonl]`.
- YAML anchors, aliases and `<<` work. A key set twice, an unknown key, and a value of the wrong type or range are errors; all
  are reported at once, with file, line and column.
- Names of transformers and DeepSpeed are answered with the line to write ([from_transformers.md](from_transformers.md)).
- A run saves its resolved config as `config.yaml` in the run folder; running that file repeats the run.
- Keys marked * may differ when a run is resumed.
)";

constexpr std::string_view kForeignIntroduction = R"(# From transformers and DeepSpeed to txtsum

Made by `txtsum config docs`; do not edit. The program has the same table: a key or flag by one of these names is an error
that gives the line to write.

Three things differ most. `train.batch_size` counts the examples of one update over all ranks and micro-batches; memory is a
setting of its own, `train.micro_batch_tokens`. Lengths of generated text count the tokens after the start token
(transformers' `max_new_tokens`), so `max_length: 62` is `generation.max_new_tokens: 61`. What is unset in section
`generation` comes from the model folder's `generation_config.json`.
)";

std::string in_code(std::string_view text) {
  std::string out(1, '`');
  out.append(text);
  out.push_back('`');
  return out;
}

std::string value_column(const Field& field) {
  std::string out = describe_type(field);
  const std::string range = describe_range(field.note);
  if (!range.empty()) out += ", " + range;
  if (!field.note.unit.empty()) out += " (" + std::string(field.note.unit) + ")";
  return out;
}

std::string default_column(const Field& field) {
  const FieldNote& note = field.note;
  if (!note.default_note.empty()) return std::string(note.default_note);
  const std::string value = format_value(field);
  if (note.required && (value == "\"\"" || value == "[]")) return "**required**";
  return in_code(value);
}

std::string help_column(const Field& field) {
  std::string out(field.note.help);
  if (!field.note.exclusive_with.empty()) out += " Excludes `" + std::string(field.note.exclusive_with) + "`.";
  return out;
}

std::string foreign_line(const ForeignName& entry) {
  std::string ours;
  if (!entry.ours.empty()) ours += in_code(entry.ours);
  if (entry.conversion == ForeignValue::kLessOne) ours += " (one less)";
  for (const auto& [theirs, line] : entry.values) {
    if (!ours.empty()) ours += "; ";
    ours.append(theirs).append(": ").append(in_code(line));
  }
  if (ours.empty()) ours += '-';
  std::string out = "| ";
  out.append(in_code(entry.name)).append(" | ").append(ours).append(" | ").append(entry.note).append(" |\n");
  return out;
}

}  // namespace

std::string config_reference_markdown() {
  ExperimentConfig defaults;
  std::string out(kIntroduction);
  for (const ListedSection& section : list_sections(defaults)) {
    out += "\n## " + section.key + "\n\n" + std::string(section.help) + "\n\n";
    out += "| key | value | default | what it does |\n| --- | --- | --- | --- |\n";
    for (const ListedField& listed : section.fields) {
      const Field& field = listed.field;
      out.append("| ").append(in_code(listed.key)).append(field.note.changes_training ? " | " : " * | ");
      out.append(value_column(field)).append(" | ").append(default_column(field)).append(" | ");
      out.append(help_column(field)).append(" |\n");
    }
  }
  return out;
}

std::string from_transformers_markdown() {
  std::string out(kForeignIntroduction);
  for (const ForeignGroup& group : foreign_table()) {
    out += "\n## " + std::string(group.title) + "\n\n| theirs | ours | note |\n| --- | --- | --- |\n";
    for (const ForeignName& entry : group.names) out += foreign_line(entry);
  }
  return out;
}

}  // namespace txtsum::config
