// Package cli is attndiff's command line: what each command takes, checks and
// prints, and the exit status it ends with.
//
//	0  parity, or the command did what it was asked
//	1  divergence
//	2  bad usage or bad input
//	3  an engine crashed, hung or ran out of memory
//
// Every error is one line on standard error: what, where, what to do. With
// --json standard output carries the JSON and nothing else.
//
// The package knows flags, words and files. It must not know how engines run
// (package session), how tensors are judged (verdict) or how a report is laid
// out (report).
package cli
