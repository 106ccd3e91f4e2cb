// The kernels of one head_dim and one element type: -DCWM_HEAD_DIM=32|64|128 -DCWM_FP16=0|1.
// The number in a name is how many rows (tokens x heads of a group) a block takes. The second launch bound is the
// blocks that shall fit a multiprocessor: it is the compiler's ceiling for registers.
#include "attend.cuh"
#include "combine.cuh"

CWM_KERNEL(128, 2) attend_128(const AttendArgs args) { attend<Tile128>(args); }
CWM_KERNEL(128, 2) attend_64(const AttendArgs args) { attend<Tile64>(args); }
CWM_KERNEL(128, 4) attend_16(const AttendArgs args) { attend<Tile16>(args); }
CWM_KERNEL(128, 8) combine_parts(const CombineArgs args) { combine(args); }
