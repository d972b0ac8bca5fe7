package diagnose

import (
	"slices"
	"strings"

	"attndiff/harness/oracle"
)

// candidate is one or more mistakes made together, with how well they do.
type candidate struct {
	parts   []*Hypothesis
	order   int // place in the search: fewer mistakes first, the more common of them first
	variant oracle.Variant
	outcome
	inert bool // changes nothing in the recordings that are asked about it
}

// id joins the mistakes' IDs.
func (c *candidate) id() string { return c.join("+", func(h *Hypothesis) string { return h.ID }) }

func (c *candidate) join(by string, text func(*Hypothesis) string) string {
	var all []string
	for _, h := range c.parts {
		all = append(all, text(h))
	}
	return strings.Join(all, by)
}

// leaves reports whether one of the mistakes leaves memory unwritten.
func (c *candidate) leaves() bool {
	return slices.ContainsFunc(c.parts, func(h *Hypothesis) bool { return h.Leaves })
}

// on is what recordings are to the candidate: memory that it leaves unwritten may
// hold numbers, whatever the op owes.
func (c *candidate) on(list []recording) []recording {
	if !c.leaves() {
		return list
	}
	list = slices.Clone(list)
	for i := range list {
		list[i].unwritten = true
	}
	return list
}

// with is the candidate that makes one mistake more.
func (c *candidate) with(h *Hypothesis) *candidate {
	return &candidate{parts: append(c.parts[:len(c.parts):len(c.parts)], h), variant: c.variant.And(h.Variant)}
}

// mustShow reports whether what the candidate leaves undefined must look like
// memory that nobody wrote. A mistake that says the value of most elements is
// believed about the few that it does not; not so one that joins another mistake
// only to excuse what that one gets wrong.
func (c *candidate) mustShow() bool {
	leaves := c.leaves()
	if c.claims > c.open {
		return leaves && len(c.parts) > 1
	}
	return leaves || c.claims < enough
}
