// Package report turns a judged run into what people and machines read:
// report.json and a table for the terminal.
//
// [Build] gathers a [Report] from a run and its verdict; [Report.Write] puts
// it in a file, [Report.Print] on a terminal. The JSON keys are a contract:
// they stay as they are.
//
// The package knows words, layout and severities. It must not know how an
// engine ran or how a tensor was judged, and it decides nothing: the verdict
// comes in and goes out unchanged.
package report
