package main

import (
	"fmt"

	"attndiff/ours/kernels"
)

func main() {
	counts := map[string]int{}
	for _, m := range mutants(kernels.Default()) {
		fmt.Println(m.Kind, m)
		counts[m.Kind]++
		counts[m.File]++
		counts["all"]++
	}
	fmt.Println(counts)
}
