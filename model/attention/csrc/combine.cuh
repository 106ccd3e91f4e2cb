// Merges the parts of a token whose keys were split over several items or stores, by their log-sum-exp.
// One block per token and key head, one warp per query head at a time.
#pragma once
#include "layout.cuh"

constexpr int COMBINE_WARPS = 4;

CWM_DEV void combine(const CombineArgs& args) {
  const int token = block_x(), kv_head = block_y(), group = args.heads / args.kv_heads;
  const int lane = thread_x() & 31, warp = thread_x() >> 5;
  const int begin = load(args.first + token), end = load(args.first + token + 1);
  if (begin == end) return;  // the token's result was final, or it attends nothing
  for (int head = warp; head < group; head += COMBINE_WARPS) {
    const i64 offset = (i64)kv_head * args.part_rows + head;
    float top = neg_inf();
    for (int i = begin; i < end; ++i) top = max_of(top, load(args.part_lse + offset + load(args.part_row + i)));
    const float base = top == neg_inf() ? 0.f : top;
    const i64 row = (i64)token * args.heads + kv_head * group + head;
    for (int column = lane * 2; column < HEAD_DIM; column += 64) {
      float sum = 0.f, x = 0.f, y = 0.f;
      for (int i = begin; i < end; ++i) {
        const i64 part = offset + load(args.part_row + i);
        const float weight = exp2_fast(load(args.part_lse + part) - base);
        float part_x, part_y;
        load(part_x, part_y, args.part_out + part * HEAD_DIM + column);
        sum += weight, x += weight * part_x, y += weight * part_y;
      }
      const float inverse = sum > 0.f ? 1.f / sum : 0.f;
      store(args.out + row * HEAD_DIM + column, pack(x * inverse, y * inverse));
      if (column == 0) store(args.lse + row, sum > 0.f ? (base + log2_fast(sum)) * LN2 : neg_inf());
    }
  }
}
