// The kernels of one head_dim and element type for the simulator, by name; compiled once per variant.
#include <cstring>

#include "kernels.cu"

extern "C" bool simt_kernel(const char* name, const void* args) {
  if (!strcmp(name, "attend_128")) attend_128(*(const AttendArgs*)args);
  else if (!strcmp(name, "attend_64")) attend_64(*(const AttendArgs*)args);
  else if (!strcmp(name, "attend_16")) attend_16(*(const AttendArgs*)args);
  else if (!strcmp(name, "combine_parts")) combine_parts(*(const CombineArgs*)args);
  else return false;
  return true;
}
extern "C" int simt_size(bool combine) { return combine ? sizeof(CombineArgs) : sizeof(AttendArgs); }
