// Package comparison is one diff from end to end: both sides run, every
// recording of ours judged, what is wrong explained, a report made and put in
// its place.
//
// Whoever holds ours against the reference goes through here - the diff
// command, the gate, the exam - so that all of them say the same of a run:
//
//   - [Comparison.Run] runs a plan and makes its report;
//   - [Judge.Judge] says what is wrong in recordings that lie in files already;
//   - [Diff.Publish] writes what a report consists of into a folder.
//
// The package knows the order of the stages and what passes between them. It
// must not know flags or cases, how an engine runs, how an op is judged, or how
// a report is laid out.
package comparison
