// Everything a kernel does with memory, warps and tensor cores, by thin wrappers around single PTX instructions.
//
// The kernels use these names and nothing else, so that one source has two builds:
//   CUDA   nvcc or NVRTC; no header of the CUDA toolkit is needed
//   SIMT   g++ with -DCWM_SIMT: tests/model/attention/simt/simt.h gives the same names to a simulator that
//          checks every access
// Shared memory is addressed by byte offsets of 32 bits, as ldmatrix and cp.async want it.
#pragma once
#ifdef CWM_SIMT
#include "simt.h"
#else

typedef unsigned int u32;
typedef long long i64;
typedef unsigned short element;  // bits of a bf16 or fp16 number

#define CWM_DEV __device__ __forceinline__
#define CWM_KERNEL(threads, blocks) extern "C" __global__ void __launch_bounds__(threads, blocks)
#define CWM_UNROLL _Pragma("unroll")

extern __shared__ __align__(1024) unsigned char cwm_shared[];

CWM_DEV u32 shared_base() { return (u32)__cvta_generic_to_shared(cwm_shared); }
CWM_DEV int thread_x() { return threadIdx.x; }
CWM_DEV int block_x() { return blockIdx.x; }
CWM_DEV int block_y() { return blockIdx.y; }
CWM_DEV void block_sync() { __syncthreads(); }
CWM_DEV float shuffle_xor(float x, int lanes) { return __shfl_xor_sync(0xffffffffu, x, lanes); }

CWM_DEV float neg_inf() { return __int_as_float(0xff800000); }
CWM_DEV float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
CWM_DEV float log2_fast(float x) {
  float y;
  asm("lg2.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// Two numbers in one register. The instruction's first source goes to the high half.
CWM_DEV u32 pack(float low, float high) {
  u32 both;
#if CWM_FP16
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
#else
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
#endif
  return both;
}

// Four 8x8 matrices of 16-bit numbers; lane l gives the address of row l % 8 of matrix l / 8.
CWM_DEV void ldmatrix(u32 (&r)[4], u32 address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}
CWM_DEV void ldmatrix_transposed(u32 (&r)[4], u32 address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}

// c (16x8) += a (16x16) b (16x8), in float32.
#if CWM_FP16
#define CWM_MMA "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32"
#else
#define CWM_MMA "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"
#endif
CWM_DEV void mma(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  asm volatile(CWM_MMA " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Copies 16 bytes to shared memory, later; if not `live`, writes zeros and reads nothing.
CWM_DEV void cp_async(u32 to, const element* from, bool live) {
  const int bytes = live ? 16 : 0;
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes)
               : "memory");
}
CWM_DEV void cp_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
CWM_DEV void cp_wait_all() { asm volatile("cp.async.wait_group 0;" ::: "memory"); }

CWM_DEV void store_shared(u32 to, float x, float y) {
  asm volatile("st.shared.v2.f32 [%0], {%1,%2};" ::"r"(to), "f"(x), "f"(y) : "memory");
}
CWM_DEV void load_shared(float& x, float& y, u32 from) {
  asm volatile("ld.shared.v2.f32 {%0,%1}, [%2];" : "=f"(x), "=f"(y) : "r"(from) : "memory");
}

CWM_DEV int load(const int* from) { return __ldg(from); }
CWM_DEV float load(const float* from) { return __ldg(from); }
CWM_DEV void load(float& x, float& y, const float* from) {
  asm volatile("ld.global.v2.f32 {%0,%1}, [%2];" : "=f"(x), "=f"(y) : "l"(from));
}
CWM_DEV void store(float* to, float x) { *to = x; }
CWM_DEV void store(float* to, float x, float y) {
  asm volatile("st.global.v2.f32 [%0], {%1,%2};" ::"l"(to), "f"(x), "f"(y) : "memory");
}
CWM_DEV void store(element* to, u32 both) {
  asm volatile("st.global.b32 [%0], %1;" ::"l"(to), "r"(both) : "memory");
}

#endif

CWM_DEV int min_of(int a, int b) { return a < b ? a : b; }
CWM_DEV float max_of(float a, float b) { return a > b ? a : b; }
