// A GPU in one thread: runs kernels that g++ compiled, in a random order, and checks all they do.
//
// Every CUDA thread is a fiber. It runs until it needs the others (a warp's collective, the block's barrier);
// then a seeded scheduler picks another. What is checked:
//   collectives      shuffle, ldmatrix and mma are met by all 32 lanes at one place in the source
//   barriers         all threads meet at one place; a block in which nobody can go on is a deadlock
//   shared memory    bounds, alignment, reads of what nobody wrote, races: two threads touch a word, one of them
//                    writing, with neither a barrier nor (in one warp) a collective in between
//   cp.async         copies land as late as allowed, when they are waited for; until then the place is poisoned,
//                    and reading or overwriting it is an error; a block must not end with copies under way
//   global memory    bounds and alignment of registered buffers, writes to read-only ones, reads of outputs that
//                    were not written, elements written twice
//   bank conflicts   of ldmatrix, cp.async and ld/st.shared: the k-th time that lanes of a warp come by a place
//                    counts as one instruction
// What it cannot see: the inline assembly of prims.cuh, and what the compiler makes of the source. The emulator
// (emulator.py) runs that.
#include "engine.h"

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

extern "C" bool simt_kernel(const char* name, const void* args);
extern "C" void simt_switch(void** save, void* load);
#if !defined(__x86_64__)
#error "the simulator switches fibers in x86-64 assembly"
#endif
asm(R"(.text
.globl simt_switch
.type simt_switch,@function
simt_switch:
  pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
  movq %rsp, (%rdi); movq %rsi, %rsp
  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
  ret
)");

namespace simt {
namespace {

constexpr size_t STACK = 64 << 10;
constexpr size_t MOST_ERRORS = 40;  // kinds of errors that are kept
constexpr int BANKS = 32, LINE = 128;

enum State { READY, AT_COLLECTIVE, AT_BARRIER, DONE };

struct Copy {  // a cp.async under way
  u32 to;
  const void* from;
  bool live;
  int group;
};
struct Access {  // of shared memory, for bank conflicts
  Site site;
  u32 address;
  int bytes;
};
struct Fiber {
  void* stack_pointer;
  char* stack = nullptr;
  State state;
  int thread;
  Site site;           // where it waits
  int operation;       // and for which collective
  void* operands[3];
  int group;           // cp.async groups it has committed
  int meetings;        // collectives its warp has been through
  std::vector<Copy> copies;
  std::vector<Access> accesses;
};
struct Word {  // of shared memory: who touched it last; epoch: barriers before that
  bool written = false, shared_readers = false;
  int writer = -1, write_epoch = -1, write_meetings = 0;
  int reader = -1, read_epoch = -1, read_meetings = 0;
  int copier = -1;  // thread with a cp.async to it under way
};
struct Buffer {  // of global memory
  size_t bytes;
  std::string name;
  bool output;
  std::vector<char> written;  // per two bytes
};
struct Statistics {
  long long mma, ldmatrix, bank_conflicts, shared_phases, copied_bytes, blocks, barriers, switches;
};

std::vector<Fiber> fibers;
Fiber* current;
void* scheduler;
const char* kernel_name;
const void* kernel_args;
int grid_x, grid_y, epoch;
u32 random_state = 1;
std::vector<unsigned char> shared;
std::vector<Word> words;
std::map<uintptr_t, Buffer> buffers;
std::set<std::string> errors;
Statistics statistics;

u32 draw() {  // Marsaglia 2003, "Xorshift RNGs"
  random_state ^= random_state << 13, random_state ^= random_state >> 17, random_state ^= random_state << 5;
  return random_state;
}

void complain(Site site, const char* format, ...) {
  if (errors.size() > MOST_ERRORS) return;
  char text[300], whole[400];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  const char* slash = site.file ? strrchr(site.file, '/') : nullptr;
  snprintf(whole, sizeof whole, "%s:%d: %s", slash ? slash + 1 : "block", site.line, text);
  errors.insert(whole);
}

void pause() {
  ++statistics.switches;
  simt_switch(&current->stack_pointer, scheduler);
}

void run_fiber() {
  if (!simt_kernel(kernel_name, kernel_args)) complain({}, "there is no kernel %s", kernel_name);
  current->state = DONE;
  pause();
  abort();  // nobody comes back to a fiber that is done
}

bool same(Site a, Site b) { return a.line == b.line && a.file == b.file; }

// Runs `operation` once all lanes of the warp have come; the last one does the work for all.
template <class Operation> void meet(Site site, int kind, Operation operation) {
  Fiber* me = current;
  me->site = site, me->operation = kind, me->state = AT_COLLECTIVE;
  Fiber* warp = &fibers[me->thread / 32 * 32];
  if (!std::all_of(warp, warp + 32, [](Fiber& f) { return f.state == AT_COLLECTIVE; })) return pause();
  for (int lane = 0; lane < 32; ++lane)
    if (!same(warp[lane].site, site) || warp[lane].operation != kind) {
      complain(site, "a collective that some lanes have not come to: lane %d is at line %d", lane, warp[lane].site.line);
      break;
    }
  operation(warp);
  for (int lane = 0; lane < 32; ++lane) ++warp[lane].meetings, warp[lane].state = READY;
}

// ---- shared memory

bool fits_shared(u32 address, int bytes, Site site, const char* what) {
  if ((size_t)address + bytes > shared.size()) complain(site, "%s outside of %zu bytes of shared memory", what, shared.size());
  else if (address % bytes) complain(site, "%s is misaligned in shared memory", what);
  else return true;
  return false;
}

// Whether what `thread` did then comes before what `me` does now, whatever the schedule.
bool is_before(int thread, int then_epoch, int then_meetings, const Fiber* me) {
  if (then_epoch != epoch || thread == me->thread) return true;
  return thread / 32 == me->thread / 32 && then_meetings != me->meetings;
}

void note_read(u32 address, int bytes, const Fiber* me, Site site, const char* what) {
  for (u32 i = address / 4; i < (address + bytes + 3) / 4; ++i) {
    Word& word = words[i];
    if (word.copier >= 0) complain(site, "%s reads what a cp.async that was not waited for will write", what);
    else if (!word.written) complain(site, "%s reads shared memory that nobody wrote", what);
    else if (!is_before(word.writer, word.write_epoch, word.write_meetings, me))
      complain(site, "race: %s reads what another thread writes", what);
    if (word.read_epoch != epoch) word.shared_readers = false;
    else if (word.reader != me->thread) word.shared_readers = true;
    word.reader = me->thread, word.read_epoch = epoch, word.read_meetings = me->meetings;
  }
}

void note_write(u32 address, int bytes, const Fiber* me, Site site, const char* what) {
  for (u32 i = address / 4; i < (address + bytes + 3) / 4; ++i) {
    Word& word = words[i];
    if (word.copier >= 0 && word.copier != me->thread) complain(site, "%s overwrites a cp.async under way", what);
    if (word.written && !is_before(word.writer, word.write_epoch, word.write_meetings, me))
      complain(site, "race: %s writes what another thread writes", what);
    const bool read_now = word.read_epoch == epoch;
    if (read_now && (word.shared_readers || !is_before(word.reader, word.read_epoch, word.read_meetings, me)))
      complain(site, "race: %s overwrites what another thread reads", what);
    word.written = true, word.writer = me->thread, word.write_epoch = epoch, word.write_meetings = me->meetings;
  }
}

void land(Fiber* me, int groups, Site site) {  // the copies of all groups before `groups`
  auto kept = me->copies.begin();
  for (Copy& copy : me->copies) {
    if (copy.group >= groups) {
      *kept++ = copy;
      continue;
    }
    for (u32 i = copy.to / 4; i < copy.to / 4 + 4; ++i) words[i].copier = -1;
    note_write(copy.to, 16, me, site, "cp.async");
    if (copy.live) memcpy(&shared[copy.to], copy.from, 16);
    else memset(&shared[copy.to], 0, 16);
  }
  me->copies.erase(kept, me->copies.end());
}

// A warp's accesses go through in phases of 128 bytes; each extra word in a bank costs one more.
void count_phase(const u32* addresses, int lanes, int bytes) {
  u32 in_bank[BANKS][32];
  int count[BANKS] = {}, most = 1;
  for (int lane = 0; lane < lanes; ++lane)
    for (u32 word = addresses[lane] / 4; word < (addresses[lane] + bytes) / 4; ++word) {
      u32* bank = in_bank[word % BANKS];
      int& n = count[word % BANKS];
      if (std::find(bank, bank + n, word) != bank + n) continue;  // one word for several lanes is no conflict
      bank[n++] = word;
      most = std::max(most, n);
    }
  ++statistics.shared_phases;
  statistics.bank_conflicts += most - 1;
}

void count_conflicts(Fiber* warp) {
  struct Visits {  // of one place by all lanes: the addresses of each lane, in their order
    int bytes;
    std::vector<u32> of[32];
  };
  std::map<std::pair<const char*, int>, Visits> places;
  for (int lane = 0; lane < 32; ++lane)
    for (Access& access : warp[lane].accesses) {
      Visits& visits = places[{access.site.file, access.site.line}];
      visits.bytes = access.bytes;
      visits.of[lane].push_back(access.address);
    }
  for (auto& [place, visits] : places) {
    size_t most = 0;
    for (auto& addresses : visits.of) most = std::max(most, addresses.size());
    const int lanes = LINE / visits.bytes;  // of a phase
    for (size_t visit = 0; visit < most; ++visit)
      for (int first = 0; first < 32; first += lanes) {
        u32 addresses[32];
        int n = 0;
        for (int lane = first; lane < first + lanes; ++lane)
          if (visit < visits.of[lane].size()) addresses[n++] = visits.of[lane][visit];
        if (n) count_phase(addresses, n, visits.bytes);
      }
  }
}

// ---- global memory

bool fits_global(const void* address, int bytes, bool write, Site site) {
  auto next = buffers.upper_bound((uintptr_t)address);
  if (next == buffers.begin()) return complain(site, "global memory outside of every buffer"), false;
  auto& [begin, buffer] = *--next;
  const size_t offset = (uintptr_t)address - begin;
  if (offset + bytes > buffer.bytes) {
    complain(site, "global memory past the end of %s", buffer.name.c_str());
    return false;
  }
  if ((uintptr_t)address % bytes) complain(site, "misaligned access to %s", buffer.name.c_str());
  if (write && !buffer.output) complain(site, "write to %s, which is read-only", buffer.name.c_str());
  if (!buffer.output) return true;
  if (buffer.written.empty()) buffer.written.assign(buffer.bytes / 2, 0);
  for (size_t i = offset / 2; i < (offset + bytes) / 2; ++i) {
    if (write && buffer.written[i]) complain(site, "an element of %s is written twice", buffer.name.c_str());
    if (!write && !buffer.written[i]) complain(site, "an element of %s is read before it is written", buffer.name.c_str());
    if (write) buffer.written[i] = 1;
  }
  return true;
}

// ---- numbers

float widen(u32 bits, bool fp16) {
  bits &= 0xffff;
  if (fp16) {
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    const float size = exponent == 31 ? (fraction ? NAN : INFINITY)
                       : exponent     ? ldexpf(1024 + fraction, exponent - 25)
                                      : ldexpf(fraction, -24);
    return bits >> 15 ? -size : size;
  }
  bits <<= 16;
  float x;
  memcpy(&x, &bits, 4);
  return x;
}

u32 narrow(float x, bool fp16) {  // to nearest, ties to even; NaN as the GPU writes it
  u32 bits;
  memcpy(&bits, &x, 4);
  const u32 size = bits & 0x7fffffff, sign = bits >> 31 << 15;
  if (size > 0x7f800000) return 0x7fff;
  if (!fp16) return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  if (size >= 0x477ff000) return sign | 0x7c00;                                 // 65520 and above
  if (size < 0x38800000) return sign | (u32)lrintf(ldexpf(std::fabs(x), 24));  // below 2^-14: a multiple of 2^-24
  return sign | (size - 0x38000000 + 0xfff + (size >> 13 & 1)) >> 13;
}

// ---- blocks

void prepare(int threads, int shared_bytes) {
  while ((int)fibers.size() < threads) fibers.emplace_back();
  fibers.resize(threads);
  shared.assign(shared_bytes, 0xff);
  words.assign(shared_bytes / 4 + 4, Word());
  epoch = 0;
  for (int thread = 0; thread < threads; ++thread) {
    Fiber& fiber = fibers[thread];
    if (!fiber.stack) fiber.stack = (char*)aligned_alloc(64, STACK);
    fiber.state = READY, fiber.thread = thread, fiber.group = fiber.meetings = 0;
    fiber.copies.clear(), fiber.accesses.clear();
    void** top = (void**)(fiber.stack + STACK - 64);
    *--top = nullptr;             // the ABI wants the stack 16 bytes off at a function's entry
    *--top = (void*)run_fiber;    // where `ret` goes
    for (int i = 0; i < 6; ++i) *--top = nullptr;
    fiber.stack_pointer = top;
  }
}

void run_block() {
  const int warps = fibers.size() / 32;
  size_t done = 0;
  while (done < fibers.size()) {
    bool progress = false;
    const int first_warp = draw() % warps;
    for (int i = 0; i < warps; ++i) {
      Fiber* warp = &fibers[(first_warp + i) % warps * 32];
      bool ready = true;
      for (int budget = 1 + draw() % 64; ready && budget; --budget) {  // one warp may run far ahead of another
        ready = false;
        const int first_lane = draw() & 31;
        for (int j = 0; j < 32; ++j) {
          current = &warp[(first_lane + j) & 31];
          if (current->state != READY) continue;
          simt_switch(&scheduler, current->stack_pointer);
          progress = ready = true;
          if (current->state != DONE) continue;
          ++done;
          if (!current->copies.empty()) complain({}, "a thread ended with cp.async under way");
        }
      }
    }
    if (progress) continue;
    std::map<std::pair<int, int>, int> places;
    for (Fiber& fiber : fibers) ++places[{fiber.state, fiber.state == DONE ? 0 : fiber.site.line}];
    std::string text;
    for (auto& [place, count] : places)
      text += " " + std::to_string(count) + (place.first == DONE ? " ended" : " at line " + std::to_string(place.second));
    return complain({}, "deadlock: of the threads%s", text.c_str());
  }
  for (int warp = 0; warp < warps; ++warp) count_conflicts(&fibers[warp * 32]);
  ++statistics.blocks;
}

}  // namespace

// ---- what kernels call

int thread_x() { return current->thread; }
int block_x() { return grid_x; }
int block_y() { return grid_y; }
float exp2(float x) { return exp2f(x); }
float log2(float x) { return log2f(x); }
u32 pack(float low, float high, bool fp16) { return narrow(low, fp16) | narrow(high, fp16) << 16; }

void block_sync(Site site) {
  current->site = site, current->state = AT_BARRIER;
  if (!std::all_of(fibers.begin(), fibers.end(), [](Fiber& f) { return f.state == AT_BARRIER; })) return pause();
  for (Fiber& fiber : fibers) {
    if (!same(fiber.site, site)) complain(site, "threads meet at barriers of different lines, here and %d", fiber.site.line);
    fiber.state = READY;
  }
  ++epoch, ++statistics.barriers;
}

float shuffle_xor(float x, int lanes, Site site) {
  float given = x, got = 0.f;
  current->operands[0] = &given, current->operands[1] = &got;
  meet(site, 1, [lanes](Fiber* warp) {
    for (int lane = 0; lane < 32; ++lane) *(float*)warp[lane].operands[1] = *(float*)warp[lane ^ lanes].operands[0];
  });
  return got;
}

void ldmatrix(u32* r, u32 address, bool transposed, Site site) {
  current->operands[0] = r, current->operands[1] = &address;
  meet(site, transposed ? 3 : 2, [transposed, site](Fiber* warp) {
    ++statistics.ldmatrix;
    for (int matrix = 0; matrix < 4; ++matrix) {
      u32 rows[8];
      for (int i = 0; i < 8; ++i) {
        Fiber* lane = &warp[matrix * 8 + i];
        rows[i] = *(u32*)lane->operands[1];
        if (fits_shared(rows[i], 16, site, "ldmatrix")) note_read(rows[i], 16, lane, site, "ldmatrix");
        else rows[i] = 0;
      }
      count_phase(rows, 8, 16);
      auto at = [&](int row, int column) {
        unsigned short bits;
        memcpy(&bits, &shared[rows[row] + column * 2], 2);
        return (u32)bits;
      };
      for (int lane = 0; lane < 32; ++lane) {
        const int major = lane / 4, minor = lane % 4 * 2;
        ((u32*)warp[lane].operands[0])[matrix] =
            transposed ? at(minor, major) | at(minor + 1, major) << 16 : at(major, minor) | at(major, minor + 1) << 16;
      }
    }
  });
}

void mma(float* c, const u32* a, u32 b0, u32 b1, bool fp16, Site site) {
  u32 b[2] = {b0, b1};
  current->operands[0] = c, current->operands[1] = (void*)a, current->operands[2] = b;
  meet(site, 4, [fp16](Fiber* warp) {
    ++statistics.mma;
    float A[16][16], B[16][8], C[16][8];
    for (int lane = 0; lane < 32; ++lane) {
      const int g = lane / 4, t = lane % 4 * 2;
      const u32 *x = (u32*)warp[lane].operands[1], *y = (u32*)warp[lane].operands[2];
      const float* z = (float*)warp[lane].operands[0];
      for (int i = 0; i < 2; ++i) {
        A[g][t + i] = widen(x[0] >> 16 * i, fp16), A[g + 8][t + i] = widen(x[1] >> 16 * i, fp16);
        A[g][t + 8 + i] = widen(x[2] >> 16 * i, fp16), A[g + 8][t + 8 + i] = widen(x[3] >> 16 * i, fp16);
        B[t + i][g] = widen(y[0] >> 16 * i, fp16), B[t + 8 + i][g] = widen(y[1] >> 16 * i, fp16);
        C[g][t + i] = z[i], C[g + 8][t + i] = z[2 + i];
      }
    }
    for (int i = 0; i < 16; ++i)
      for (int k = 0; k < 16; ++k)
        for (int j = 0; j < 8; ++j) C[i][j] += A[i][k] * B[k][j];
    for (int lane = 0; lane < 32; ++lane) {
      const int g = lane / 4, t = lane % 4 * 2;
      float* z = (float*)warp[lane].operands[0];
      z[0] = C[g][t], z[1] = C[g][t + 1], z[2] = C[g + 8][t], z[3] = C[g + 8][t + 1];
    }
  });
}

void cp_async(u32 to, const void* from, bool live, Site site) {
  Fiber* me = current;
  if (!fits_shared(to, 16, site, "cp.async")) return;
  if ((uintptr_t)from % 16) complain(site, "cp.async from a misaligned place");
  if (live && !fits_global(from, 16, false, site)) live = false;
  note_write(to, 16, me, site, "cp.async");
  for (u32 i = to / 4; i < to / 4 + 4; ++i) words[i].copier = me->thread;
  memset(&shared[to], 0xff, 16);
  me->copies.push_back({to, from, live, me->group});
  me->accesses.push_back({site, to, 16});
  statistics.copied_bytes += live ? 16 : 0;
}
void cp_commit() { ++current->group; }
void cp_wait(int groups_left, Site site) { land(current, current->group - groups_left, site); }

void write_shared(u32 to, const void* from, int bytes, Site site) {
  if (!fits_shared(to, bytes, site, "st.shared")) return;
  note_write(to, bytes, current, site, "st.shared");
  current->accesses.push_back({site, to, bytes});
  memcpy(&shared[to], from, bytes);
}
void read_shared(void* to, u32 from, int bytes, Site site) {
  memset(to, 0, bytes);
  if (!fits_shared(from, bytes, site, "ld.shared")) return;
  note_read(from, bytes, current, site, "ld.shared");
  current->accesses.push_back({site, from, bytes});
  memcpy(to, &shared[from], bytes);
}
void write_global(void* to, const void* from, int bytes, Site site) {
  if (fits_global(to, bytes, true, site)) memcpy(to, from, bytes);
}
void read_global(void* to, const void* from, int bytes, Site site) {
  memset(to, 0, bytes);
  if (fits_global(from, bytes, false, site)) memcpy(to, from, bytes);
}

}  // namespace simt

// ---- what simulator.py calls

extern "C" {
using namespace simt;
void simt_begin(u32 seed) {
  buffers.clear(), errors.clear();
  statistics = {};
  random_state = seed * 2654435761u | 1;
}
void simt_buffer(const void* begin, size_t bytes, const char* name, bool output) {
  buffers[(uintptr_t)begin] = {bytes, name, output, {}};
}
void simt_launch(const char* name, int blocks_x, int blocks_y, int threads, int shared_bytes, const void* args) {
  kernel_name = name, kernel_args = args;
  std::vector<int> order(blocks_x * blocks_y);  // of blocks: results must not depend on it
  for (size_t i = 0; i < order.size(); ++i) order[i] = i, std::swap(order[i], order[draw() % (i + 1)]);
  for (int block : order) {
    grid_x = block % blocks_x, grid_y = block / blocks_x;
    prepare(threads, shared_bytes);
    run_block();
  }
}
void simt_errors(char* text, size_t size) {
  std::string all;
  for (auto& error : errors) all += error + "\n";
  snprintf(text, size, "%s", all.c_str());
}
void simt_statistics(long long* to) { memcpy(to, &statistics, sizeof statistics); }
}
