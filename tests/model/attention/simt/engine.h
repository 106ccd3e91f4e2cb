// What the primitives in simt.h ask of the simulator; `Site` is for its messages and for telling places apart.
#pragma once

typedef unsigned int u32;

namespace simt {
struct Site {  // where in the kernels' source something is done
  const char* file;
  int line;
};
int thread_x();
int block_x();
int block_y();
void block_sync(Site);
float shuffle_xor(float x, int lanes, Site);
void ldmatrix(u32* r, u32 address, bool transposed, Site);
void mma(float* c, const u32* a, u32 b0, u32 b1, bool fp16, Site);
u32 pack(float low, float high, bool fp16);
float exp2(float x);
float log2(float x);
void cp_async(u32 to, const void* from, bool live, Site);
void cp_commit();
void cp_wait(int groups_left, Site);
void write_shared(u32 to, const void* from, int bytes, Site);
void read_shared(void* to, u32 from, int bytes, Site);
void write_global(void* to, const void* from, int bytes, Site);
void read_global(void* to, const void* from, int bytes, Site);
}  // namespace simt
