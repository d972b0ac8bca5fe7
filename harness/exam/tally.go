package exam

import (
	"fmt"
	"slices"

	"attndiff/harness/diagnose"
)

// Tally adds up marks. A member is one fault in one run; only members that
// show count towards what had to be found.
type Tally struct {
	Cases    int `json:"cases"`
	Members  int `json:"faults_planted"`
	Shown    int `json:"shown"`
	Detected int `json:"detected"`
	Op       int `json:"right_op"`
	Place    int `json:"right_layer_and_step"`

	Causes      int `json:"causes"` // named for wrong ops of members that show
	Right       int `json:"right_cause"`
	Equal       int `json:"right_cause_among_equals"` // another is named, and the right one said to do as well on the run's data
	Proven      int `json:"proven"`
	Likely      int `json:"likely"`
	Unexplained int `json:"unexplained"`

	Alarms int `json:"false_alarms"` // recordings of right ops called wrong
	Failed int `json:"engine_failed"`
}

// add counts a member.
func (t *Tally) add(m Member) {
	t.Members++
	if !m.Truth.Shows() {
		return
	}
	t.Shown++
	for count, yes := range map[*int]bool{&t.Detected: m.Detected, &t.Op: m.Op, &t.Place: m.Place} {
		if yes {
			*count++
		}
	}
	for i, c := range m.Named {
		t.Causes++
		switch {
		case m.Right[i]:
			t.Right++
		case m.Equal[i]:
			t.Equal++
		}
		switch c.Status {
		case diagnose.Proven:
			t.Proven++
		case diagnose.Likely:
			t.Likely++
		default:
			t.Unexplained++
		}
	}
}

// mark counts a case.
func (t *Tally) mark(m *Mark) {
	t.Cases++
	t.Alarms += len(m.Alarms)
	if m.Answer.Failure != "" {
		t.Failed++
	}
	for _, member := range m.Members {
		t.add(member)
	}
}

// Row is what became of one fault planted alone.
type Row struct {
	Fault string `json:"fault"`
	Tap   string `json:"tap"`
	Tally
	// Hidden says on which prompts it does not show, and why.
	Hidden []Hidden `json:"hidden"`
	// Confused are the wrong causes named, most frequent first.
	Confused []string `json:"confused"`
}

// Hidden is a fault that a run could not show.
type Hidden struct {
	Fault string   `json:"fault"`
	With  []string `json:"with,omitempty"` // faults planted beside it
	Why   string   `json:"why"`
	On    []string `json:"prompts"`
}

// Results is the whole exam.
type Results struct {
	Seed    uint64         `json:"seed"`
	Scope   string         `json:"scope"` // which cases: all of them, or a part
	Kinds   map[Kind]Tally `json:"kinds"`
	Faults  []Row          `json:"faults"`
	Hidden  []Hidden       `json:"hidden_in_company"`
	Missed  []Miss         `json:"missed"`
	Wrong   []Miss         `json:"wrong_causes"`
	Alarms  []Miss         `json:"false_alarms"`
	Failed  []Miss         `json:"engine_failed"`
	Verdict []string       `json:"below_the_bar"` // empty when the bar is met
}

// Miss is something the harness got wrong.
type Miss struct {
	Case string `json:"case"`
	What string `json:"what"`
}

// Collect adds up marks. Singles become a row per fault, in the catalogue's
// order, which is the cases'.
func Collect(marks []Mark, seed uint64, scope string) *Results {
	r := &Results{Seed: seed, Scope: scope, Kinds: map[Kind]Tally{}, Faults: []Row{}, Hidden: []Hidden{},
		Missed: []Miss{}, Wrong: []Miss{}, Alarms: []Miss{}, Failed: []Miss{}, Verdict: []string{}}
	rows := map[string]int{}
	for i := range marks {
		m := &marks[i]
		t := r.Kinds[m.Case.Kind]
		t.mark(m)
		r.Kinds[m.Case.Kind] = t
		r.note(m)
		if m.Case.Kind != Single {
			continue
		}
		f := m.Case.Faults[0]
		at, known := rows[f.Name]
		if !known {
			at = len(r.Faults)
			rows[f.Name] = at
			r.Faults = append(r.Faults, Row{Fault: f.Name, Tap: f.Tap.String(), Hidden: []Hidden{}, Confused: []string{}})
		}
		r.Faults[at].mark(m)
	}
	r.Verdict = r.below()
	return r
}

// mark counts a case of the row's fault.
func (row *Row) mark(m *Mark) {
	row.Tally.mark(m)
	member := m.Members[0]
	if !member.Truth.Shows() {
		why := member.Truth.Why
		i := slices.IndexFunc(row.Hidden, func(h Hidden) bool { return h.Why == why })
		if i < 0 {
			i = len(row.Hidden)
			row.Hidden = append(row.Hidden, Hidden{Fault: member.Fault, Why: why})
		}
		row.Hidden[i].On = append(row.Hidden[i].On, m.Case.Setting.Prompt)
	}
	for i, c := range member.Named {
		if text := c.Tap + ": " + c.ID; !member.Right[i] && !member.Equal[i] && !slices.Contains(row.Confused, text) {
			row.Confused = append(row.Confused, text)
		}
	}
}

// Flaws says what went wrong in a case, one sentence each.
func (m *Mark) Flaws() []string {
	var r Results
	r.note(m)
	var out []string
	for _, list := range [][]Miss{r.Failed, r.Alarms, r.Missed, r.Wrong} {
		for _, miss := range list {
			out = append(out, miss.Case+": "+miss.What)
		}
	}
	return out
}

// note lists what went wrong in a case, and what could not show.
func (r *Results) note(m *Mark) {
	name := m.Case.String()
	miss := func(list *[]Miss, format string, args ...any) {
		*list = append(*list, Miss{name, fmt.Sprintf(format, args...)})
	}
	if m.Answer.Failure != "" {
		miss(&r.Failed, "%s", m.Answer.Failure)
	}
	if len(m.Alarms) > 0 {
		miss(&r.Alarms, "%d recordings, first %s", len(m.Alarms), m.Alarms[0])
	}
	for _, member := range m.Members {
		switch {
		case !member.Truth.Shows() && len(m.Members) > 1:
			var company []string
			for _, other := range m.Members {
				if other.Fault != member.Fault {
					company = append(company, other.Fault)
				}
			}
			r.Hidden = append(r.Hidden, Hidden{member.Fault, company, member.Truth.Why, []string{m.Case.Setting.Prompt}})
		case !member.Truth.Shows():
		case !member.Op || !member.Place:
			first := "nothing"
			if len(member.Missed) > 0 {
				first = member.Missed[0].String()
			}
			miss(&r.Missed, "%s starts at %s and makes %d recordings wrong; %d are not called wrong, first %s; first divergence %s of %v",
				member.Fault, member.Truth.Must[0], len(member.Truth.Must), len(member.Missed), first, m.Answer.First, m.Answer.Wrong)
		}
		for i, c := range member.Named {
			if !member.Right[i] && !member.Equal[i] {
				miss(&r.Wrong, "%s at %s: named %s (%s)", member.Fault, c.Tap, c.ID, c.Status)
			}
		}
	}
}

// The bar: what the harness must reach.
const causesWanted = 0.95

// below says in what the results stay below the bar.
func (r *Results) below() []string {
	list := []string{}
	var all Tally
	for kind, t := range r.Kinds {
		all.Causes, all.Right = all.Causes+t.Causes, all.Right+t.Right+t.Equal
		if t.Failed > 0 {
			list = append(list, fmt.Sprintf("%s: the engine failed in %d of %d runs", kind, t.Failed, t.Cases))
		}
		if t.Detected < t.Shown || t.Op < t.Shown || t.Place < t.Shown {
			list = append(list, fmt.Sprintf("%s: of %d faults that show, %d detected, %d at the right op, %d in the right place; all are wanted",
				kind, t.Shown, t.Detected, t.Op, t.Place))
		}
		if t.Alarms > 0 {
			list = append(list, fmt.Sprintf("%s: %d recordings of right ops called wrong; none is wanted", kind, t.Alarms))
		}
	}
	if !(float64(all.Right) >= causesWanted*float64(all.Causes)) {
		list = append(list, fmt.Sprintf("%d of %d causes named right; %.0f %% are wanted", all.Right, all.Causes, 100*causesWanted))
	}
	slices.Sort(list)
	return list
}
