package qwen2

import (
	"reflect"
	"runtime"
)

// ProjectionPlace says where matrix products are issued, which no kernel of ours
// computes: the file from the repository's root, the line as it was compiled,
// and the function.
func ProjectionPlace() (file string, line int, function string) {
	f := runtime.FuncForPC(reflect.ValueOf((*pass).linear).Pointer())
	_, line = f.FileLine(f.Entry())
	return "ours/qwen2/launch.go", line, "linear"
}
