// Package haiku says whether a text is a haiku about a topic: three lines of
// 5, 7 and 5 syllables, one of which names the topic.
//
// Syllables come from a dictionary (syllables.tsv) that holds the words the
// shipped model was trained on; any other word is an error, since garbage is
// what the check is there to notice. The dictionary leaves out words whose
// count people argue about. topics.tsv lists what the model was asked for in
// training. scripts/train composes its corpus from the same two files.
//
// The package knows words. It must not know models, tokens or engines.
package haiku
