// The names of prims.cuh for g++: each does what the instruction does, and tells the simulator (simt.cpp).
#pragma once

#include "engine.h"

typedef long long i64;
typedef unsigned short element;

#define CWM_DEV inline __attribute__((always_inline))
#define CWM_KERNEL(threads, blocks) static void
#define CWM_UNROLL

#define HERE simt::Site site = {__builtin_FILE(), __builtin_LINE()}

CWM_DEV u32 shared_base() { return 0; }
CWM_DEV int thread_x() { return simt::thread_x(); }
CWM_DEV int block_x() { return simt::block_x(); }
CWM_DEV int block_y() { return simt::block_y(); }
CWM_DEV void block_sync(HERE) { simt::block_sync(site); }
CWM_DEV float shuffle_xor(float x, int lanes, HERE) { return simt::shuffle_xor(x, lanes, site); }
CWM_DEV float neg_inf() { return -__builtin_inff(); }
CWM_DEV float exp2_fast(float x) { return simt::exp2(x); }
CWM_DEV float log2_fast(float x) { return simt::log2(x); }
CWM_DEV u32 pack(float low, float high) { return simt::pack(low, high, CWM_FP16); }
CWM_DEV void ldmatrix(u32 (&r)[4], u32 address, HERE) { simt::ldmatrix(r, address, false, site); }
CWM_DEV void ldmatrix_transposed(u32 (&r)[4], u32 address, HERE) { simt::ldmatrix(r, address, true, site); }
CWM_DEV void mma(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1, HERE) { simt::mma(c, a, b0, b1, CWM_FP16, site); }
CWM_DEV void cp_async(u32 to, const element* from, bool live, HERE) { simt::cp_async(to, from, live, site); }
CWM_DEV void cp_commit() { simt::cp_commit(); }
CWM_DEV void cp_wait_all(HERE) { simt::cp_wait(0, site); }
CWM_DEV void store_shared(u32 to, float x, float y, HERE) {
  const float both[2] = {x, y};
  simt::write_shared(to, both, 8, site);
}
CWM_DEV void load_shared(float& x, float& y, u32 from, HERE) {
  float both[2];
  simt::read_shared(both, from, 8, site);
  x = both[0], y = both[1];
}
CWM_DEV int load(const int* from, HERE) {
  int x;
  simt::read_global(&x, from, 4, site);
  return x;
}
CWM_DEV float load(const float* from, HERE) {
  float x;
  simt::read_global(&x, from, 4, site);
  return x;
}
CWM_DEV void load(float& x, float& y, const float* from, HERE) {
  float both[2];
  simt::read_global(both, from, 8, site);
  x = both[0], y = both[1];
}
CWM_DEV void store(float* to, float x, HERE) { simt::write_global(to, &x, 4, site); }
CWM_DEV void store(float* to, float x, float y, HERE) {
  const float both[2] = {x, y};
  simt::write_global(to, both, 8, site);
}
CWM_DEV void store(element* to, u32 both, HERE) { simt::write_global(to, &both, 4, site); }
#undef HERE
