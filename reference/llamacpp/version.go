package llamacpp

// #include "bridge.h"
import "C"

import (
	"fmt"
	"runtime/debug"
)

// ollamaModule is the module whose releases up to v0.24.0 carry llama.cpp.
const ollamaModule = "github.com/ollama/ollama"

// Commit returns llama.cpp's commit as the module records it
// (llama/build-info.cpp), so that it changes with the module.
func Commit() string { return C.GoString(C.ref_commit()) }

// OllamaVersion returns the version of the ollama module that is compiled in.
func OllamaVersion() string { return ollamaVersion }

// Version names the reference: "llama.cpp ec98e2002 (ollama v0.24.0)".
func Version() string {
	return fmt.Sprintf("llama.cpp %s (ollama %s)", Commit(), OllamaVersion())
}

// checkVersion refuses to run with headers of one version and code of another,
// which a bump of go.mod without a run of scripts/cgoflags leads to. Binaries
// whose build information lists no modules cannot be checked.
func checkVersion() error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	for _, m := range info.Deps {
		if m.Path == ollamaModule && m.Replace == nil && m.Version != ollamaVersion {
			return fmt.Errorf("built with headers of %s %s and code of %s: run make again", ollamaModule, ollamaVersion, m.Version)
		}
	}
	return nil
}
