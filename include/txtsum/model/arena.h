#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/TensorOptions.h>

#include <cstdint>
#include <string>
#include <vector>

#include "txtsum/ops/parameter.h"

namespace txtsum::model {

/// One parameter as a model family declares it.
struct ParameterSpec {
  std::string name;  ///< Hugging Face's name.
  std::vector<int64_t> shape;
  int64_t block = 0;        ///< Number of the block that uses it; blocks are laid out in ascending order.
  bool decay = true;        ///< Weight decay applies (matrices and tables: yes; biases and norms: no).
  std::string group;        ///< Members of a non-empty group are laid out adjacent, in order, and are one view as well.
  bool vocabulary = false;  ///< Its rows are padded with zeros to a multiple of 64.
  bool frozen = false;      ///< Asked to be frozen.
  double init_mean = 0.0;   ///< Random weights are normal with this mean
  double init_std = 0.0;    ///< and this standard deviation.
};

/// One parameter in the arena. Offsets and counts are in elements.
struct ArenaEntry {
  std::string name;
  std::vector<int64_t> shape;
  int64_t offset = 0;
  int64_t numel = 0;         ///< Elements of `shape`.
  int64_t padded_numel = 0;  ///< With the zero rows of a padded vocabulary.
  int64_t block = 0;
  bool decay = true;
  bool frozen = false;             ///< Its values never change.
  bool in_trainable_range = true;  ///< False: no gradient and no optimizer state exist. A frozen member of a trainable
                                   ///< group has both (the group is one product) and is masked in the update.
};

/// A view of the arena that operations use: one parameter, or a fused group as one tensor.
struct ArenaView {
  std::string name;
  std::vector<int64_t> shape;  ///< A group's leading dimension is the sum over its members; a vocabulary has its
                               ///< padding rows.
  int64_t offset = 0;
  int64_t block = 0;
  bool in_trainable_range = true;
  int64_t unit = 0;   ///< Of ArenaLayout::units.
  bool whole = true;  ///< Covers its unit: a parameter alone, or a group.
};

/// What begins at an aligned offset: a parameter alone, or a group.
struct ArenaUnit {
  int64_t offset = 0, numel = 0;  ///< Without what fills up to the next.
  int64_t block = 0;
  bool in_trainable_range = true;
  bool is_matrix = true;  ///< Of two dimensions or more.
};

/// Elements [begin, end) of an arena.
struct ArenaRange {
  int64_t begin = 0, end = 0;
  int64_t numel() const { return end - begin; }
};

/// A stretch of the trainable range that is updated alike.
struct UpdateRange {
  int64_t begin = 0;
  int64_t end = 0;
  bool decay = true;
  bool frozen = false;
};

/// Where each parameter lies: pure integer arithmetic, the same for weights, gradients, fp32 masters and moments. The
/// trainable range comes first, then the frozen one; within each block by block, and in a block first the parameters
/// with decay, then those without. Every tensor or group starts at a multiple of 128 elements (256 bytes in bf16).
class ArenaLayout {
 public:
  explicit ArenaLayout(const std::vector<ParameterSpec>& specs);

  const std::vector<ArenaEntry>& entries() const { return entries_; }
  const std::vector<ArenaView>& views() const { return views_; }
  /// Ascending by offset.
  const std::vector<ArenaUnit>& units() const { return units_; }
  /// Index of the view named `name` (a parameter or a group). InternalError when there is none.
  int64_t view_index(const std::string& name) const;
  /// The entry named `name`, or null.
  const ArenaEntry* find(const std::string& name) const;
  /// Elements of the trainable range, which starts at 0; a multiple of 128.
  int64_t trainable_numel() const { return trainable_numel_; }
  /// Elements of the whole arena.
  int64_t total_numel() const { return total_numel_; }
  /// Covers [0, trainable_numel()) without holes, sorted.
  const std::vector<UpdateRange>& update_ranges() const { return update_ranges_; }
  /// Number of blocks (largest block number + 1).
  int64_t block_count() const { return block_count_; }
  /// What a block has of the trainable range, or of the frozen one; begin == end where it has nothing there.
  ArenaRange block_range(int64_t block, bool trainable) const {
    return block_ranges_[trainable ? 1 : 0][static_cast<size_t>(block)];
  }

 private:
  std::vector<ArenaEntry> entries_;
  std::vector<ArenaView> views_;
  std::vector<ArenaUnit> units_;
  std::vector<UpdateRange> update_ranges_;
  std::vector<ArenaRange> block_ranges_[2];  // of the frozen range, of the trainable one
  int64_t trainable_numel_ = 0;
  int64_t total_numel_ = 0;
  int64_t block_count_ = 0;
};

/// The working weights and gradients of one model over one layout. They lie in one buffer each, or, where a run is
/// sharded, block by block in memory that comes and goes (place_values, place_gradients).
class Arena final : public ops::ParameterSource {
 public:
  /// Allocates zeroed values of `dtype` on the CPU; gradients are made by allocate_gradients.
  Arena(ArenaLayout layout, at::ScalarType dtype);

  const ArenaLayout& layout() const { return layout_; }
  at::ScalarType dtype() const { return options_.dtype().toScalarType(); }
  at::Device device() const { return options_.device(); }
  /// Type and device of the values.
  const at::TensorOptions& options() const { return options_; }

  /// All working weights, 1-D, total_numel() elements; undefined where they are placed by blocks.
  const at::Tensor& values() const { return values_; }
  /// Gradients of the trainable range, 1-D, trainable_numel() elements; undefined before allocate_gradients, and where
  /// they are placed by blocks.
  const at::Tensor& gradients() const { return gradients_; }
  /// Zeroed, where the values are.
  void allocate_gradients(at::ScalarType dtype);

  /// From now on gradients lie where place_gradients says, and nowhere before it does.
  void place_gradients_by_block();
  /// Gradients of a block: 1-D, as many elements as its trainable range; undefined: they have no memory for now.
  void place_gradients(int64_t block, const at::Tensor& memory);
  /// All gradients, which lie in one buffer, are zero, in memory too.
  void zero_gradients();
  /// The gradients of a block, which have memory, are zero from now on. Matrices' memory stays as it is until somebody
  /// asks: who adds a product first writes it instead (take_unwritten), and settle_gradients clears what nobody has
  /// added to. Until then only gradient() says what is there.
  void clear_gradients(int64_t block);
  void settle_gradients(int64_t block);
  /// Gives up the buffer of values; from now on they lie where place_values says.
  void place_values_by_block();
  /// Values of a block's trainable or frozen range.
  void place_values(int64_t block, bool trainable, const at::Tensor& memory);

  /// Moves the values to `device`; gradients must not be there yet.
  void move_to(const at::Device& device);

  /// Values of one entry in its own shape, without padding rows.
  at::Tensor entry_values(const ArenaEntry& entry) const;
  /// The same stretch of any tensor laid out like the arena (gradients, masters, moments).
  static at::Tensor entry_of(const at::Tensor& arena, const ArenaEntry& entry);

  ops::ParamRef ref(const std::string& view_name) const { return {this, layout_.view_index(view_name)}; }

  at::Tensor value(int64_t index) const override;
  at::Tensor gradient(int64_t index) const override;
  bool take_unwritten(int64_t index) const override;
  bool trains(int64_t index) const override;

 private:
  /// `memory` begins at element `begin` of the arena.
  at::Tensor slice(const at::Tensor& memory, int64_t begin, const ArenaView& view) const;
  /// Elements [begin, end) of the gradients, all of one block.
  at::Tensor gradient_range(int64_t block, int64_t begin, int64_t end) const;
  void clear_unit(size_t unit) const;

  ArenaLayout layout_;
  at::TensorOptions options_;
  at::Tensor values_;
  at::Tensor gradients_;
  std::vector<at::Tensor> placed_gradients_;  // one a block, where they are placed by blocks
  mutable std::vector<bool> unwritten_;       // one a unit
  std::vector<at::Tensor> placed_values_[2];  // frozen, trainable; likewise
};

}  // namespace txtsum::model
