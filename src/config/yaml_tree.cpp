// The only source that knows yaml-cpp.

#include "config/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "txtsum/core/utf8.h"

namespace txtsum::config {
namespace {

constexpr int kMaxDepth = 32;
constexpr int kMaxNodes = 20000;

/// Copies yaml-cpp's graph into a tree. Aliases may make the graph's tree huge or endless, hence the limits.
class TreeBuilder {
 public:
  YamlNode build(const YAML::Node& node, const YAML::Mark& place, int depth) {
    if (depth > kMaxDepth || ++nodes_ > kMaxNodes) {
      fail("nested too deeply, or more than " + std::to_string(kMaxNodes) + " values (an alias of itself?)", place);
    }
    YamlNode out;
    out.line = place.line + 1;
    out.column = place.column + 1;
    if (node.IsMap()) {
      out.value.kind = Value::Kind::kMap;
      add_entries(node, depth, out);
    } else {
      out.value = leaf(node, depth);
    }
    return out;
  }

 private:
  [[noreturn]] static void fail(const std::string& what, const YAML::Mark& place) {
    throw YamlError{what, place.line + 1, place.column + 1};
  }

  /// yaml-cpp reads the escapes \N and \_ as single bytes.
  static std::string text_of(const YAML::Node& scalar) {
    std::string text = scalar.Scalar();
    if (core::valid_utf8_bytes(text) == text.size()) return text;
    fail("\\N and \\_ are not understood here: write the character itself, or as \\u0085 and \\u00A0", scalar.Mark());
  }

  void add_entries(const YAML::Node& map, int depth, YamlNode& out) {
    for (const auto& entry : map) {
      if (!entry.first.IsScalar()) fail("a key must be a word", entry.first.Mark());
      YamlNode child = build(entry.second, entry.first.Mark(), depth + 1);
      child.key = text_of(entry.first);
      if (child.key == "<<") {
        merge(entry.second, entry.first.Mark(), std::move(child), depth, out);
      } else {
        add_own(std::move(child), out);
      }
    }
  }

  static YamlNode* find(YamlNode& map, const std::string& key) {
    const auto same =
        std::find_if(map.children.begin(), map.children.end(), [&](const YamlNode& other) { return other.key == key; });
    return same == map.children.end() ? nullptr : &*same;
  }

  /// An entry of the mapping itself replaces one that a merge brought; a second one of its own is a repetition.
  static void add_own(YamlNode child, YamlNode& out) {
    YamlNode* same = find(out, child.key);
    if (same == nullptr) {
      out.children.push_back(std::move(child));
    } else if (same->merged) {
      *same = std::move(child);
    } else {
      out.repeated.push_back(std::move(child));
    }
  }

  /// `<<: *anchor` or `<<: [*a, *b]`: entries that are not there yet, the first mapping's before the second's.
  void merge(const YAML::Node& source, const YAML::Mark& place, YamlNode built, int depth, YamlNode& out) {
    if (source.IsSequence()) {
      for (const YAML::Node& item : source) merge(item, place, build(item, place, depth + 1), depth, out);
      return;
    }
    if (built.value.kind != Value::Kind::kMap) fail("`<<` takes a mapping or a list of mappings", place);
    for (YamlNode& child : built.children) {
      if (find(out, child.key) != nullptr) continue;
      child.merged = true;
      out.children.push_back(std::move(child));
    }
  }

  Value leaf(const YAML::Node& node, int depth) {
    Value value;
    if (node.IsScalar()) {
      value.kind = Value::Kind::kScalar;
      value.text = text_of(node);
    } else if (node.IsSequence()) {
      value.kind = Value::Kind::kList;
      for (const YAML::Node& item : node) {
        YamlNode child = build(item, item.Mark(), depth + 1);
        value.items.push_back(std::move(child.value));
      }
    }
    return value;
  }

  int nodes_ = 0;
};

/// Hears of a document's values and keeps the place of the first, where the document's root is.
class RootPlace : public YAML::EventHandler {
 public:
  YAML::Mark mark = YAML::Mark::null_mark();

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& place, YAML::anchor_t) override { keep(place); }
  void OnAlias(const YAML::Mark& place, YAML::anchor_t) override { keep(place); }
  void OnScalar(const YAML::Mark& place, const std::string&, YAML::anchor_t, const std::string&) override {
    keep(place);
  }
  void OnSequenceStart(const YAML::Mark& place, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    keep(place);
  }
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark& place, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    keep(place);
  }
  void OnMapEnd() override {}

 private:
  void keep(const YAML::Mark& place) {
    if (mark.is_null()) mark = place;
  }
};

/// Throws where a second document follows. yaml-cpp's LoadAll cannot be asked: of a text like `, a` it makes empty
/// documents at one and the same place without end.
void require_one_document(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  RootPlace first, second;
  if (!parser.HandleNextDocument(first) || !parser.HandleNextDocument(second)) return;
  const bool stuck = second.mark.pos <= first.mark.pos;
  throw YamlError{
      stuck ? "not valid YAML: no value can begin here" : "a second document (`---`); a config is one document",
      second.mark.line + 1, second.mark.column + 1};
}

/// yaml-cpp's complaint about a tab depends on what is around it, so the first tab in an indentation is looked for.
std::optional<YamlError> find_tab(std::string_view text) {
  int line = 1;
  for (size_t start = 0; start < text.size(); ++line) {
    const size_t end = std::min(text.find('\n', start), text.size());
    const std::string_view row = text.substr(start, end - start);
    const size_t tab = row.substr(0, row.find_first_not_of(" \t")).find('\t');
    if (tab != std::string_view::npos) {
      return YamlError{"not valid YAML: a tab in the indentation; use spaces", line, static_cast<int>(tab) + 1};
    }
    start = end + 1;
  }
  return std::nullopt;
}

[[noreturn]] void fail_at(std::string_view text, size_t place, const char* what) {
  const std::string_view before = text.substr(0, place);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const size_t column = place - (before.rfind('\n') + 1) + 1;
  throw YamlError{what, static_cast<int>(line), static_cast<int>(column)};
}

}  // namespace

YamlNode parse_yaml(std::string_view text) {
  if (const size_t valid = core::valid_utf8_bytes(text); valid != text.size()) fail_at(text, valid, "not valid UTF-8");
  // yaml-cpp takes it for the sign that begins an escape.
  if (const size_t zero = text.find('\0'); zero != text.npos) fail_at(text, zero, "not valid YAML: a zero byte");
  try {
    const std::string whole(text);
    require_one_document(whole);
    const YAML::Node root = YAML::Load(whole);
    return TreeBuilder().build(root, root.Mark(), 0);
  } catch (const YAML::Exception& error) {
    if (const auto tab = find_tab(text)) throw *tab;
    throw YamlError{"not valid YAML: " + error.msg, error.mark.line + 1, error.mark.column + 1};
  }
}

}  // namespace txtsum::config
