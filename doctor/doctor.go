// Package doctor looks at a farm and the machine that serves it for what commonly goes wrong, and
// says of each thing what it is, why it matters, and what to do next.
//
//	report, err := doctor.Examine(ctx, "/etc/ltskeeper/ltskeeper.toml", nil)
//
// It only looks: it takes no lock, writes nothing, and does what it can with a declaration that is
// broken and without being root. What it could not see is in the report. It asks every server once,
// all at the same time, and the name servers that this machine asks; all of that is bounded in
// time.
//
// Facts are gathered first (facts.go): they take time or ask others. Then each check of the table
// in checks.go, which docs/doctor.md follows, goes from facts to findings. Checks are in the files
// check_*.go, with what only they need. They change no fact, so that their order decides about the
// order of findings alone.
package doctor

import (
	"context"
	"slices"
	"time"

	"ltskeeper/internal/host"
)

// A Report is all that was found, what matters most first.
type Report struct {
	Findings []Finding     `json:"findings"`
	Servers  int           `json:"servers"` // that were looked at
	Chroots  int           `json:"chroots"`
	Machine  bool          `json:"machine"`          // whether this machine was looked at
	Unseen   []string      `json:"unseen,omitempty"` // what could not be looked at, and why, a sentence each
	Duration time.Duration `json:"duration_ns"`
}

// CountProblems counts the findings that are problems.
func (r *Report) CountProblems() int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == Problem {
			n++
		}
	}
	return n
}

// Examine looks at the farm that is declared in the file at path: at the servers and chroots that
// are named, or at all of it and the machine if none is. A name that is not declared is a
// *farm.UnknownError; the only other errors are that ctx ended, and that a folder of the farm's own
// is on a file system that does not answer.
func Examine(ctx context.Context, path string, names []string) (*Report, error) {
	return examineOn(ctx, host.This(), path, names)
}

func examineOn(ctx context.Context, m *host.Machine, path string, names []string) (*Report, error) {
	began := time.Now()
	f, err := gatherFacts(ctx, path, names, m)
	if err != nil {
		return nil, err
	}
	r := &Report{Servers: len(f.servers), Chroots: len(f.chroots), Machine: len(names) == 0}
	r.Findings, r.Unseen = f.runChecks()
	if len(names) > 0 {
		r.Findings = slices.DeleteFunc(r.Findings, func(x Finding) bool {
			return x.Kind != Declaration && !slices.Contains(f.only, x.Subject)
		})
	}
	r.Duration = time.Since(began)
	return r, ctx.Err()
}

// runChecks runs every check, and puts what they find in order. What could not be seen is told
// once.
func (f *facts) runChecks() (found []Finding, unseen []string) {
	var advice []Finding
	all := slices.Clone(f.unseen)
	for _, c := range checks {
		r := &results{check: c}
		c.find(f, r)
		for _, x := range r.findings {
			if x.Severity == Problem {
				found = append(found, *x)
			} else {
				advice = append(advice, *x)
			}
		}
		all = append(all, r.unseen...)
	}
	for _, sentence := range all {
		if !slices.Contains(unseen, sentence) {
			unseen = append(unseen, sentence)
		}
	}
	return append(found, advice...), unseen
}
