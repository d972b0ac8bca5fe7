package safetensors

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// file joins a header and data as a file does.
func file(header, data string) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(out, header...), data...)
}

// one is a header with one tensor "a".
func one(dtype, shape, offsets string) string {
	return fmt.Sprintf(`{"a":{"dtype":%s,"shape":%s,"data_offsets":%s}}`, dtype, shape, offsets)
}

func entries(list ...string) string { return "{" + strings.Join(list, ",") + "}" }

// f32 is an entry of n float32 from byte begin on.
func f32(name string, n, begin int) string {
	return fmt.Sprintf(`%q:{"dtype":"F32","shape":[%d],"data_offsets":[%d,%d]}`, name, n, begin, begin+4*n)
}

var malformed = []struct {
	name string
	file []byte
	want string // part of the error
}{
	{"empty file", nil, "0 bytes long"},
	{"only part of the length", []byte{1, 2, 3}, "3 bytes long"},
	{"header over the limit", binary.LittleEndian.AppendUint64(nil, MaxHeader+1), "exceeds the limit"},
	{"header length with the sign bit", bytes.Repeat([]byte{0xff}, 64), "exceeds the limit"},
	{"header past the end", file(`{}`, "")[:9], "runs past the end of the file"},
	{"header of no bytes", file("", ""), `does not start with "{"`},
	{"header starts with a space", file(" {}", ""), `does not start with "{"`},
	{"header is an array", file("[]", ""), `does not start with "{"`},
	{"header is not JSON", file(`{"a":`, ""), "header is not JSON"},
	{"comma after the last entry", file(`{"a":1,}`, ""), "header is not JSON"},
	{"header is not UTF-8", file("{\"\xff\":1}", ""), "not valid UTF-8"},
	{"NaN in a shape", file(one(`"F32"`, "[NaN]", "[0,4]"), "abcd"), "header is not JSON: byte"},
	{"NaN in the metadata", file(`{"__metadata__":{"x":NaN}}`, ""), "header is not JSON: byte"},
	{"padded with zero bytes", file("{}\x00\x00", ""), "header is not JSON"},
	{"padded with line ends", file("{}\n\n", ""), "padded with something other than spaces"},
	{"two headers", file("{}{}", ""), "header is not JSON"},
	{"nested beyond reason", file(strings.Repeat(`{"a":`, 20000), ""), "header is not JSON"},

	{"metadata not an object", file(`{"__metadata__":[]}`, ""), `__metadata__: "[" stands where an object belongs`},
	{"metadata value a number", file(`{"__metadata__":{"x":12}}`, ""), `key "x": "12" stands where a string belongs`},
	{"metadata value null", file(`{"__metadata__":{"x":null}}`, ""), `key "x": "null" stands where a string belongs`},
	{"metadata key twice", file(`{"__metadata__":{"x":"1","\u0078":"2"}}`, ""), `key "x" occurs twice`},
	{"metadata twice", file(`{"__metadata__":{},"__metadata__":{}}`, ""), `"__metadata__" occurs twice`},

	{"entry not an object", file(`{"a":7}`, ""), `tensor "a": "7" stands where an object belongs`},
	{"name twice", file(entries(f32("a", 1, 0), f32("a", 1, 4)), "abcdefgh"), `tensor "a" occurs twice`},
	{"name twice, spelled differently", file(entries(f32("a", 1, 0), `"\u0061"`+f32("a", 1, 4)[3:]), "abcdefgh"), `tensor "a" occurs twice`},
	{"field twice", file(`{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, "abcd"), `tensor "a": field "dtype" occurs twice`},
	{"field unknown", file(`{"a":{"dtype":"F32","shape":[1],"strides":[1],"data_offsets":[0,4]}}`, "abcd"), `unknown field "strides"`},
	{"field in capitals", file(`{"a":{"DType":"F32","shape":[1],"data_offsets":[0,4]}}`, "abcd"), `unknown field "DType"`},
	{"no dtype", file(`{"a":{"shape":[1],"data_offsets":[0,4]}}`, "abcd"), `tensor "a": field "dtype" is missing`},
	{"no shape", file(`{"a":{"dtype":"F32","data_offsets":[0,4]}}`, "abcd"), `field "shape" is missing`},
	{"no offsets", file(`{"a":{"dtype":"F32","shape":[1]}}`, ""), `field "data_offsets" is missing`},
	{"dtype a number", file(one("32", "[1]", "[0,4]"), "abcd"), `tensor "a": dtype: "32" stands where a string belongs`},
	{"dtype unknown", file(one(`"F31"`, "[1]", "[0,4]"), "abcd"), `tensor "a": unknown dtype "F31"`},
	{"dtype in small letters", file(one(`"f32"`, "[1]", "[0,4]"), "abcd"), `unknown dtype "f32"`},
	{"shape a number", file(one(`"F32"`, "1", "[0,4]"), "abcd"), `shape: "1" stands where an array belongs`},
	{"shape null", file(one(`"F32"`, "null", "[0,4]"), "abcd"), `shape: "null" stands where an array belongs`},
	{"size negative", file(one(`"F32"`, "[-1]", "[0,4]"), "abcd"), `shape: "-1" stands where a whole number`},
	{"size minus zero", file(one(`"F32"`, "[-0]", "[0,0]"), ""), `"-0" stands where a whole number`},
	{"size a fraction", file(one(`"F32"`, "[1.0]", "[0,4]"), "abcd"), `"1.0" stands where a whole number`},
	{"size with an exponent", file(one(`"F32"`, "[1e0]", "[0,4]"), "abcd"), `"1e0" stands where a whole number`},
	{"size a string", file(one(`"F32"`, `["1"]`, "[0,4]"), "abcd"), `stands where a whole number`},
	{"size nested", file(one(`"F32"`, `[[1]]`, "[0,4]"), "abcd"), `stands where a whole number`},
	{"size beyond 63 bits", file(one(`"F32"`, "[9223372036854775808]", "[0,4]"), "abcd"), `stands where a whole number`},
	{"product overflows to the span", file(one(`"F32"`, "[4611686018427387904,4]", "[0,0]"), ""), "overflows"},
	{"product overflows before a zero", file(one(`"F32"`, "[4611686018427387904,4611686018427387904,0]", "[0,0]"), ""), "overflows"},
	{"elements do not fill a byte", file(one(`"F4"`, "[3]", "[0,1]"), "a"), "does not fill whole bytes"},
	{"span too short", file(one(`"F32"`, "[2]", "[0,4]"), "abcd"), "span 4 bytes, but shape [2] of dtype F32 takes 8"},
	{"span too long", file(one(`"F16"`, "[1]", "[0,4]"), "abcd"), "span 4 bytes, but shape [1] of dtype F16 takes 2"},
	{"one offset", file(one(`"F32"`, "[1]", "[4]"), "abcd"), "data_offsets [4] are not a begin and an end"},
	{"three offsets", file(one(`"F32"`, "[1]", "[0,4,8]"), "abcd"), "are not a begin and an end"},
	{"offsets backwards", file(one(`"F32"`, "[1]", "[4,0]"), "abcd"), "are not a begin and an end"},

	{"data cut short", file(entries(f32("a", 1, 0), f32("b", 1, 4)), "abcdefg"), `tensor "b": data_offsets [4 8] run past the end of the data at 7; the file is truncated`},
	{"offsets far past the end", file(one(`"U8"`, "[8]", "[9223372036854775799,9223372036854775807]"), ""), "run past the end"},
	{"overlap", file(entries(f32("a", 2, 0), f32("b", 2, 4)), "abcdefghijkl"), `tensor "b": data_offsets [4 12] overlap those of tensor "a"`},
	{"same range twice", file(entries(f32("a", 1, 0), f32("b", 1, 0)), "abcd"), "overlap"},
	{"no data within another's range", file(entries(f32("a", 2, 0), f32("b", 0, 4)), "abcdefgh"), "overlap"},
	{"gap before the first", file(entries(f32("a", 1, 4)), "abcdefgh"), `tensor "a": a gap of 4 bytes separates its data from the header`},
	{"gap between two", file(entries(f32("a", 1, 0), f32("b", 1, 8)), "abcdefghijkl"), `tensor "b": a gap of 4 bytes separates its data from tensor "a"`},
	{"bytes after the last", file(entries(f32("a", 1, 0)), "abcdefgh"), `4 bytes follow tensor "a" and belong to no tensor`},
	{"bytes and no tensor", file("{}", "a"), "1 bytes follow the header"},
}

func TestOpenRefuses(t *testing.T) {
	for _, c := range malformed {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, c.file)
			f, err := Open(path)
			if err == nil {
				f.Close()
				t.Fatalf("accepted; want an error with %q", c.want)
			}
			if !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), path) {
				t.Errorf("error %q; want it to start with the path and to contain %q", err, c.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error has more than one line: %q", err)
			}
		})
	}
}

// accepted are the corners of the format that are not mistakes.
var accepted = []struct {
	name    string
	file    []byte
	tensors string // name dtype shape bytes, in the order of the data
}{
	{"nothing", file("{}", ""), ""},
	{"padding", file("{}      ", ""), ""},
	{"metadata alone", file(`{"__metadata__":{"k":"v"}}`, ""), ""},
	{"white space within", file("{ \"a\" :\t{ \"dtype\":\"F32\",\n\"shape\": [ 1 ] ,\"data_offsets\":[ 0 , 4 ] } } ", "abcd"), "a F32 [1] abcd\n"},
	{"escaped name", file(strings.Replace(entries(f32("a", 1, 0)), `"a"`, `"\u0061\"\\"`, 1), "abcd"), "a\"\\ F32 [1] abcd\n"},
	{"scalar", file(one(`"F64"`, "[]", "[0,8]"), "abcdefgh"), "a F64 [] abcdefgh\n"},
	{"size 0", file(one(`"BF16"`, "[3,0]", "[0,0]"), ""), "a BF16 [3 0] \n"},
	{"header in another order than data", file(entries(f32("b", 1, 4), f32("a", 1, 0)), "abcdefgh"), "a F32 [1] abcd\nb F32 [1] efgh\n"},
	{"size 0 between two", file(entries(f32("a", 1, 0), f32("c", 1, 4), f32("b", 0, 4)), "abcdefgh"), "a F32 [1] abcd\nb F32 [0] \nc F32 [1] efgh\n"},
	{"integers", file(one(`"I64"`, "[1]", "[0,8]"), "abcdefgh"), "a I64 [1] abcdefgh\n"},
	{"four bits each", file(one(`"F4"`, "[4]", "[0,2]"), "ab"), "a F4 [4] ab\n"},
}

func TestOpenAccepts(t *testing.T) {
	for _, c := range accepted {
		t.Run(c.name, func(t *testing.T) {
			f, err := Open(write(t, c.file))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			var got strings.Builder
			for _, tensor := range f.Tensors() {
				fmt.Fprintf(&got, "%s %s %v %s\n", tensor.Name, tensor.DType, tensor.Shape, data(t, f, tensor))
			}
			if got.String() != c.tensors {
				t.Errorf("got %q, want %q", got.String(), c.tensors)
			}
		})
	}
}

func TestOpenRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "absent"), os.DevNull} {
		if f, err := Open(path); err == nil {
			f.Close()
			t.Errorf("opened %s", path)
		} else if !strings.Contains(err.Error(), path) {
			t.Errorf("error %q does not name %s", err, path)
		}
	}
}

func TestReadAt(t *testing.T) {
	path := write(t, file(entries(f32("a", 2, 0), f32("b", 1, 8)), "abcdefghijkl"))
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	a := f.Tensors()[0]
	p := make([]byte, 3)
	if err := f.ReadAt(a, p, 5); err != nil || string(p) != "fgh" {
		t.Errorf("ReadAt(3 bytes at 5) = %q, %v; want fgh", p, err)
	}
	for _, off := range []int64{-1, 6, 8, 1 << 62} {
		if err := f.ReadAt(a, p, off); err == nil {
			t.Errorf("ReadAt(3 bytes at %d) of 8 went through", off)
		}
	}
	if err := os.Truncate(path, int64(len(file("", "")))); err != nil {
		t.Fatal(err)
	}
	if err := f.ReadAt(a, p, 0); err == nil || !strings.Contains(err.Error(), "became shorter") {
		t.Errorf("ReadAt of a file cut short: %v", err)
	}
}

func TestReadAtFromManyGoroutines(t *testing.T) {
	const tensors, size = 16, 5000
	var list []string
	var all []byte
	for i := range tensors {
		list = append(list, f32(fmt.Sprint(i), size/4, i*size))
		all = append(all, bytes.Repeat([]byte{byte(i)}, size)...)
	}
	f, err := Open(write(t, file(entries(list...), string(all))))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var wg sync.WaitGroup
	for _, tensor := range slices.Concat(f.Tensors(), f.Tensors()) {
		wg.Go(func() {
			want := all[tensor.begin:tensor.end]
			got := make([]byte, size)
			if err := f.ReadAt(tensor, got, 0); err != nil || !bytes.Equal(got, want) {
				t.Errorf("tensor %s: wrong data, %v", tensor.Name, err)
			}
		})
	}
	wg.Wait()
}

// write puts content into a new file and returns its path.
func write(t testing.TB, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "t.safetensors")
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// data reads all of a tensor.
func data(t testing.TB, f *File, tensor Tensor) []byte {
	t.Helper()
	p := make([]byte, tensor.Bytes())
	if err := f.ReadAt(tensor, p, 0); err != nil {
		t.Fatal(err)
	}
	return p
}
