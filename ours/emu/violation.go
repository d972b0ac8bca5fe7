package emu

import (
	"fmt"

	"attndiff/traces/tap"
)

// Violation is something a kernel did that a GPU would not report, or would
// report as a crash without saying where.
type Violation struct {
	Kernel string
	At     tap.Key // the tap the launch computed
	What   string
}

// Error says it in one line.
func (v Violation) Error() string { return fmt.Sprintf("%s %s", label(v.Kernel, v.At), v.What) }

// label names a launch in messages.
func label(kernel string, at tap.Key) string {
	return fmt.Sprintf("kernel %s (tap %s)", kernel, at)
}

// Violations returns what has been found since the device opened, in order.
func (d *Device) Violations() []Violation {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]Violation(nil), d.violations...)
}

// note records violations and gives the first of them as the error of a
// strict device.
func (d *Device) note(found []Violation) error {
	d.violations = append(d.violations, found...)
	if d.options.Strict && len(found) > 0 {
		return found[0]
	}
	return nil
}
