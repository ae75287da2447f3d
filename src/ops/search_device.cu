#include <climits>
#include <stdexcept>

#include "device_launch.cuh"
#include "search_choice.cuh"

namespace txtsum::ops::cuda {
namespace {

constexpr int kAdvanceThreads = 128;
/// What transformers adds to a score to take it out of the choice.
constexpr float kOut = -1.0e9f;

/// A step's candidates of one slot in shared memory, best first, and what becomes of them.
struct Step {
  float* scores;                         // [wanted]
  int32_t *parents, *ids, *ends, *used;  // [wanted]
  int32_t* heads;                        // [beams]: the first candidate of a row that is not taken yet
  int32_t* next;                         // [beams]: the candidate that each hypothesis goes on with
  int32_t* kept;                         // [beams]: the candidate that a place of the finished ones takes; -1: none

  __device__ Step(int32_t* shared, int beams, int wanted)
      : scores(reinterpret_cast<float*>(shared)),
        parents(shared + wanted),
        ids(shared + 2 * wanted),
        ends(shared + 3 * wanted),
        used(shared + 4 * wanted),
        heads(shared + 5 * wanted),
        next(heads + beams),
        kept(next + beams) {}
  static size_t bytes(int beams, int wanted) { return static_cast<size_t>(5 * wanted + 3 * beams) * sizeof(int32_t); }
};

/// The best candidates of all rows of a slot; a warp does it. Returns how many there are.
__device__ int merge_candidates(const SearchTables& tables, const SearchState& state, int64_t first_row, Step& step) {
  const int lane = threadIdx.x, beams = tables.beams, wanted = tables.wanted;
  for (int beam = lane; beam < beams; beam += kWarp) step.heads[beam] = 0;
  __syncwarp();
  for (int found = 0; found < wanted; ++found) {
    Choice best{-INFINITY, INT32_MAX};  // its id is a beam
    for (int beam = lane; beam < beams; beam += kWarp) {
      const float offset = tables.greedy ? 0.0f : state.scores[first_row + beam];
      for (; step.heads[beam] < wanted; ++step.heads[beam]) {
        const int64_t at = (first_row + beam) * wanted + step.heads[beam];
        const Choice candidate{state.candidate_scores[at] + offset, beam};
        if (state.candidate_ids[at] < 0 || isnan(candidate.score)) continue;
        if (better(candidate, best)) best = candidate;
        break;
      }
    }
    best = warp_best(best);
    if (best.id == INT32_MAX) return found;
    if (lane == best.id % kWarp) {
      const int64_t at = (first_row + best.id) * wanted + step.heads[best.id]++;
      step.scores[found] = best.score;
      step.parents[found] = best.id;
      step.ids[found] = state.candidate_ids[at];
    }
    __syncwarp();
  }
  return wanted;
}

/// Puts those of the first `beams` candidates that end among the finished hypotheses, which are the best so many. Those
/// behind the first only stand by to keep the search going. Returns how many are finished.
__device__ int keep_finished(const SearchTables& tables, const SearchState& state, int64_t slot, int length,
                             Step& step) {
  const int beams = tables.beams;
  float* scores = state.finished_scores + slot * beams;
  int32_t* places = state.finished_places + slot * beams;
  int count = state.finished_counts[slot];
  for (int i = 0; i < beams; ++i) step.kept[i] = -1;
  if (count == beams && tables.stop_when_full) return count;
  for (int i = 0; i < beams; ++i) {
    if (!step.ends[i]) continue;
    const float score = step.scores[i] / tables.length_factors[length];
    int at = count;
    while (at > 0 && scores[at - 1] < score) --at;
    if (at == beams) continue;
    const int place = count < beams ? count : places[beams - 1];
    if (count < beams) ++count;
    for (int k = count - 1; k > at; --k) {
      scores[k] = scores[k - 1];
      places[k] = places[k - 1];
    }
    scores[at] = score;
    places[at] = place;
    step.kept[place] = i;
  }
  state.finished_counts[slot] = count;
  return count;
}

/// Decides what one step of beam search does, as generate::BeamSearch::take does on a CPU. Returns whether it goes on.
__device__ bool decide(const SearchTables& tables, const SearchState& state, int64_t slot, int length, Step& step) {
  const int beams = tables.beams, wanted = tables.wanted;
  bool all_end = true;
  for (int i = 0; i < wanted; ++i) {
    step.ends[i] = contains(tables.eos, step.ids[i]) || length + 1 >= tables.max_length;
    all_end = all_end && step.ends[i];
    step.used[i] = 0;
  }
  const int finished = keep_finished(tables, state, slot, length, step);
  float* running = state.scores + slot * beams;
  for (int beam = 0; beam < beams; ++beam) {
    int best = -1;
    float best_score = 0.0f;
    for (int i = 0; i < wanted; ++i) {
      const float score = step.scores[i] + (step.ends[i] ? kOut : 0.0f);
      if (step.used[i] || (best >= 0 && !(score > best_score))) continue;
      best = i;
      best_score = score;
    }
    step.used[best] = 1;
    step.next[beam] = best;
    running[beam] = best_score;
  }
  if (finished < beams) return !all_end;
  const int reach = tables.hope_for_longest ? tables.max_length - 1 : length;
  const bool improves = running[0] / tables.length_factors[reach] > state.finished_scores[slot * beams + beams - 1];
  return improves && !tables.stop_when_full && !all_end;
}

/// The same where the best token is taken.
__device__ bool decide_greedily(const SearchTables& tables, const SearchState& state, int64_t slot, int length,
                                Step& step) {
  state.log_probabilities[slot] += static_cast<double>(state.candidate_log_probabilities[slot]);
  step.next[0] = 0;
  const bool ends = contains(tables.eos, step.ids[0]) || length + 1 >= tables.max_length;
  step.kept[0] = ends ? 0 : -1;
  if (ends) {
    state.finished_counts[slot] = 1;
    state.finished_places[slot] = 0;
  }
  return !ends;
}

/// Copies what continues into the places of the finished hypotheses.
__device__ void write_finished(const SearchTables& tables, const SearchState& state, int64_t first_row, int length,
                               const Step& step) {
  for (int place = 0; place < tables.beams; ++place) {
    const int candidate = step.kept[place];
    if (candidate < 0) continue;
    const int32_t* from = state.running_ids + (first_row + step.parents[candidate]) * tables.max_length;
    int32_t* to = state.finished_ids + (first_row + place) * tables.max_length;
    for (int t = threadIdx.x; t < length; t += kAdvanceThreads) to[t] = from[t];
    if (threadIdx.x != 0) continue;
    to[length] = step.ids[candidate];
    state.finished_lengths[first_row + place] = length + 1;
  }
}

/// Gives every row the past of the hypothesis that it goes on with, and its next token.
__device__ void move_rows(const SearchTables& tables, const SearchState& state, int64_t first_row, int length,
                          const Step& step) {
  const int64_t capacity = tables.max_length;
  for (int beam = 0; beam < tables.beams; ++beam) {
    const int64_t row = first_row + beam, parent = first_row + step.parents[step.next[beam]];
    for (int t = threadIdx.x; t < length; t += kAdvanceThreads) {
      state.moved_ids[row * capacity + t] = state.running_ids[parent * capacity + t];
      // The last token's key and value were just put into the parent's own cache.
      state.moved_origins[row * capacity + t] =
          t == length - 1 ? static_cast<int32_t>(parent) : state.origins[parent * capacity + t];
    }
  }
  __syncthreads();
  for (int beam = 0; beam < tables.beams; ++beam) {
    const int64_t row = first_row + beam;
    for (int t = threadIdx.x; t < length; t += kAdvanceThreads) {
      state.running_ids[row * capacity + t] = state.moved_ids[row * capacity + t];
      state.origins[row * capacity + t] = state.moved_origins[row * capacity + t];
    }
    if (threadIdx.x != 0) continue;
    const int32_t id = step.ids[step.next[beam]];
    state.running_ids[row * capacity + length] = id;
    state.ids[row] = id;
    state.positions[row] = length;
    state.lengths[row] = length;
  }
}

/// The rows of a slot that is done compute on, but nothing that is far from its cache's begin.
__device__ void rest_rows(const SearchState& state, int64_t slot, int64_t first_row, int beams) {
  for (int beam = threadIdx.x; beam < beams; beam += kAdvanceThreads) {
    state.ids[first_row + beam] = 0;
    state.positions[first_row + beam] = 0;
    state.lengths[first_row + beam] = 0;
  }
  if (threadIdx.x == 0) state.source_lengths[slot] = 0;
}

/// A block a slot.
__global__ void __launch_bounds__(kAdvanceThreads) advance_searches_kernel(SearchTables tables, SearchState state) {
  const int64_t slot = blockIdx.x, first_row = slot * tables.beams;
  if (state.status[slot] != kRunning) return;
  extern __shared__ int32_t shared[];
  __shared__ int32_t status;
  Step step(shared, tables.beams, tables.wanted);
  const int length = state.written[slot];
  if (threadIdx.x < kWarp) {
    const int found = merge_candidates(tables, state, first_row, step);
    if (threadIdx.x == 0) {
      if (found < tables.wanted || step.scores[0] == -INFINITY) {
        status = kNoNumbers;
      } else {
        const bool goes_on = tables.greedy ? decide_greedily(tables, state, slot, length, step)
                                           : decide(tables, state, slot, length, step);
        status = goes_on ? kRunning : kIdle;
      }
    }
  }
  __syncthreads();
  if (status != kNoNumbers) write_finished(tables, state, first_row, length, step);
  if (status == kRunning) {
    move_rows(tables, state, first_row, length, step);
  } else {
    rest_rows(state, slot, first_row, tables.beams);
  }
  if (threadIdx.x != 0) return;
  state.written[slot] = length + 1;
  state.status[slot] = status;
}

/// A block a slot that starts.
__global__ void start_searches_kernel(SearchTables tables, SearchState state, SearchStart start) {
  const int32_t slot = start.slots[blockIdx.x], begin = blockIdx.x == 0 ? 0 : start.ends[blockIdx.x - 1];
  const int32_t length = start.ends[blockIdx.x] - begin;
  for (int t = threadIdx.x; t < length; t += blockDim.x) {
    state.sources[slot * state.source_capacity + t] = start.sources[begin + t];
  }
  for (int beam = threadIdx.x; beam < tables.beams; beam += blockDim.x) {
    const int64_t row = static_cast<int64_t>(slot) * tables.beams + beam;
    state.running_ids[row * tables.max_length] = start.start_id;
    state.ids[row] = start.start_id;
    state.positions[row] = 0;
    state.lengths[row] = 0;
    // Only the first hypothesis counts at the start, or all would choose the same tokens.
    state.scores[row] = beam == 0 ? 0.0f : kOut;
  }
  if (threadIdx.x != 0) return;
  state.source_lengths[slot] = length;
  state.written[slot] = 1;
  state.finished_counts[slot] = 0;
  state.log_probabilities[slot] = 0.0;
  state.status[slot] = kRunning;
}

}  // namespace

void start_searches(const SearchTables& tables, const SearchState& state, const SearchStart& start,
                    cudaStream_t stream) {
  if (start.count == 0) return;
  start_searches_kernel<<<static_cast<unsigned>(start.count), kAdvanceThreads, 0, stream>>>(tables, state, start);
  check_launch("start_searches");
}

void advance_searches(const SearchTables& tables, const SearchState& state, cudaStream_t stream) {
  const size_t bytes = Step::bytes(tables.beams, tables.wanted);
  if (bytes > 48 * 1024) throw std::runtime_error("a search of so many beams does not fit into a block's memory");
  advance_searches_kernel<<<static_cast<unsigned>(state.slots), kAdvanceThreads, bytes, stream>>>(tables, state);
  check_launch("advance_searches");
}

}  // namespace txtsum::ops::cuda
