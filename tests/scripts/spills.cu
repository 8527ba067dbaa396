// Kernels that break what scripts/check_ptxas.sh promises: it must name both.

/// 32 registers a thread for an array of 64 values: spills.
__global__ void __launch_bounds__(1024, 2) spills(float* values) {
  float kept[64];
#pragma unroll
  for (int i = 0; i < 64; ++i) kept[i] = values[i * 1024 + threadIdx.x];
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 64; ++i) values[i * 1024 + threadIdx.x] = kept[63 - i] * kept[i];
}

/// An array that is indexed at run time lies in local memory.
__global__ void keeps_an_array(float* values, const int* order) {
  float kept[16];
  for (int i = 0; i < 16; ++i) kept[order[i]] = values[i];
  for (int i = 0; i < 16; ++i) values[i] = kept[order[15 - i]];
}
