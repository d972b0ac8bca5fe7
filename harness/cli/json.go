package cli

import (
	"encoding/json"
	"io"
)

// printJSON writes v indented, with <|im_start|> and the like unescaped.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
