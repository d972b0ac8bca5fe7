package haiku

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
)

//go:embed syllables.tsv
var syllablesTSV string

//go:embed topics.tsv
var topicsTSV string

// dictionary maps a word in lower case to its syllables. TestData holds the
// file to its format: word, tab, a positive number.
var dictionary = sync.OnceValue(func() map[string]int {
	counts := make(map[string]int)
	for line := range strings.Lines(syllablesTSV) {
		w, count, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if n, err := strconv.Atoi(count); err == nil {
			counts[w] = n
		}
	}
	return counts
})

// Topics lists what the shipped model was trained to write about, as a request
// names it: "the sea", "a cat", "autumn rain".
func Topics() []string {
	var topics []string
	for line := range strings.Lines(topicsTSV) {
		topic, _, _ := strings.Cut(line, "\t")
		topics = append(topics, topic)
	}
	return topics[1:] // the first line names the columns
}
