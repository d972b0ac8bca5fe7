package emu

import (
	"slices"
	"testing"

	"attndiff/ours/device"
	"attndiff/traces/tap"
)

func TestBlockSum(t *testing.T) {
	for _, order := range []string{"forward", "reverse", "shuffle"} {
		for _, threads := range []int{32, 64, 256, 1024} {
			const blocks, n = 5, 3000
			b := open(t, Options{Checks: true, Strict: true, Order: order, Seed: 1}, "sync.cu")
			x, sums := put(b, "x", ramp[float32](blocks*n)), b.alloc(4*blocks, "sums")
			b.must("block_sum", blocks, threads, at(x), at(sums), device.Int(n))
			for i, got := range get[float32](b, sums) {
				// Partial sums stay below 2^24 x 4 and all terms are integers,
				// so rounding is at most a few units in the last place of 2^25.
				want := float64(n)*float64(n*i) + float64(n)*(n-1)/2
				if !(abs(float64(got)-want) <= 1e-6*want) {
					t.Errorf("%s order, %d threads: sum of block %d = %v, want %v", order, threads, i, got, want)
				}
			}
		}
	}
}

func TestDynamicSharedMemory(t *testing.T) {
	b := open(t, strict, "sync.cu")
	x, y := put(b, "x", ramp[int32](300)), b.alloc(4*300, "y")
	launch := device.Launch{Kernel: "reverse", Block: device.Dim3{X: 300}, SharedBytes: 4 * 300, Args: []device.Arg{at(x), at(y)}}
	if err := b.Launch(launch); err != nil {
		t.Fatal(err)
	}
	got := get[int32](b, y)
	slices.Reverse(got)
	if !slices.Equal(got, ramp[int32](300)) {
		t.Errorf("reversed = %v", got)
	}
}

func TestSharedMemoryOverrun(t *testing.T) {
	b := open(t, strict, "sync.cu")
	y := b.alloc(4*64, "y")
	err := b.Launch(device.Launch{Kernel: "shared_overrun", Block: device.Dim3{X: 64}, SharedBytes: 4 * 64,
		Args: []device.Arg{at(y)}, At: tap.At(0, 0, tap.KQ)})
	wantError(t, err, "kernel shared_overrun (tap s0000.l00.kq)", "wrote past the end of its 256 bytes of dynamic shared memory, at byte 256")
}

// Writes next to shared memory are seen, writes far from it are stopped.
func TestSharedMemoryOutOfBounds(t *testing.T) {
	for _, tt := range []struct {
		kernel string
		index  int
		want   string
	}{
		{"static_overrun", 31, ""},
		{"static_overrun", 32, "block (0,0,0) wrote outside its static shared memory"},
		{"static_overrun", -1, "block (0,0,0) wrote outside its static shared memory"},
		{"dynamic_overrun", 31, ""},
		{"dynamic_overrun", 33, "wrote past the end of its 128 bytes of dynamic shared memory, at byte 132"},
		{"dynamic_overrun", -1, "crashed at block (0,0,0) thread (0,0,0): access to address 0x"},
		{"dynamic_overrun", 52 * 256, "crashed at block (0,0,0) thread (0,0,0): access to address 0x"},
	} {
		b := open(t, strict, "memory.cu")
		err := b.Launch(device.Launch{Kernel: tt.kernel, SharedBytes: 128, Args: []device.Arg{at(b.alloc(4, "y")), device.Int(tt.index)}})
		if tt.want == "" && err != nil {
			t.Errorf("%s at %d: %v", tt.kernel, tt.index, err)
		}
		if tt.want != "" {
			wantError(t, err, tt.want)
		}
	}
}

// Shared memory is not what an earlier block left there, in any kind of array.
func TestSharedMemoryIsPoisoned(t *testing.T) {
	b := open(t, strict, "sync.cu")
	y := b.alloc(4*3*32*2, "y")
	err := b.Launch(device.Launch{Kernel: "unwritten_shared", Grid: device.Dim3{X: 2}, Block: device.Dim3{X: 32}, SharedBytes: 4 * 32, Args: []device.Arg{at(y)}})
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range get[float32](b, y) {
		if !isNaN(v) {
			t.Fatalf("block %d reads %v from shared array %d", i/96, v, i%3)
		}
	}
}

func TestEarlyExitBeforeBarrier(t *testing.T) {
	b := open(t, strict, "sync.cu")
	const n = 77
	x, y := put(b, "x", ramp[int32](n)), b.alloc(4*n, "y")
	b.must("early_exit", 1, 256, at(x), at(y), device.Int(n))
	got := get[int32](b, y)
	slices.Reverse(got)
	if !slices.Equal(got, ramp[int32](n)) {
		t.Errorf("got %v", got)
	}
}

func TestDivergence(t *testing.T) {
	for _, tt := range []struct {
		kernel string
		want   []string
	}{
		{"divergent_barriers", []string{"thread (0,0,0) waits in __syncthreads at sync.cu:", "while thread (16,0,0) waits in __syncthreads at sync.cu:"}},
		{"divergent_shuffle", []string{"thread (0,0,0) waits in __syncthreads", "while thread (16,0,0) waits in __shfl_xor_sync at sync.cu:"}},
		{"divergent_kinds", []string{"thread (0,0,0) waits in __shfl_up_sync", "thread (16,0,0) waits in __shfl_down_sync"}},
	} {
		t.Run(tt.kernel, func(t *testing.T) {
			b := open(t, strict, "sync.cu")
			y := b.alloc(4*32, "y")
			err := b.run(tt.kernel, 2, 32, at(y))
			wantError(t, err, append(tt.want, "kernel "+tt.kernel+" (tap s0003.l07.q_rope) barrier divergence in block (0,0,0): ")...)
			// The device is as good as new afterwards.
			b.must("where", 1, 32, at(y))
			if got := get[int32](b, y); !slices.Equal(got, whereValues(32)) {
				t.Errorf("launch after a divergence gives %v", got)
			}
		})
	}
}

// whereValues is what kernel where writes for one block of n threads.
func whereValues(n int) []int32 { return ramp[int32](n) }

func TestShuffles(t *testing.T) {
	// The rules of PTX's shfl, written out lane by lane.
	source := [4]func(lane, operand, first, last int) int{
		func(lane, operand, first, last int) int { return first + operand%(last-first+1) },
		func(lane, operand, first, last int) int {
			if lane-operand < first {
				return lane
			}
			return lane - operand
		},
		func(lane, operand, first, last int) int {
			if lane+operand > last {
				return lane
			}
			return lane + operand
		},
		func(lane, operand, first, last int) int {
			if lane^operand > last {
				return lane
			}
			return lane ^ operand
		},
	}
	b := open(t, strict, "sync.cu")
	y := b.alloc(4*128, "y")
	for _, width := range []int{2, 4, 8, 16, 32} {
		for _, operand := range []int{0, 1, 3, 4, 9, 16, 31} {
			b.must("shuffles", 1, 32, at(y), device.Int(operand), device.Int(width))
			got := get[int32](b, y)
			for kind, from := range source {
				for lane := range 32 {
					first := lane / width * width
					want := int32(100 + from(lane, operand, first, first+width-1))
					if got[kind*32+lane] != want {
						t.Errorf("kind %d, operand %d, width %d, lane %d: got %d, want %d", kind, operand, width, lane, got[kind*32+lane], want)
					}
				}
			}
		}
	}
}

func TestShuffleTypesAndGroups(t *testing.T) {
	b := open(t, strict, "sync.cu")
	y := b.alloc(4*96, "y")
	b.must("shuffle_types", 1, 32, at(y))
	got := get[float32](b, y)
	for lane := range 32 {
		group := float32(5)
		if lane%2 == 0 {
			group = 4 + 6
		}
		want := [3]float32{float32(lane^1) + 0.5, float32(lane ^ 1), group}
		if have := [3]float32{got[lane], got[32+lane], got[64+lane]}; have != want {
			t.Errorf("lane %d: got %v, want %v", lane, have, want)
		}
	}
}

func TestShuffleFromAbsentLanes(t *testing.T) {
	b := open(t, strict, "sync.cu")
	y := b.alloc(4*3*31, "y")
	b.must("absent_lanes", 1, 31, at(y))
	got := get[float32](b, y)
	for lane := range 31 {
		for i, v := range got[lane*3 : lane*3+3] {
			// Lane 7 makes no shuffle and writes zeros, lane 5 writes nothing.
			if (lane == 7) == isNaN(v) {
				t.Errorf("lane %d, read %d of a lane that gives nothing = %v", lane, i, v)
			}
		}
	}
}

// What holds NaN for a look at sums holds a huge number of either sign for a
// look at maxima and minima: unwritten memory of every kind, guard zones, what
// absent lanes give.
func TestHuge(t *testing.T) {
	for _, sign := range []int{1, -1} {
		huge := func(what string, list []float32, skip func(i int) bool) {
			t.Helper()
			for i, v := range list {
				if !skip(i) && !(float32(sign)*v > 1e36) {
					t.Errorf("%s: element %d is %v", what, i, v)
				}
			}
		}
		none := func(int) bool { return false }
		options := Options{Checks: true, Strict: true, Huge: sign}
		b := open(t, options, "sync.cu")
		y := b.alloc(4*3*32*2, "y")
		if err := b.Launch(device.Launch{Kernel: "unwritten_shared", Grid: device.Dim3{X: 2}, Block: device.Dim3{X: 32}, SharedBytes: 4 * 32, Args: []device.Arg{at(y)}}); err != nil {
			t.Fatal(err)
		}
		huge("shared memory", get[float32](b, y), none)
		y = b.alloc(4*3*31, "y")
		b.must("absent_lanes", 1, 31, at(y))
		huge("absent lanes", get[float32](b, y), func(i int) bool { return i/3 == 7 }) // which makes no shuffle

		b = open(t, options, "memory.cu")
		x, one := b.alloc(400, "x"), b.alloc(4, "y")
		for _, index := range []int{0, 99, 100, -1} {
			b.must("read_at", 1, 1, at(x), at(one), device.Int(index))
			huge("global memory", get[float32](b, one), none)
		}
		wantError(t, b.run("write_shifted", 1, 128, at(x), device.Int(100), device.Int(1)), "wrote 4 bytes past the end")
	}
}

func TestVotes(t *testing.T) {
	b := open(t, strict, "sync.cu")
	const threads = 64
	y := b.alloc(4*6*threads, "y")
	for _, threshold := range []int{0, 1, 31, 32, 40, 64} {
		b.must("votes", 1, threads, at(y), device.Int(threshold))
		got := get[int32](b, y)
		for thread := range threads {
			inWarp := min(max(threshold-thread/32*32, 0), 32)
			want := []int32{int32(uint32(uint64(1)<<inWarp - 1)), truth(inWarp > 0), truth(inWarp == 32),
				int32(threshold), truth(threshold > 0), truth(threshold == threads)}
			if have := got[thread*6 : thread*6+6]; !slices.Equal(have, want) {
				t.Errorf("threshold %d, thread %d: got %v, want %v", threshold, thread, have, want)
			}
		}
	}
}

func truth(b bool) int32 {
	if b {
		return 1
	}
	return 0
}

func TestIndices(t *testing.T) {
	for _, order := range []string{"", "reverse", "shuffle"} {
		b := open(t, Options{Checks: true, Strict: true, Order: order}, "sync.cu")
		y := b.alloc(4*2*3*4*5*6*7, "y")
		err := b.Launch(device.Launch{Kernel: "where", Grid: device.Dim3{X: 2, Y: 3, Z: 4}, Block: device.Dim3{X: 5, Y: 6, Z: 7}, Args: []device.Arg{at(y)}})
		if err != nil {
			t.Fatal(err)
		}
		var want []int32
		for i := range 2 * 3 * 4 * 5 * 6 * 7 {
			thread, block := i%(5*6*7), i/(5*6*7)
			want = append(want, int32((block/6*10+block/2%3)*10+block%2)*1000+int32((thread/30*10+thread/5%6)*10+thread%5))
		}
		if got := get[int32](b, y); !slices.Equal(got, want) {
			t.Errorf("order %q: indices differ", order)
		}
	}
}

// A missing barrier shows: runs in different orders give different results.
func TestOrdersExposeMissingBarriers(t *testing.T) {
	const n = 64
	run := func(kernel string, options Options) []int32 {
		b := open(t, options, "sync.cu")
		x, y := put(b, "x", ramp[int32](n)), b.alloc(4*n, "y")
		err := b.Launch(device.Launch{Kernel: kernel, Block: device.Dim3{X: n}, SharedBytes: 4 * n, Args: []device.Arg{at(x), at(y)}})
		if err != nil {
			t.Fatal(err)
		}
		return get[int32](b, y)
	}
	for _, tt := range []struct {
		kernel string
		same   bool
	}{{"reverse", true}, {"reverse_unsynced", false}, {"rotate_twice_unsynced", false}} {
		forward := run(tt.kernel, Options{Checks: true, Order: "forward"})
		if got := run(tt.kernel, Options{Checks: true, Order: "reverse"}); slices.Equal(got, forward) != tt.same {
			t.Errorf("%s: forward %v, reverse %v", tt.kernel, forward, got)
		}
		same := true
		for seed := range int64(4) { // of 2 warps, one seed in two runs the second first
			same = same && slices.Equal(run(tt.kernel, Options{Checks: true, Order: "shuffle", Seed: seed}), forward)
		}
		if same != tt.same {
			t.Errorf("%s: shuffled orders give the forward result: %v, want %v", tt.kernel, same, tt.same)
		}
	}
}

func abs(x float64) float64 { return max(x, -x) }
