// Package page writes a report as one HTML file: the verdict and its causes
// first, then pictures of the tensors behind it.
//
// The file needs no network and no script. Pictures are palette PNGs and SVG
// drawn here; a script embedded in the page adds values under the pointer and
// filters, and nothing is lost without it.
//
// # What is drawn
//
// A run holds thousands of tensors and a page at most [MaxBytes]. What is drawn
// is chosen by what the report says: the first divergence, each finding where
// it is worst, every tap where it is worst, then further layers as long as the
// pictures' largest possible sizes fit. A picture is smaller than
// its tensor; each cell keeps the most extreme value it covers, and a value that
// is not finite before any other, so that one wrong element stays visible.
//
// One picture covers a layer over all steps: its rows are the tokens in the
// order they were fed, prefill and decoded ones alike.
//
// The package reads a report and both traces, some rows of a tensor at a time,
// so that memory does not grow with them. It must not judge: statuses, causes and numbers are the report's.
package page
