// What the host passes to a kernel, and how a tile lies in shared memory.
#pragma once
#include "prims.cuh"

constexpr int HEAD_DIM = CWM_HEAD_DIM;  // 32, 64 or 128
constexpr float LN2 = 0.69314718f;

// ---- arguments; launch.py has the same structures, field by field

struct Rows {  // keys or values, (stores, capacity, kv_heads, head_dim); strides in elements, the last is 1
  const element* data;
  i64 store_stride;
  int slot_stride, head_stride;
};

struct Store {      // key n of a text lies in slot n % capacity
  Rows keys, values;
  const int* pages;  // null: text t is store t; else (texts, pages_per_text): keys n / capacity are in that store
  int capacity, pages_per_text;
};

struct AttendArgs {
  const element* q;  // (tokens, heads, head_dim)
  int q_token_stride, q_head_stride;
  Store stores[2];
  const int* bounds;  // (segments, tokens, 2): first key number, and the one after the last
  const int* items;   // (blocks of the grid, ITEM_INTS)
  element* out;       // (tokens, heads, head_dim)
  float* lse;         // (tokens, heads), in nats
  float* part_out;    // (kv_heads, part_rows, head_dim)
  float* part_lse;    // (kv_heads, part_rows), base 2
  int tokens, heads, kv_heads, part_rows;
  float scale_log2;  // factor on the scores times log2(e): all exponentials are powers of two
};

struct CombineArgs {
  const int* first;  // (tokens + 1): parts of token t are part_row[first[t]] ... part_row[first[t + 1] - 1]
  const int* part_row;
  const float* part_out;
  const float* part_lse;
  element* out;
  float* lse;
  int heads, kv_heads, part_rows;
};

// One block's work: some neighbouring tokens of one text, and a stretch of its keys.
enum ItemField { FIRST_TOKEN, TOKENS, SEGMENT, TEXT, KEY_BEGIN, KEY_END, ALL_FROM, ALL_TO, PART_ROW, ITEM_INTS };

struct Item {
  int first_token, tokens;
  int segment;             // which of the two stores
  int text;                // store, or row of its page table
  int key_begin, key_end;  // nothing outside is read
  int all_from, all_to;    // keys in between are seen by every token of the item: no mask needed
};

// Where the item's partial result goes; -1: the result is final. Read at the end only: registers are scarce.
CWM_DEV int read_part_row(const int* items, int index) { return load(items + (i64)index * ITEM_INTS + PART_ROW); }

CWM_DEV Item read_item(const int* items, int index) {
  const int* it = items + (i64)index * ITEM_INTS;
  return {load(it + FIRST_TOKEN), load(it + TOKENS),  load(it + SEGMENT),  load(it + TEXT),
          load(it + KEY_BEGIN),   load(it + KEY_END), load(it + ALL_FROM), load(it + ALL_TO)};
}

// Rows of an item are tokens times the query heads of one key head: row = token * size + head.
struct Group {
  int size, inverse;

  CWM_DEV explicit Group(int size) : size(size), inverse((65535 + size) / size) {}
  CWM_DEV int token(int row) const { return row * inverse >> 16; }  // row / size, exact for rows and sizes to 128
  CWM_DEV int head(int row) const { return row - token(row) * size; }
};

// ---- shared memory

constexpr int ROW_BYTES = HEAD_DIM * 2;         // one row of Q, K or V
constexpr int ROW_CHUNKS = ROW_BYTES / 16;      // 16 bytes: what cp.async and a lane of ldmatrix move at a time
constexpr int LINE_ROWS = HEAD_DIM < 64 ? 2 : 1;  // rows that share the 128 bytes of all banks

// Chunk c of row r lies where chunk c ^ (r % 8) would (r / 2 % 4 for rows of 64 bytes), so that the same chunk
// of 8 rows one below the other covers all 32 banks: ldmatrix and cp.async are free of bank conflicts.
CWM_DEV u32 swizzle(int row, int chunk) {
  const int turn = row / LINE_ROWS & (min_of(ROW_CHUNKS, 8) - 1);
  return (u32)(row * ROW_BYTES + ((chunk ^ turn) << 4));
}

// ROW_WARPS x KEY_WARPS warps work on ROWS rows (heads of a group and tokens, packed) and KEYS keys at a time.
template <int ROW_TILES_, int ROW_WARPS_, int KEY_WARPS_, int KEYS_> struct Tile {
  static constexpr int ROW_TILES = ROW_TILES_, ROW_WARPS = ROW_WARPS_, KEY_WARPS = KEY_WARPS_, KEYS = KEYS_;
  static constexpr int THREADS = 32 * ROW_WARPS * KEY_WARPS;
  static constexpr int WARP_ROWS = 16 * ROW_TILES, ROWS = WARP_ROWS * ROW_WARPS;
  static constexpr int WARP_KEYS = KEYS / KEY_WARPS;
  static constexpr int Q = 0, K = ROWS * ROW_BYTES, V = K + KEYS * ROW_BYTES;  // byte offsets
  // Fragments of Q stay in registers where a warp has one tile of rows, else they are loaded again every time.
  static constexpr bool KEEP_Q = ROW_TILES == 1 && KEY_WARPS == 1;
};
using Tile128 = Tile<2, 4, 1, 32>;  // many rows: prefill, branches over a prefix
using Tile64 = Tile<1, 4, 1, 64>;   // some: a few branches, short prefill, drafts
using Tile16 = Tile<1, 1, 4, 64>;   // one token: decoding, private suffixes
