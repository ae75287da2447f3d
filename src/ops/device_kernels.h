#pragma once

// The CUDA kernels behind the operations, on plain pointers, so that nvcc reads no LibTorch header. All arrays are
// contiguous and start at a multiple of 16 bytes; widths are multiples of 8. Every launch goes to `stream` and is
// checked.

#include <cuda_runtime_api.h>

#include <cstdint>

namespace txtsum::ops::cuda {

/// Type of activations and weights.
enum class Type { kFloat, kBFloat16, kHalf };

/// One dropout site, as DropoutKey describes it; threshold 0: inactive.
struct Dropout {
  uint32_t key0 = 0, key1 = 0, site = 0;
  uint32_t threshold = 0;
  float keep_factor = 1.0f;
  const uint32_t* keys = nullptr;      ///< [2], read in place of key0 and key1; may be null.
  const int64_t* examples = nullptr;   ///< [rows]
  const int64_t* positions = nullptr;  ///< [rows]
};

/// out = dropout(x); x, out: [rows, width].
void drop_rows(Type type, const void* x, void* out, int64_t rows, int64_t width, const Dropout& dropout,
               cudaStream_t stream);

/// Kinds of element-wise functions, in the order of ops::Activation.
enum class Function { kGelu, kGeluTanh, kRelu, kSilu, kTanh };

/// out = dropout(f(x + bias)); x, out: [rows, width].
struct Activate {
  Type type = Type::kFloat;
  Function function = Function::kGelu;
  int64_t rows = 0, width = 0;
  const void* x = nullptr;
  const void* bias = nullptr;  ///< [width] or null.
  void* out = nullptr;
  Dropout dropout;
};
void activate(const Activate& forward, cudaStream_t stream);

/// d_x = dropout(d_out) * f'(x + bias), and its sums over rows.
struct ActivateBackward {
  Activate forward;  ///< `out` takes d_x.
  const void* d_out = nullptr;
  void* activated = nullptr;  ///< Takes dropout(f(x + bias)) once more; null: not wanted.
  float* partials = nullptr;  ///< [column_blocks(rows), width]: sums of d_x over the rows of a block; null: none.
};
void activate_backward(const ActivateBackward& backward, cudaStream_t stream);

/// Blocks of rows that column sums are made of.
int64_t column_blocks(int64_t rows);
/// partials[b] = sum of the rows of block b; x: [rows, width], partials: [column_blocks(rows), width].
void column_sums(Type type, const void* x, int64_t rows, int64_t width, float* partials, cudaStream_t stream);

/// gradients[v][c] += sum over blocks of partials[block][v][c], in fp32 and in the order of the blocks.
struct AddPartials {
  const float* partials = nullptr;  ///< [blocks, vectors, width]
  int64_t blocks = 0, width = 0;
  int32_t vectors = 1;                               ///< At most 3.
  void* gradients[3] = {nullptr, nullptr, nullptr};  ///< [width] each, or null where nothing is wanted.
  Type gradient_type = Type::kFloat;
};
void add_partials(const AddPartials& sums, cudaStream_t stream);

/// gradient[ids[i]] += factor * sum of d_out[order[i]] over equal ids, in fp32 and in that order; ids are sorted.
struct AddRows {
  Type gradient_type = Type::kFloat, type = Type::kFloat;
  int64_t rows = 0, width = 0;
  float factor = 1.0f;
  const int32_t* ids = nullptr;
  const int64_t* order = nullptr;
  const void* d_out = nullptr;
  void* gradient = nullptr;
};
void add_rows(const AddRows& rows, cudaStream_t stream);

/// gradient[p + offset] += sum over the sequences longer than p of d_out[their token p]; fp32, in their order.
struct AddPositionRows {
  Type gradient_type = Type::kFloat, type = Type::kFloat;
  int64_t longest = 0, sequences = 0, width = 0, offset = 0;
  const int32_t* offsets = nullptr;  ///< [sequences + 1]
  const void* d_out = nullptr;
  void* gradient = nullptr;
};
void add_position_rows(const AddPositionRows& rows, cudaStream_t stream);

/// Where the rows of a NormForward's x and residual lie: row n of x is row ids[n] of a table, times `factor`; row n of
/// the residual is row places[n] + offset of a table of positions.
struct TableRows {
  const int64_t *ids = nullptr, *places = nullptr;  ///< [rows]; null: row n.
  int64_t offset = 0;
  float factor = 1.0f;
};

/// out = LayerNorm(residual + dropout(x + bias)) * scale + shift; all but mean and inverse of `type`, but where
/// `wide`: then residual and sum are fp32. Without a shift no mean is taken off (`mean` gets 0).
struct NormForward {
  Type type = Type::kFloat;
  bool wide = false;
  int64_t rows = 0, width = 0;
  float epsilon = 1e-5f;
  const void *x = nullptr, *bias = nullptr, *residual = nullptr;  ///< bias and one of the others may be null.
  TableRows tables;
  const void *scale = nullptr, *shift = nullptr;  ///< No scale: only the sum is made.
  void* out = nullptr;
  void* sum = nullptr;                        ///< What is normalized; null where backward does not need it.
  float *mean = nullptr, *inverse = nullptr;  ///< [rows]; null where backward does not need them.
  Dropout dropout;
  Dropout last_dropout;  ///< On what is made: the norm, or the sum where there is none.
};
void norm_forward(const NormForward& norm, cudaStream_t stream);

/// Gradients of NormForward. d_x may be null where no mask stands before x and types are the same: then d_sum is x's
/// too.
struct NormBackward {
  Type type = Type::kFloat;
  bool wide = false;               ///< sum, d_stream and d_sum are fp32.
  bool centred = true;             ///< There was a shift.
  const void* d_stream = nullptr;  ///< Gradient of the sum that does not come through the norm; may be null.
  int64_t rows = 0, width = 0;
  const void *d_out = nullptr, *sum = nullptr, *scale = nullptr;  ///< Null all three: there is no norm.
  const float *mean = nullptr, *inverse = nullptr;
  void *d_sum = nullptr, *d_x = nullptr;
  float* partials = nullptr;  ///< [norm_backward_blocks(rows), 3, width]: sums for scale, shift and bias, a block each.
  Dropout dropout;
};
int64_t norm_backward_blocks(int64_t rows);
void norm_backward(const NormBackward& norm, cudaStream_t stream);

/// Cross entropy of `rows` rows of logits, softmax in fp32. Writes loss and nll of each row; where `with_gradient`,
/// overwrites the logits with the derivative of the loss by them. Rows with a label below 0 count nothing and get 0.
struct CrossEntropyRows {
  Type type = Type::kFloat;
  int64_t rows = 0, vocabulary = 0;
  int64_t stride = 0;  ///< Elements from row to row, a multiple of 8; those behind the vocabulary get gradient 0.
  void* logits = nullptr;
  const float* bias = nullptr;  ///< [vocabulary] or null.
  const int64_t* labels = nullptr;
  float smoothing = 0.0f;
  bool with_gradient = false;
  const float* gradient_factor = nullptr;  ///< On the device; multiplies the derivative. May be null: 1.
  float *loss = nullptr, *nll = nullptr;   ///< [rows]
};
void cross_entropy_rows(const CrossEntropyRows& rows, cudaStream_t stream);

/// A stretch of an arena that is updated alike.
struct Span {
  int64_t begin = 0, end = 0;
  int32_t decay = 1, frozen = 0;
};

/// What changes from update to update.
struct AdamWNumbers {
  float gradient_factor = 1.0f;
  float decay_factor = 1.0f;
  float one_minus_beta1 = 0.1f;
  float beta2 = 0.999f;
  float one_minus_beta2 = 0.001f;
  float step_size = 0.0f;
  float inverse_root = 1.0f;
  float epsilon = 1e-8f;
};

/// What an update learns from its own gradients.
struct UpdateFactors {
  float gradient_factor = 1.0f;  ///< 1 / tokens, clipping, and 1 / loss scale; NaN where an update is left out.
  float step_size = 0.0f, inverse_root = 1.0f;  ///< As AdamWNumbers has them.
};

/// torch.amp.GradScaler's state and settings: the scale is halved at an overflow, and doubled after so many updates
/// without one.
struct LossScale {
  float scale = 65536.0f;
  int32_t good_updates = 0;  ///< Since the scale was last changed.
  int32_t left_out = 0;      ///< Updates that overflowed; the optimizer has not counted them.
};
inline constexpr int32_t kLossScaleGrowthUpdates = 2000;

struct AdamW {
  float *masters = nullptr, *first = nullptr, *second = nullptr;
  const void* gradients = nullptr;
  Type gradient_type = Type::kFloat;
  void* working = nullptr;  ///< Of `working_type`, or null.
  Type working_type = Type::kBFloat16;
  const Span* spans = nullptr;  ///< On the device, sorted.
  int32_t span_count = 0;
  int64_t numel = 0;
  AdamWNumbers numbers;
  /// On the device, in place of numbers; null: not there. A NaN as gradient_factor: nothing is updated.
  const UpdateFactors* factors = nullptr;
};
void adamw(const AdamW& update, cudaStream_t stream);

/// Sums of squares of the elements in spans that are not frozen, one fp64 number a chunk of square_sum_chunk()
/// elements.
int64_t square_sum_chunk();
void square_sums(Type type, const void* gradients, int64_t numel, const Span* spans, int32_t span_count, double* sums,
                 cudaStream_t stream);

/// What is read back of one update: means over its tokens.
struct UpdateResults {
  double loss = 0.0, nll = 0.0, gradient_norm = 0.0;
  double loss_scale = 1.0;  ///< That its gradients were multiplied by.
  int64_t bad_chunk = -1;   ///< The last chunk of the gradients that is not finite; -1: all are.
  LossScale after;          ///< The loss scale that the next update takes.
};

/// The numbers of one update from its sums, and what AdamW takes from them.
struct FinishNorm {
  const double* square_sums = nullptr;  ///< [chunks]
  int64_t chunks = 0;
  const double* loss_sums = nullptr;  ///< loss and nll over the tokens
  double per_token = 1.0;
  double clip_norm = 0.0;     ///< 0: no clipping.
  double clip_epsilon = 0.0;  ///< Added to the norm that divides.
  AdamWNumbers numbers;
  double learning_rate = 0.0, beta1 = 0.9, beta2 = 0.999;  ///< Read with a loss scale alone.
  int64_t update = 1;
  /// In and out; null: gradients are those of the sum over the tokens. Else they are those of the mean times `scale`.
  LossScale* loss_scale = nullptr;
  UpdateResults* results = nullptr;
  UpdateFactors* factors = nullptr;
};
void finish_norm(const FinishNorm& numbers, cudaStream_t stream);

/// Where the sequences of a batch lie, for several row widths at once: lengths[b] = offsets[b + 1] - offsets[b] and
/// starts[w][b] = offsets[b] * widths[w], b up to and with `sequences`.
struct SequenceStarts {
  static constexpr int kMaxWidths = 3;
  const int32_t* offsets = nullptr;  ///< [sequences + 1]
  int64_t sequences = 0;
  int32_t* lengths = nullptr;  ///< [sequences]
  int32_t widths[kMaxWidths] = {};
  int32_t* starts[kMaxWidths] = {};  ///< [sequences + 1] each; null: not wanted.
};
void sequence_starts(const SequenceStarts& queries, const SequenceStarts& keys, cudaStream_t stream);

}  // namespace txtsum::ops::cuda
