package exam

import (
	"slices"
	"strings"

	"attndiff/harness/diagnose"
	"attndiff/harness/session"
	"attndiff/harness/verdict"
	"attndiff/ours/faults"
	"attndiff/traces/tap"
)

// Answer is what the harness said of a case.
type Answer struct {
	Outcome verdict.Outcome
	Failure string   // why ours gave no recording, "" when it did
	First   string   // the first divergence as a tensor name, "" for none
	Wrong   []string // the ops it calls wrong, in order of appearance
	Causes  []Named  // and why
}

// Named is a cause the harness named.
type Named struct {
	Tap, ID string
	Status  diagnose.Status
	Equal   []string // causes said to do as well on this run's data
}

// Mark is how a case went.
type Mark struct {
	Case    Case
	Answer  Answer
	Members []Member // one per fault
	// Alarms are the recordings called wrong at ops that no fault of the case
	// makes wrong.
	Alarms  []string
	Seconds float64
}

// Member is one fault of a case: where it shows and what was said of it.
type Member struct {
	Fault    string
	Truth    Truth
	Detected bool // the run is no parity
	Op       bool // every op it makes wrong is called wrong; alone, one of them first
	Place    bool // in every layer and step; alone, the first where it starts
	Missed   []tap.Key
	Named    []Named
	Right    []bool // per cause named: it is the mistake
	Equal    []bool // per cause named: it is another, and the mistake is said to do as well on this run's data
}

// answer words a judgement.
func answer(r *verdict.Result, causes []diagnose.Diagnosis) Answer {
	a := Answer{Outcome: r.Outcome}
	if r.First != nil {
		a.First = r.First.Key.String()
	}
	for _, group := range r.Wrong() {
		a.Wrong = append(a.Wrong, group[0].Key.Tap.String())
	}
	for _, d := range causes {
		a.Causes = append(a.Causes, Named{d.Tap.String(), d.Cause.ID, d.Cause.Status, d.Equal})
	}
	return a
}

// mark holds a judgement against the truth.
func mark(c Case, truths []Truth, r *verdict.Result, causes []diagnose.Diagnosis) *Mark {
	m := &Mark{Case: c, Answer: answer(r, causes)}
	wrong := map[tap.Key]bool{}
	for _, t := range r.Taps {
		if t.Status != verdict.Introduced {
			continue
		}
		wrong[t.Key] = true
		if !slices.ContainsFunc(truths, func(truth Truth) bool { return truth.has(t.Key) }) {
			m.Alarms = append(m.Alarms, t.Key.String()+": "+t.Why)
		}
	}
	for i, f := range c.Faults {
		member := Member{Fault: f.Name, Truth: truths[i]}
		if truths[i].Shows() {
			member.Detected = r.Outcome == verdict.Divergence
			member.Missed = truths[i].missed(wrong)
			member.Place = len(member.Missed) == 0
			member.Op = !slices.ContainsFunc(truths[i].Must, func(k tap.Key) bool { return !m.Answer.wrong(k.Tap) })
			if len(c.Faults) == 1 {
				first := r.First != nil && truths[i].starts(r.First.Key)
				member.Op, member.Place = member.Op && first, member.Place && first
			}
			member.name(f, m.Answer)
		}
		m.Members = append(m.Members, member)
	}
	return m
}

// has reports whether the fault changes the op.
func (t Truth) has(k tap.Key) bool { return slices.Contains(t.Must, k) || slices.Contains(t.May, k) }

// starts reports whether k can be the first divergence of a run with this
// fault alone.
func (t Truth) starts(k tap.Key) bool { return t.has(k) && k.Compare(t.Must[0]) <= 0 }

// missed lists what is not called wrong and must be.
func (t Truth) missed(wrong map[tap.Key]bool) []tap.Key {
	return slices.DeleteFunc(slices.Clone(t.Must), func(k tap.Key) bool { return wrong[k] })
}

// wrong reports whether the answer calls an op wrong.
func (a *Answer) wrong(t tap.Tap) bool { return slices.Contains(a.Wrong, t.String()) }

// name holds the causes named for the ops that the fault must make wrong
// against those accepted. An op that is given no cause is unexplained.
func (m *Member) name(f faults.Fault, a Answer) {
	var seen []tap.Tap
	for _, k := range m.Truth.Must {
		if slices.Contains(seen, k.Tap) {
			continue
		}
		seen = append(seen, k.Tap)
		n := Named{Tap: k.Tap.String(), ID: "none", Status: diagnose.Unexplained}
		if i := slices.IndexFunc(a.Causes, func(c Named) bool { return c.Tap == n.Tap }); i >= 0 {
			n = a.Causes[i]
		}
		m.Named = append(m.Named, n)
		accepted := f.Causes(k.Tap)
		right := names(n.ID, accepted)
		m.Right = append(m.Right, right)
		m.Equal = append(m.Equal, !right && slices.ContainsFunc(n.Equal, func(id string) bool { return names(id, accepted) }))
	}
}

// names reports whether a cause, or one part of a joint cause, is an accepted
// one.
func names(id string, accepted []string) bool {
	return slices.ContainsFunc(strings.Split(id, "+"), func(part string) bool { return slices.Contains(accepted, part) })
}

// failure marks a case whose run gave no recording. No fault of the catalogue
// is to crash or hang, so nothing is detected by it.
func failure(c Case, f *session.Failure) *Mark {
	m := &Mark{Case: c, Answer: Answer{Outcome: verdict.EngineFailed, Failure: f.Error()}}
	for _, planted := range c.Faults {
		m.Members = append(m.Members, Member{Fault: planted.Name, Truth: Truth{Why: "ours gave no recording"}})
	}
	return m
}
