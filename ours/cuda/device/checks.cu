// What the checking device runs after each launch: is everything written that
// should be, and nothing else. Findings go to a list that the host reads when
// it next waits; patterns are 16-bit words (see pattern.go).

// One finding: what was found in which launch, first and last offset or index.
// checks.go has the same struct.
struct Finding {
    unsigned launch; // the host's number of the launch
    unsigned place;  // a zone's number, or UNWRITTEN + the number of a region
    unsigned first;
    unsigned last;  // zones: last byte that changed
    unsigned count; // regions: elements left unwritten
};

struct Findings {
    unsigned count; // may exceed MOST: what came later is counted only
    Finding list[1024];
};

constexpr unsigned MOST = 1024;
constexpr unsigned UNWRITTEN = 1u << 31;

static __device__ void add(Findings *found, const Finding &f) {
    const unsigned slot = atomicAdd(&found->count, 1u);
    if (slot < MOST) {
        found->list[slot] = f;
    }
}

// Guard zones, [][3] of address, length and pattern: every byte must still be what
// fill left. A zone that changed is noted (unless launch is 0, which fills new
// zones) and mended.
//
// Launch: grid (zones), block (256).
extern "C" __global__ void attndiff_check_zones(const unsigned long long *zones, Findings *found, unsigned launch,
                                                unsigned from) {
    __shared__ unsigned first, last;
    const unsigned zone = from + blockIdx.x;
    unsigned char *bytes = (unsigned char *)zones[3 * zone];
    const unsigned length = (unsigned)zones[3 * zone + 1], pattern = (unsigned)zones[3 * zone + 2];
    if (threadIdx.x == 0) {
        first = length;
        last = 0;
    }
    __syncthreads();
    for (unsigned i = threadIdx.x; i < length; i += blockDim.x) {
        const unsigned char want = i % 2 == 0 ? pattern & 0xff : pattern >> 8;
        if (bytes[i] != want) {
            atomicMin(&first, i);
            atomicMax(&last, i);
            bytes[i] = want;
        }
    }
    __syncthreads();
    if (threadIdx.x == 0 && first < length && launch != 0) {
        add(found, {launch, zone, first, last, 0});
    }
}

// Elements of a region that still hold the pattern they were filled with.
//
// Launch: grid (up to 256), block (256).
template <typename E>
static __device__ void check_written(const E *x, unsigned long long n, E pattern, Findings *found, unsigned launch,
                                     unsigned region) {
    __shared__ unsigned first, count;
    if (threadIdx.x == 0) {
        first = ~0u;
        count = 0;
    }
    __syncthreads();
    const unsigned long long threads = (unsigned long long)gridDim.x * blockDim.x;
    for (unsigned long long i = blockIdx.x * (unsigned long long)blockDim.x + threadIdx.x; i < n; i += threads) {
        if (x[i] == pattern) {
            atomicMin(&first, (unsigned)i);
            atomicAdd(&count, 1u);
        }
    }
    __syncthreads();
    if (threadIdx.x == 0 && count > 0) {
        add(found, {launch, UNWRITTEN + region, first, 0, count});
    }
}

extern "C" __global__ void attndiff_check_written_2(const unsigned short *x, unsigned long long n, unsigned pattern,
                                                    Findings *found, unsigned launch, unsigned region) {
    check_written(x, n, (unsigned short)pattern, found, launch, region);
}

extern "C" __global__ void attndiff_check_written_4(const unsigned *x, unsigned long long n, unsigned pattern,
                                                    Findings *found, unsigned launch, unsigned region) {
    check_written(x, n, pattern << 16 | pattern, found, launch, region);
}
