#include <filesystem>
#include <utility>

#include "checkpoint_files.h"
#include "output_file.h"
#include "txtsum/core/check.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/core/file_hash.h"
#include "txtsum/core/json.h"
#include "txtsum/io/checkpoint_folder.h"
#include "txtsum/io/replace_folder.h"

namespace txtsum::io {
namespace fs = std::filesystem;
namespace {

void create_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) throw core::DataError(path + ": cannot create folder: " + error.message());
}

}  // namespace

CheckpointWriter::CheckpointWriter(std::string root, int64_t step, PublishMode mode, StageObserver observer)
    : root_(std::move(root)),
      name_("step-" + std::to_string(step)),
      mode_(mode),
      observer_(std::move(observer)),
      folder_(root_ + "/" + (mode == PublishMode::kRename ? "." + name_ + ".partial" : name_)) {
  TXTSUM_CHECK(step >= 0, "step ", step);
  remove_checkpoint_folder(folder_);
  create_folder(folder_);
}

CheckpointWriter::~CheckpointWriter() {
  if (published_) return;
  try {
    remove_checkpoint_folder(folder_);
  } catch (const core::DataError&) {
    // An error is on its way up already, and what stays is not complete.
  }
}

void CheckpointWriter::observe(std::string_view stage) const {
  if (observer_) observer_(stage);
}

void CheckpointWriter::write(const std::string& name, std::string_view bytes) {
  create_folder(fs::path(path(name)).parent_path().string());
  OutputFile file(path(name), PublishMode::kInPlace);
  file.write(bytes);
  file.publish();
}

void CheckpointWriter::copy(const std::string& source, const std::string& name) {
  const core::MappedFile bytes(source);
  write(name, bytes.text());
}

void CheckpointWriter::sync_files() const {
  for (const auto& item : fs::recursive_directory_iterator(folder_)) core::sync_path(item.path().string());
  core::sync_path(folder_);
}

void CheckpointWriter::write_checksums() {
  core::Json files = core::Json::object();
  for (const std::string& name : files_of_checkpoint(folder_)) {
    files[name] = {{"bytes", fs::file_size(path(name))}, {"xxh3_128", core::file_hash(path(name))}};
  }
  core::Json list;
  list["version"] = 1;
  list["files"] = std::move(files);
  write(kChecksumsFile, core::to_pretty_text(list));
}

std::string CheckpointWriter::publish() {
  TXTSUM_CHECK(!published_, folder_);
  observe("sync files");
  sync_files();
  observe("write checksums");
  write_checksums();
  observe("write DONE");
  write(kDoneFile, core::content_hash(core::read_file(path(kChecksumsFile))) + "\n");
  core::sync_path(folder_);
  if (mode_ == PublishMode::kRename) {
    observe("rename");
    replace_folder(folder_, root_ + "/" + name_);
  }
  published_ = true;
  observe("write latest");
  OutputFile latest(root_ + "/" + kLatestFile, mode_);
  latest.write(name_ + "\n");
  latest.publish();
  observe("finished");
  return root_ + "/" + name_;
}

}  // namespace txtsum::io
