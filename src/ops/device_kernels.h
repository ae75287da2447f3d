#pragma once

// The CUDA kernels behind the operations, on plain pointers, so that nvcc reads no LibTorch header. All arrays are
// contiguous and start at a multiple of 16 bytes; widths are multiples of 8. Every launch goes to `stream` and is
// checked.

#include <cuda_runtime_api.h>

#include <cstdint>

namespace txtsum::ops::cuda {

/// Type of activations and weights.
enum class Type { kFloat, kBFloat16 };

/// One dropout site, as DropoutKey describes it; threshold 0: inactive.
struct Dropout {
  uint32_t key0 = 0, key1 = 0, site = 0;
  uint32_t threshold = 0;
  float keep_factor = 1.0f;
  const int64_t* examples = nullptr;   ///< [rows]
  const int64_t* positions = nullptr;  ///< [rows]
};

/// out = dropout(x); x, out: [rows, width].
void drop_rows(Type type, const void* x, void* out, int64_t rows, int64_t width, const Dropout& dropout,
               cudaStream_t stream);

/// Kinds of element-wise functions, in the order of ops::Activation.
enum class Function { kGelu, kGeluTanh, kRelu, kSilu, kTanh };

/// out = dropout(f(x)); x, out: [rows, width].
void activate(Type type, Function function, const void* x, void* out, int64_t rows, int64_t width,
              const Dropout& dropout, cudaStream_t stream);

/// d_x = dropout(d_out) * f'(x).
void activate_backward(Type type, Function function, const void* d_out, const void* x, void* d_x, int64_t rows,
                       int64_t width, const Dropout& dropout, cudaStream_t stream);

/// out[n] = table[ids[n]] * scale + positions[places[n] + offset]; rows of `width`.
struct Embed {
  Type type = Type::kFloat;
  int64_t rows = 0, width = 0, offset = 0;
  float scale = 1.0f;
  const void *table = nullptr, *positions = nullptr;
  const int64_t *ids = nullptr, *places = nullptr;
  void* out = nullptr;
};
void embed_rows(const Embed& embed, cudaStream_t stream);

/// gradient[ids[i]] += factor * sum of d_out[order[i]] over equal ids, in fp32 and in that order; ids are sorted.
struct AddRows {
  Type gradient_type = Type::kFloat, type = Type::kFloat;
  int64_t rows = 0, width = 0;
  float factor = 1.0f;
  const int64_t *ids = nullptr, *order = nullptr;
  const void* d_out = nullptr;
  void* gradient = nullptr;
};
void add_rows(const AddRows& rows, cudaStream_t stream);

/// out = LayerNorm(residual + dropout(x)) * scale + shift; all but mean and inverse of `type`.
struct NormForward {
  Type type = Type::kFloat;
  int64_t rows = 0, width = 0;
  float epsilon = 1e-5f;
  const void *x = nullptr, *residual = nullptr;  ///< residual may be null.
  const void *scale = nullptr, *shift = nullptr;
  void* out = nullptr;
  void* sum = nullptr;                        ///< residual + dropout(x); null where backward does not need it.
  float *mean = nullptr, *inverse = nullptr;  ///< [rows]; null where backward does not need them.
  Dropout dropout;
};
void norm_forward(const NormForward& norm, cudaStream_t stream);

/// Gradients of NormForward. d_x may be null where no mask stands before x: then d_sum is x's too.
struct NormBackward {
  Type type = Type::kFloat;
  int64_t rows = 0, width = 0;
  const void *d_out = nullptr, *sum = nullptr, *scale = nullptr;
  const float *mean = nullptr, *inverse = nullptr;
  void *d_sum = nullptr, *d_x = nullptr;
  float* partials = nullptr;  ///< [norm_backward_blocks(rows), 2, width]: sums for scale and shift, a block each.
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
  float *loss = nullptr, *nll = nullptr;  ///< [rows]
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

struct AdamW {
  float *masters = nullptr, *first = nullptr, *second = nullptr;
  const void* gradients = nullptr;
  Type gradient_type = Type::kFloat;
  void* working = nullptr;      ///< bf16, or null.
  const Span* spans = nullptr;  ///< On the device, sorted.
  int32_t span_count = 0;
  int64_t numel = 0;
  AdamWNumbers numbers;
};
void adamw(const AdamW& update, cudaStream_t stream);

/// Sums of squares of the elements in spans that are not frozen, one fp64 number a chunk of square_sum_chunk()
/// elements.
int64_t square_sum_chunk();
void square_sums(Type type, const void* gradients, int64_t numel, const Span* spans, int32_t span_count, double* sums,
                 cudaStream_t stream);

}  // namespace txtsum::ops::cuda
