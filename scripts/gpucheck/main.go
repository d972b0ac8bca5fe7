// Command gpucheck says in one line whether the GPU evidence is of the present
// kernels, and exits with status 1 when it is not. It runs in the repository's
// root.
package main

import (
	"fmt"
	"os"

	"attndiff/harness/evidence"
)

func main() {
	if err := evidence.Check(evidence.Folder); err != nil {
		fmt.Fprintln(os.Stderr, "gpu-check:", err)
		os.Exit(1)
	}
	fmt.Println("gpu-check: the GPU evidence is of these kernels")
}
