#include <climits>
#include <stdexcept>

#include "device_launch.cuh"
#include "search_choice.cuh"

namespace txtsum::ops::cuda {
namespace {

constexpr int kChooseThreads = 1024;
constexpr int kChooseWarps = kChooseThreads / kWarp;

/// The best of all threads, in every thread.
__device__ __forceinline__ Choice block_best(Choice mine, Choice* shared) {
  mine = warp_best(mine);
  __syncthreads();
  if (threadIdx.x % kWarp == 0) shared[threadIdx.x / kWarp] = mine;
  __syncthreads();
  return warp_best(shared[threadIdx.x % kChooseWarps]);
}

/// This thread's best token behind `limit` in the order of better(). Ids past the vocabulary never count.
template <typename T>
__device__ __forceinline__ Choice next_best(const T* logits, int64_t vocabulary, Choice limit) {
  Choice best{-INFINITY, INT32_MAX};
  for (int64_t v = threadIdx.x * kVector; v < vocabulary; v += kChooseThreads * kVector) {
    float values[kVector];
    load8(logits + v, values);
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      const Choice candidate{values[i], static_cast<int32_t>(v + i)};
      if (v + i < vocabulary && better(limit, candidate) && better(candidate, best)) best = candidate;
    }
  }
  return best;
}

/// log of the sum of exp over a row, in every thread.
template <typename T>
__device__ float log_sum_of(const T* logits, int64_t vocabulary) {
  __shared__ float shared_largest[kChooseWarps], shared_sum[kChooseWarps];
  float largest = -INFINITY, sum = 0.0f;
  for (int64_t v = threadIdx.x * kVector; v < vocabulary; v += kChooseThreads * kVector) {
    float values[kVector];
    load8(logits + v, values);
    float now = largest;
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      if (v + i < vocabulary) now = fmaxf(now, values[i]);
    }
    if (now != largest) sum *= expf(largest - now);
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      // A forbidden token adds nothing, also where a thread has seen no other.
      if (v + i < vocabulary && values[i] != -INFINITY) sum += expf(values[i] - now);
    }
    largest = now;
  }
  if (largest == -INFINITY) sum = 0.0f;  // a thread without tokens
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) {
    const float other = __shfl_xor_sync(0xFFFFFFFFu, largest, step);
    const float other_sum = __shfl_xor_sync(0xFFFFFFFFu, sum, step);
    const float now = fmaxf(largest, other);
    if (now != -INFINITY) sum = sum * expf(largest - now) + other_sum * expf(other - now);
    largest = now;
  }
  if (threadIdx.x % kWarp == 0) {
    shared_largest[threadIdx.x / kWarp] = largest;
    shared_sum[threadIdx.x / kWarp] = sum;
  }
  __syncthreads();
  largest = -INFINITY;
  for (int w = 0; w < kChooseWarps; ++w) largest = fmaxf(largest, shared_largest[w]);
  sum = 0.0f;
  for (int w = 0; w < kChooseWarps; ++w) {
    if (shared_largest[w] != -INFINITY || isnan(shared_sum[w]))
      sum += shared_sum[w] * expf(shared_largest[w] - largest);
  }
  return largest + logf(sum);
}

/// One row that is about to be chosen from: what is written, and the logits that follow.
template <typename T>
struct Row {
  const int32_t* ids;
  int32_t length;
  T* logits;

  __device__ void forbid(int32_t id) const { store(logits + id, -INFINITY); }
  __device__ void forbid(const IdList& list) const {
    for (int i = threadIdx.x; i < list.count; i += kChooseThreads) forbid(list.ids[i]);
  }
  /// Whether the last `count` ids are those at `text`.
  __device__ bool ends_with(const int32_t* text, int count) const {
    for (int i = 0; i < count; ++i) {
      if (text[i] != ids[length - count + i]) return false;
    }
    return true;
  }
  /// Forbids every token that would complete an n-gram of `text` behind the last n - 1 ids.
  __device__ void forbid_ngrams(const int32_t* text, int text_length, int n) const {
    if (n == 0 || length + 1 < n) return;
    for (int begin = threadIdx.x; begin + n <= text_length; begin += kChooseThreads) {
      if (ends_with(text + begin, n - 1)) forbid(text[begin + n - 1]);
    }
  }
  __device__ void forbid_bad_words(const SearchTables& tables) const {
    for (int word = threadIdx.x; word < tables.bad_word_count; word += kChooseThreads) {
      const int begin = word == 0 ? 0 : tables.bad_ends[word - 1], size = tables.bad_ends[word] - begin;
      // transformers skips a word as long as the text so far is shorter than the whole word.
      if (size > 1 && size > length) continue;
      if (ends_with(tables.bad_words.ids + begin, size - 1)) forbid(tables.bad_words.ids[begin + size - 1]);
    }
  }
  /// Each id that is written is penalized once; `saved` takes its logit where it was written first.
  __device__ void penalize(float penalty, float shift, float* saved) const {
    for (int place = threadIdx.x; place < length; place += kChooseThreads) {
      const int32_t id = ids[place];
      bool first = true;
      for (int before = 0; before < place; ++before) first = first && ids[before] != id;
      if (!first) continue;
      const float logit = to_float(logits[id]), score = logit - shift;
      saved[place] = logit;
      store(logits + id, (score < 0.0f ? score * penalty : score / penalty) + shift);
    }
  }
  /// What a token's logit was before it was penalized.
  __device__ float logit_of(Choice choice, bool penalized, const float* saved) const {
    for (int place = 0; penalized && place < length; ++place) {
      if (ids[place] == choice.id) return saved[place];
    }
    return choice.score;
  }
};

/// A row's candidates where `forced` alone is allowed: its ids with the same score, then others that are out.
template <typename T>
__device__ void choose_forced(const SearchTables& tables, const SearchState& state, const IdList& forced, int64_t row,
                              const T* logits, float log_sum) {
  float* scores = state.candidate_scores + row * tables.wanted;
  int32_t* ids = state.candidate_ids + row * tables.wanted;
  const float score = tables.renormalize ? -logf(static_cast<float>(forced.count)) : 0.0f;
  int32_t count = 0;
  for (int i = 0; i < forced.count && count < tables.wanted; ++i, ++count) {
    scores[count] = score;
    ids[count] = forced.ids[i];
  }
  for (int32_t id = 0; count < tables.wanted; ++id) {
    if (id < tables.vocabulary && contains(forced, id)) continue;
    scores[count] = -INFINITY;
    ids[count++] = id < tables.vocabulary ? id : -1;
  }
  state.candidate_log_probabilities[row] = to_float(logits[forced.ids[0]]) - log_sum;
}

/// A block a row.
template <typename T>
__global__ void __launch_bounds__(kChooseThreads)
    choose_candidates_kernel(SearchTables tables, SearchState state, T* all_logits, int64_t stride) {
  const int64_t index = blockIdx.x, slot = index / tables.beams;
  if (state.status[slot] != kRunning) return;
  __shared__ Choice shared_choice[kChooseWarps];
  const Row<T> row{state.running_ids + index * tables.max_length, state.written[slot], all_logits + index * stride};
  const float log_sum = log_sum_of(row.logits, tables.vocabulary);
  float shift = tables.greedy ? 0.0f : log_sum;
  const IdList* forced = row.length == 1 && tables.forced_first.count > 0 ? &tables.forced_first : nullptr;
  if (row.length == tables.max_length - 1 && tables.forced_last.count > 0) forced = &tables.forced_last;
  if (forced != nullptr) {
    if (threadIdx.x == 0) choose_forced(tables, state, *forced, index, row.logits, log_sum);
    return;
  }
  const bool penalizes = tables.repetition_penalty != 1.0f;
  float* saved = state.saved + index * tables.max_length;
  if (penalizes) row.penalize(tables.repetition_penalty, shift, saved);
  __syncthreads();
  row.forbid_ngrams(row.ids, row.length, tables.no_repeat_ngram);
  row.forbid_ngrams(state.sources + slot * state.source_capacity, state.source_lengths[slot],
                    tables.source_no_repeat_ngram);
  row.forbid_bad_words(tables);
  if (row.length < tables.min_length) row.forbid(tables.eos);
  row.forbid(tables.suppressed);
  __syncthreads();
  if (tables.renormalize) shift = log_sum_of(row.logits, tables.vocabulary);

  Choice mine = next_best(row.logits, tables.vocabulary, Choice{INFINITY, -1});
  for (int32_t k = 0; k < tables.wanted; ++k) {
    const Choice best = block_best(mine, shared_choice);
    const bool is_number = best.id != INT32_MAX && !isnan(log_sum);
    if (threadIdx.x == 0) {
      state.candidate_scores[index * tables.wanted + k] = best.score - shift;
      state.candidate_ids[index * tables.wanted + k] = is_number ? best.id : -1;
      if (k == 0 && is_number)
        state.candidate_log_probabilities[index] = row.logit_of(best, penalizes, saved) - log_sum;
    }
    if (mine.id == best.id && mine.id != INT32_MAX) mine = next_best(row.logits, tables.vocabulary, best);
  }
}

}  // namespace

void choose_candidates(const SearchTables& tables, const SearchState& state, const SearchLogits& logits,
                       cudaStream_t stream) {
  if (logits.stride % kVector != 0) throw std::runtime_error("rows of logits must start at multiples of 8 elements");
  const auto rows = static_cast<unsigned>(state.slots * tables.beams);
  with_type(logits.type, [&](auto type) {
    using T = decltype(type);
    choose_candidates_kernel<T>
        <<<rows, kChooseThreads, 0, stream>>>(tables, state, static_cast<T*>(logits.logits), logits.stride);
  });
  check_launch("choose_candidates");
}

}  // namespace txtsum::ops::cuda
