package haiku

import "strings"

// DictionaryLines are the lines of syllables.tsv as they are.
func DictionaryLines() []string { return strings.Split(strings.TrimSuffix(syllablesTSV, "\n"), "\n") }
