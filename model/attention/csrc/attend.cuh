// Interval attention, one item per block: rows of queries against a stretch of keys, by online softmax
// (Dao et al. 2022, arXiv:2205.14135); an item's result is final, or a part that combine.cuh merges.
//
// Rows. The G = heads / kv_heads query heads that share a key head are G neighbouring rows per token, so a key
// that was loaded serves all of them and, in a shared prefix, all branches of the item.
//
// Order. While the scores of one tile of keys are computed its values are on their way; while those are used,
// the next keys are. Each half of a step begins with a barrier: what it reads has arrived for every thread, and
// nobody still reads what is about to be overwritten.
//
// Registers. In a 16x8 result of mma, lane l holds columns l % 4 * 2 and the next, of rows l / 4 and l / 4 + 8:
// x[half * 2 + i] below. Rounded to 16 bits and paired, the scores of two such results are the A operand of the
// next product, with no move in between.
#pragma once
#include "layout.cuh"

struct Place {  // of a thread in its block
  int thread, lane, row_warp, key_warp;
};

// Running softmax of this lane's rows: the largest score, the sum of weights, the weighted values.
template <class T> struct Running {
  float max[T::ROW_TILES][2], sum[T::ROW_TILES][2], out[T::ROW_TILES][HEAD_DIM / 8][4];
};
template <class T> struct Scores {
  float at[T::ROW_TILES][T::WARP_KEYS / 8][4];
};

// Copies rows to shared memory; `offset(row)` is where a row begins, in elements from `base`; -1: zeros.
template <int ROWS, int THREADS, class Offset>
CWM_DEV void copy_rows(u32 to, int thread, const element* base, Offset offset) {
  const int chunk = thread % ROW_CHUNKS;
  _Pragma("unroll 2") for (int row = thread / ROW_CHUNKS; row < ROWS; row += THREADS / ROW_CHUNKS) {
    const int begin = offset(row);
    cp_async(to + swizzle(row, chunk), base + (begin < 0 ? 0 : begin) + chunk * 8, begin >= 0);
  }
}

// Where the tile at hand begins in its store. Kept up by additions: a division per tile costs registers.
struct Cursor {
  int slot;  // key % capacity
  int page;  // key / capacity: the turn of a ring, or the column of a page table

  // Once around is enough: a ring of fewer slots than a tile has items of one tile only (cut_items in work.py).
  CWM_DEV void advance(int keys, int capacity) {
    slot += keys;
    if (slot >= capacity) slot -= capacity, ++page;
  }
};

// Copies a tile of keys or values. A ring may wrap within it; a page holds whole tiles, so it never does.
template <class T>
CWM_DEV void copy_keys(u32 to, int thread, const Rows& rows, const int* pages, int capacity, int text, Cursor at, int left) {
  const i64 store = pages == nullptr ? text : load(pages + at.page);
  copy_rows<T::KEYS, T::THREADS>(to, thread, rows.data + store * rows.store_stride, [&](int row) {
    int slot = at.slot + row;
    if (slot >= capacity) slot -= capacity;
    return row < left ? slot * rows.slot_stride : -1;
  });
}

// S = Q K^T for the keys of this warp.
template <class T, bool KEEP = T::KEEP_Q>
CWM_DEV void score(Scores<T>& s, const u32 (&kept)[HEAD_DIM / 16][4], u32 q_address, u32 k_address) {
  CWM_UNROLL for (int a = 0; a < T::ROW_TILES; ++a)
    CWM_UNROLL for (int n = 0; n < T::WARP_KEYS / 8; ++n)
      CWM_UNROLL for (int i = 0; i < 4; ++i) s.at[a][n][i] = 0.f;
  CWM_UNROLL for (int d = 0; d < HEAD_DIM / 16; ++d) {
    u32 q[T::ROW_TILES][4];
    CWM_UNROLL for (int a = 0; a < T::ROW_TILES; ++a) {
      if constexpr (KEEP) CWM_UNROLL for (int i = 0; i < 4; ++i) q[a][i] = kept[d][i];
      else ldmatrix(q[a], (q_address ^ (d << 5)) + a * 16 * ROW_BYTES);
    }
    CWM_UNROLL for (int n = 0; n < T::WARP_KEYS / 16; ++n) {
      u32 k[4];
      ldmatrix(k, (k_address ^ (d << 5)) + n * 16 * ROW_BYTES);
      CWM_UNROLL for (int a = 0; a < T::ROW_TILES; ++a) {
        mma(s.at[a][2 * n], q[a], k[0], k[1]);
        mma(s.at[a][2 * n + 1], q[a], k[2], k[3]);
      }
    }
  }
}

// -inf for keys outside a row's interval. Bounds are loaded again each time: registers are scarce.
template <class T>
CWM_DEV void mask(Scores<T>& s, const Place& at, const int* bounds, const Item& item, const Group& group, int key) {
  const int last = item.tokens * group.size - 1;
  CWM_UNROLL for (int a = 0; a < T::ROW_TILES; ++a)
    CWM_UNROLL for (int half = 0; half < 2; ++half) {
      const int row = at.row_warp * T::WARP_ROWS + a * 16 + half * 8 + (at.lane >> 2);
      const int* interval = bounds + 2 * (item.first_token + group.token(min_of(row, last)));
      const int lo = load(interval), hi = min_of(load(interval + 1), item.key_end);
      CWM_UNROLL for (int n = 0; n < T::WARP_KEYS / 8; ++n)
        CWM_UNROLL for (int i = 0; i < 2; ++i) {
          const int number = key + at.key_warp * T::WARP_KEYS + n * 8 + (at.lane & 3) * 2 + i;
          if (number < lo || number >= hi) s.at[a][n][half * 2 + i] = neg_inf();
        }
    }
}

// Turns scores into weights relative to the new maximum, and rescales what was summed up to here.
template <class T> CWM_DEV void soften(Scores<T>& s, Running<T>& run, float scale) {
  CWM_UNROLL for (int a = 0; a < T::ROW_TILES; ++a)
    CWM_UNROLL for (int half = 0; half < 2; ++half) {
      float top = run.max[a][half];
      CWM_UNROLL for (int n = 0; n < T::WARP_KEYS / 8; ++n)
        top = max_of(top, max_of(s.at[a][n][half * 2], s.at[a][n][half * 2 + 1]));
      top = max_of(top, shuffle_xor(top, 1));
      top = max_of(top, shuffle_xor(top, 2));
      const float base = top == neg_inf() ? 0.f : top * scale;  // -inf: the row has seen no key yet
      const float shrink = exp2_fast(run.max[a][half] * scale - base);
      run.max[a][half] = top;
      run.sum[a][half] *= shrink;
      CWM_UNROLL for (int d = 0; d < HEAD_DIM / 8; ++d)
        CWM_UNROLL for (int i = 0; i < 2; ++i) run.out[a][d][half * 2 + i] *= shrink;
      CWM_UNROLL for (int n = 0; n < T::WARP_KEYS / 8; ++n)
        CWM_UNROLL for (int i = 0; i < 2; ++i) {
          float& x = s.at[a][n][half * 2 + i];
          x = exp2_fast(x * scale - base);
          run.sum[a][half] += x;
        }
    }
}

// O += P V for the keys of this warp.
template <class T> CWM_DEV void accumulate(Running<T>& run, const Scores<T>& p, u32 v_address) {
  CWM_UNROLL for (int n = 0; n < T::WARP_KEYS / 16; ++n) {
    u32 weights[T::ROW_TILES][4];
    CWM_UNROLL for (int a = 0; a < T::ROW_TILES; ++a)
      CWM_UNROLL for (int i = 0; i < 4; ++i)
        weights[a][i] = pack(p.at[a][2 * n + i / 2][i % 2 * 2], p.at[a][2 * n + i / 2][i % 2 * 2 + 1]);
    CWM_UNROLL for (int d = 0; d < HEAD_DIM / 16; ++d) {
      u32 v[4];
      ldmatrix_transposed(v, (v_address ^ (d << 5)) + n * 16 * ROW_BYTES);
      CWM_UNROLL for (int a = 0; a < T::ROW_TILES; ++a) {
        mma(run.out[a][2 * d], weights[a], v[0], v[1]);
        mma(run.out[a][2 * d + 1], weights[a], v[2], v[3]);
      }
    }
  }
}

// Where a row's result goes, and the result.
struct Result {
  const AttendArgs& args;
  const Item& item;
  const Group& group;
  int kv_head, part_row;

  CWM_DEV i64 index(int row) const {
    if (part_row >= 0) return (i64)kv_head * args.part_rows + part_row + row;
    return (i64)(item.first_token + group.token(row)) * args.heads + kv_head * group.size + group.head(row);
  }
  CWM_DEV void write(i64 index, int column, float x, float y) const {
    if (part_row >= 0) store(args.part_out + index * HEAD_DIM + column, x, y);
    else store(args.out + index * HEAD_DIM + column, pack(x, y));
  }
  CWM_DEV void write_lse(i64 index, float lse_log2) const {
    if (part_row >= 0) store(args.part_lse + index, lse_log2);
    else store(args.lse + index, lse_log2 * LN2);
  }
};

// Each warp has whole rows: straight from registers.
template <class T> CWM_DEV void finish(const Running<T>& run, const Place& at, const Result& result, float scale) {
  const int rows = result.item.tokens * result.group.size;
  CWM_UNROLL for (int a = 0; a < T::ROW_TILES; ++a)
    CWM_UNROLL for (int half = 0; half < 2; ++half) {
      const int row = at.row_warp * T::WARP_ROWS + a * 16 + half * 8 + (at.lane >> 2);
      if (row >= rows) continue;
      const float sum = run.sum[a][half], inverse = sum > 0.f ? 1.f / sum : 0.f;
      const i64 index = result.index(row);
      CWM_UNROLL for (int d = 0; d < HEAD_DIM / 8; ++d)
        result.write(index, d * 8 + (at.lane & 3) * 2, run.out[a][d][half * 2] * inverse,
                     run.out[a][d][half * 2 + 1] * inverse);
      if ((at.lane & 3) == 0) result.write_lse(index, sum > 0.f ? run.max[a][half] * scale + log2_fast(sum) : neg_inf());
    }
}

// Each warp has some keys of every row: merged through shared memory. Outputs take the place of K and V, maximum
// and sum that of Q. Pairs of columns are swizzled in turn, so that neither side has bank conflicts.
CWM_DEV u32 merge_slot(int warp, int row, int pair) {
  return (u32)(((warp * 16 + row) * (HEAD_DIM / 2) + (pair ^ (row & 3) << 2)) * 8);
}
template <class T>
CWM_DEV void finish_merged(const Running<T>& run, const Place& at, const Result& result, float scale, u32 shared) {
  static_assert(T::ROWS == 16, "one tile of rows");
  static_assert(T::KEY_WARPS * 16 * HEAD_DIM * 4 <= 2 * T::KEYS * ROW_BYTES, "outputs fit the space of K and V");
  static_assert(T::KEY_WARPS * 16 * 8 <= T::ROWS * ROW_BYTES, "maxima and sums fit the space of Q");
  block_sync();  // the last reads of V are over
  CWM_UNROLL for (int half = 0; half < 2; ++half) {
    const int row = half * 8 + (at.lane >> 2);
    if ((at.lane & 3) == 0) store_shared(shared + T::Q + (at.key_warp * 16 + row) * 8, run.max[0][half], run.sum[0][half]);
    CWM_UNROLL for (int d = 0; d < HEAD_DIM / 8; ++d)
      store_shared(shared + T::K + merge_slot(at.key_warp, row, d * 4 + (at.lane & 3)), run.out[0][d][half * 2],
                   run.out[0][d][half * 2 + 1]);
  }
  block_sync();
  const int pairs = result.item.tokens * result.group.size * (HEAD_DIM / 2);
  for (int i = at.thread; i < pairs; i += T::THREADS) {
    const int row = i / (HEAD_DIM / 2), pair = i % (HEAD_DIM / 2);
    float top = neg_inf(), max[T::KEY_WARPS], part[T::KEY_WARPS];
    CWM_UNROLL for (int w = 0; w < T::KEY_WARPS; ++w) {
      load_shared(max[w], part[w], shared + T::Q + (w * 16 + row) * 8);
      top = max_of(top, max[w]);
    }
    const float base = top == neg_inf() ? 0.f : top * scale;
    float sum = 0.f, x = 0.f, y = 0.f;
    CWM_UNROLL for (int w = 0; w < T::KEY_WARPS; ++w) {
      const float weight = exp2_fast(max[w] * scale - base);
      float part_x, part_y;
      load_shared(part_x, part_y, shared + T::K + merge_slot(w, row, pair));
      sum += weight * part[w], x += weight * part_x, y += weight * part_y;
    }
    const float inverse = sum > 0.f ? 1.f / sum : 0.f;
    const i64 index = result.index(row);
    result.write(index, pair * 2, x * inverse, y * inverse);
    if (pair == 0) result.write_lse(index, sum > 0.f ? base + log2_fast(sum) : neg_inf());
  }
}

template <class T> CWM_DEV void attend(const AttendArgs& args) {
  const int thread = thread_x(), warp = thread >> 5;
  const Place at = {thread, thread & 31, warp % T::ROW_WARPS, warp / T::ROW_WARPS};
  const Item item = read_item(args.items, block_x());
  const Group group(args.heads / args.kv_heads);
  const int kv_head = block_y(), rows = item.tokens * group.size;
  const float scale = args.scale_log2;
  const u32 shared = shared_base();

  // Selects, not args.stores[item.segment]: an index known only at run time would move the arguments to memory.
  const bool second = item.segment == 1;
  const Store &s0 = args.stores[0], &s1 = args.stores[1];
  const int capacity = second ? s1.capacity : s0.capacity;
  const int* pages = second ? s1.pages : s0.pages;
  if (pages != nullptr) pages += (i64)item.text * (second ? s1.pages_per_text : s0.pages_per_text);
  Rows keys = second ? s1.keys : s0.keys, values = second ? s1.values : s0.values;
  keys.data += (i64)kv_head * keys.head_stride;
  values.data += (i64)kv_head * values.head_stride;
  const int* bounds = args.bounds + 2 * (i64)item.segment * args.tokens;

  copy_rows<T::ROWS, T::THREADS>(shared + T::Q, thread, args.q, [&](int row) {
    const int token = item.first_token + group.token(row), head = kv_head * group.size + group.head(row);
    return row < rows ? token * args.q_token_stride + head * args.q_head_stride : -1;
  });
  Cursor at_key = {item.key_begin % capacity, item.key_begin / capacity};
  copy_keys<T>(shared + T::K, thread, keys, pages, capacity, item.text, at_key, item.key_end - item.key_begin);
  cp_commit();

  Running<T> run;
  CWM_UNROLL for (int a = 0; a < T::ROW_TILES; ++a) {
    CWM_UNROLL for (int half = 0; half < 2; ++half) run.max[a][half] = neg_inf(), run.sum[a][half] = 0.f;
    CWM_UNROLL for (int d = 0; d < HEAD_DIM / 8; ++d) CWM_UNROLL for (int i = 0; i < 4; ++i) run.out[a][d][i] = 0.f;
  }

  // Rows that this lane gives to ldmatrix. Two chunks on along a row is address ^ 32, since swizzling is xor.
  const int lane = at.lane;
  const u32 q_address = shared + T::Q + swizzle(at.row_warp * T::WARP_ROWS + (lane & 15), lane >> 4);
  const u32 k_address =
      shared + T::K + swizzle(at.key_warp * T::WARP_KEYS + (lane & 7) + (lane >> 4 << 3), lane >> 3 & 1);
  const u32 v_address = shared + T::V + swizzle(at.key_warp * T::WARP_KEYS + (lane & 15), lane >> 4);
  u32 q[HEAD_DIM / 16][4];

  for (int key = item.key_begin; key < item.key_end; key += T::KEYS) {
    cp_wait_all();
    block_sync();  // keys are there; the last values are used up
    copy_keys<T>(shared + T::V, thread, values, pages, capacity, item.text, at_key, item.key_end - key);
    at_key.advance(T::KEYS, capacity);
    cp_commit();
    if (T::KEEP_Q && key == item.key_begin)
      CWM_UNROLL for (int d = 0; d < HEAD_DIM / 16; ++d) ldmatrix(q[d], q_address ^ (d << 5));
    Scores<T> s;
    score<T>(s, q, q_address, k_address);
    cp_wait_all();
    block_sync();  // values are there; the keys are used up
    if (key + T::KEYS < item.key_end) copy_keys<T>(shared + T::K, thread, keys, pages, capacity, item.text, at_key, item.key_end - key - T::KEYS);
    cp_commit();
    if (key < item.all_from || key + T::KEYS > min_of(item.all_to, item.key_end))
      mask<T>(s, at, bounds, item, group, key);
    soften<T>(s, run, scale);
    accumulate<T>(run, s, v_address);
  }

  CWM_UNROLL for (int a = 0; a < T::ROW_TILES; ++a)
    CWM_UNROLL for (int half = 0; half < 2; ++half) {
      run.sum[a][half] += shuffle_xor(run.sum[a][half], 1);
      run.sum[a][half] += shuffle_xor(run.sum[a][half], 2);
    }
  const Result result = {args, item, group, kv_head, read_part_row(args.items, block_x())};
  if constexpr (T::KEY_WARPS > 1) finish_merged<T>(run, at, result, scale, shared);
  else finish<T>(run, at, result, scale);
}
