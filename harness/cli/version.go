package cli

import (
	"context"
	"flag"
	"fmt"
	"runtime/debug"

	"attndiff/ours/kernels"
	"attndiff/reference/llamacpp"
)

// version is what `version --json` prints.
type version struct {
	Version       string `json:"version"`
	LlamaCommit   string `json:"llama_cpp_commit"`
	OllamaVersion string `json:"ollama_version"`
	KernelDigest  string `json:"kernel_digest"`
}

// current collects the versions of everything a verdict depends on.
func current() version {
	return version{moduleVersion(), llamacpp.Commit(), llamacpp.OllamaVersion(), kernels.Default().Digest()}
}

// moduleVersion is what go build stamped: a tag, or the commit.
func moduleVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return "devel"
}

func versionCommand(a *App, fs *flag.FlagSet) func(context.Context, []string) (int, error) {
	asJSON := fs.Bool("json", false, "print JSON")
	return func(context.Context, []string) (int, error) {
		v := current()
		if *asJSON {
			return Parity, printJSON(a.Stdout, v)
		}
		fmt.Fprintf(a.Stdout, "attndiff   %s\nllama.cpp  %s\nollama     %s\nkernels    %s\n",
			v.Version, v.LlamaCommit, v.OllamaVersion, v.KernelDigest)
		return Parity, nil
	}
}
