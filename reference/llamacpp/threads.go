package llamacpp

import "runtime"

// DefaultThreads returns how many threads to compute with.
func DefaultThreads() int { return min(runtime.GOMAXPROCS(0), 8) }
