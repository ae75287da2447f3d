#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "txtsum/io/publish_mode.h"

namespace txtsum::io {

/// Names inside a checkpoint folder (docs/checkpoint_format.md).
inline constexpr const char* kChecksumsFile = "checksums.json";
inline constexpr const char* kDoneFile = "DONE";
inline constexpr const char* kLatestFile = "latest";

/// Writes one step's folder `ROOT/step-N`, which exists whole or does not count.
///
/// The caller writes files into `folder()` and calls `publish`, which syncs them, writes their checksums, then DONE.
/// kRename works in `ROOT/.step-N.partial` and renames it, so that `step-N` is never there in part; kInPlace works in
/// `step-N` itself, and a folder without a matching DONE is not a checkpoint.
class CheckpointWriter {
 public:
  /// Called with the name of each stage of `publish` before it is carried out.
  using StageObserver = std::function<void(std::string_view stage)>;

  /// Makes an empty folder to work in; remains of an earlier attempt at the same step are removed. Throws DataError.
  CheckpointWriter(std::string root, int64_t step, PublishMode mode, StageObserver observer = {});
  /// Removes what was written, unless it was published.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  /// Where the files are to be written now. Subfolders are allowed.
  const std::string& folder() const { return folder_; }
  /// Path of the file called `name` in `folder()`.
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  /// Writes a whole small file. Throws DataError.
  void write(const std::string& name, std::string_view bytes);
  /// Copies the file at `source`. Throws DataError.
  void copy(const std::string& source, const std::string& name);

  /// Makes the folder a checkpoint and returns its path, `ROOT/step-N`. A checkpoint of the same step is replaced.
  /// Throws DataError; where the mount refuses to rename a folder, the text says which mode to choose.
  std::string publish();

 private:
  void observe(std::string_view stage) const;
  void sync_files() const;
  void write_checksums();

  std::string root_;
  std::string name_;
  PublishMode mode_;
  StageObserver observer_;
  std::string folder_;
  bool published_ = false;
};

/// A complete checkpoint.
struct CheckpointPlace {
  int64_t step;
  std::string path;
};

/// Whether `folder` is a finished checkpoint: DONE matches the checksum list, and every listed file has its size. Reads
/// no large file; `verify_checkpoint` does.
bool is_complete(const std::string& folder);

/// Compares every file of the checkpoint with its size, then with its checksum. Throws DataError that names the first
/// bad file.
void verify_checkpoint(const std::string& folder);

/// The complete checkpoints `step-N` in `root`, by step. Folders that are not complete are left out; a root that does
/// not exist has none.
std::vector<CheckpointPlace> list_checkpoints(const std::string& root);

/// The folders `step-N` in `root` that were finished once: they have a DONE, whatever became of their files. By step.
std::vector<CheckpointPlace> list_finished_checkpoints(const std::string& root);

/// The complete checkpoint with the highest step.
std::optional<CheckpointPlace> latest_checkpoint(const std::string& root);

/// Removes complete checkpoints but the last `keep_last` (at least 1) and those whose step is in `protected_steps`.
/// DONE goes first, so that a removal cut short leaves nothing that looks complete. Returns the steps removed. Throws
/// DataError.
std::vector<int64_t> remove_old_checkpoints(const std::string& root, int64_t keep_last,
                                            const std::vector<int64_t>& protected_steps);

/// Removes what killed processes left in `root`: partial folders and `step-N` folders without DONE. One that was
/// finished and is damaged stays: it may be all that there is. To be called while nobody writes there. Returns the
/// paths removed. Throws DataError.
std::vector<std::string> remove_unfinished_checkpoints(const std::string& root);

}  // namespace txtsum::io
