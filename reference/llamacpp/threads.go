package llamacpp

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// ggml's threads wait for one another at a barrier after every node, hundreds
// of times a token, and wait by spinning. As long as each thread has a core that
// is right. When another process is on one of those cores, every barrier costs
// the rest of that process's time slice while the waiting threads burn theirs:
// on 2 cores that others kept busy, a run of 27 ms took 2000 to 9000 ms on two
// threads, 70 to 350 on one, and 50 to 190 with the choice below. The number of
// threads does not change a bit of the results (TestThreadsAndTypes), so an
// engine that was not told how many to use looks, before a step, how many cores
// are free.
//
// Sleeping instead of spinning between graphs (poll = 0 in bridge.cpp) keeps
// the engine from doing the same to others while Go writes a trace.

// maxThreads limits the default. A run of 30 tokens and 20 decodes of the shipped
// model took 72, 31, 28, 14 and 18 ms on 1, 2, 4, 8 and 16 of 16 idle cores.
const maxThreads = 8

// DefaultThreads returns how many threads to compute with at most: the physical
// cores this process may run on, fewer when a cgroup's quota allows fewer
// (GOMAXPROCS accounts for it), and no more than 8.
func DefaultThreads() int {
	return max(1, min(physicalCores(), runtime.GOMAXPROCS(0), maxThreads))
}

// chooser picks the number of threads for each step. The zero value is ready.
type chooser struct {
	until time.Time // the answer holds until then
	n     int
}

// hold is how long an answer holds: a small fraction of the delay it prevents,
// and long enough that a model of a millisecond a token does not feel the 30 µs
// of looking.
const hold = 10 * time.Millisecond

// threads returns how many of at most n threads have a core to themselves now,
// at least 1.
func (c *chooser) threads(n int) int {
	if now := time.Now(); now.After(c.until) {
		others := max(runnable()-1, 0) // this thread is one of them
		c.n, c.until = runtime.NumCPU()-others, now.Add(hold)
	}
	return max(1, min(n, c.n))
}

// runnable returns how many threads of the whole machine run or wait for a
// core: the number before the slash in /proc/loadavg ("0.20 0.18 0.12 3/80 11206",
// proc(5)). It is 1 where that cannot be read.
func runnable() int {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 1
	}
	fields := strings.Fields(string(text))
	if len(fields) < 4 {
		return 1
	}
	running, _, _ := strings.Cut(fields[3], "/")
	n, err := strconv.Atoi(running)
	if err != nil {
		return 1
	}
	return n
}

// physicalCores counts the cores behind the CPUs this process may run on: two
// threads of one core share its arithmetic units, and ggml keeps those busy
// with one. Where the kernel does not tell, every CPU counts.
func physicalCores() int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return runtime.NumCPU()
	}
	_, list, _ := strings.Cut(string(status), "Cpus_allowed_list:")
	list, _, _ = strings.Cut(list, "\n")
	cpus, err := parseCPUs(strings.TrimSpace(list))
	if err != nil {
		return runtime.NumCPU()
	}
	cores := map[string]bool{}
	for _, cpu := range cpus {
		siblings, err := os.ReadFile(fmt.Sprintf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu))
		if err != nil {
			return runtime.NumCPU()
		}
		cores[string(siblings)] = true
	}
	return len(cores)
}

// parseCPUs reads a list of CPUs as cpuset(7) writes it: "0-3,8".
func parseCPUs(list string) ([]int, error) {
	var cpus []int
	for _, part := range strings.Split(list, ",") {
		from, to, ranged := strings.Cut(part, "-")
		first, err := strconv.Atoi(from)
		if err != nil {
			return nil, err
		}
		last := first
		if ranged {
			if last, err = strconv.Atoi(to); err != nil {
				return nil, err
			}
		}
		if first < 0 || last < first || last-first > 1<<16 {
			return nil, fmt.Errorf("CPU list %q: bad range %q", list, part)
		}
		for cpu := first; cpu <= last; cpu++ {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}
