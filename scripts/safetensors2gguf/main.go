// Command safetensors2gguf converts a Qwen2 checkpoint as Hugging Face lays it
// out (config.json, tokenizer.json, model.safetensors) to GGUF.
//
//	go run ./scripts/safetensors2gguf [-type F16] [-name NAME] CHECKPOINT OUT.gguf
//
// Matrices are stored as -type, norms and biases as F32. A NEOX model's
// weights keep their order. The file written is opened again and checked
// before the command reports success. Exit status: 0 written, 2 bad usage or
// bad input.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"attndiff/traces/gguf"
	"attndiff/traces/gguf/writer"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "safetensors2gguf:", err)
		os.Exit(2)
	}
}

func run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("safetensors2gguf", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	typ := flags.String("type", "F16", "type of the matrices: "+strings.Join(writer.Types(), ", "))
	name := flags.String("name", "", "name stored in the file; the checkpoint folder's if empty")
	if err := flags.Parse(args); err != nil || flags.NArg() != 2 {
		if err == nil {
			err = fmt.Errorf("%d arguments", flags.NArg())
		}
		return fmt.Errorf("%w; usage: safetensors2gguf [-type %s] [-name NAME] CHECKPOINT OUT.gguf", err, strings.Join(writer.Types(), "|"))
	}
	in, out := flags.Arg(0), flags.Arg(1)
	if *name == "" {
		*name = filepath.Base(filepath.Clean(in))
	}
	return convert(in, out, *name, *typ, stdout)
}

// convert writes the checkpoint in folder in to the file out.
func convert(in, out, name, typ string, stdout io.Writer) error {
	config, err := readConfig(filepath.Join(in, "config.json"))
	if err != nil {
		return err
	}
	vocab, err := readVocab(in, config)
	if err != nil {
		return err
	}
	w, err := openWeights(filepath.Join(in, "model.safetensors"), config)
	if err != nil {
		return err
	}
	defer w.file.Close()
	m := writer.Model{Name: name, Hparams: config.hparams(), ContextLength: config.Context,
		Type: typ, Tied: config.Tied, Vocab: vocab, Fill: w.fill}
	if err := writer.WriteFile(out, m); err != nil {
		return err
	}
	f, err := gguf.Open(out)
	if err != nil {
		return err
	}
	defer f.Close()
	sum, err := f.SHA256()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s: %s, %d layers, %d tokens, sha256 %s\n", out, f.WeightTypes(), f.Hparams.NLayer, f.Hparams.NVocab, sum)
	return err
}
