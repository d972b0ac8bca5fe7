// Package engines makes the engines that a worker can run: it knows their
// names, opens them, and says where ours computes a tap.
//
// It is the one place where the reference and ours meet, each behind
// [session.Engine]. It must not know what they are run for, and neither engine
// learns of the other here.
package engines
