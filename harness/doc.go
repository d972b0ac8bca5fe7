// Package harness holds no code: it is where the project's floors are written
// down and tested.
//
//	harness               sees everything below
//	ours     reference    stand side by side, never see each other nor the harness
//	traces                the ground: plain Go without cgo, sees nobody
//
// Data flows one way: a prompt goes down to the engines, traces come up,
// verdicts become findings, findings become reports and an exit status.
package harness
