// Package doctor looks at a farm and the machine that serves it for what commonly goes wrong, and
// says of each thing what it is, why it matters, and what to do next.
//
//	report, err := doctor.Examine(ctx, "/etc/ltskeeper/ltskeeper.toml", nil)
//
// It only looks: it takes no lock, writes nothing, and works as far as it can with a declaration
// that is broken and without being root. What it could not see stands in the report. It asks every
// server once, all at the same time, and the name servers that this machine asks; all of that is
// bounded in time.
//
// A check is a small function from facts to findings, in a file with its family, and an entry of
// the table in checks.go, which docs/doctor.md follows. What takes time or asks others is gathered
// before (facts.go); small files a check reads itself, through package host.
package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"ltskeeper/farm"
	"ltskeeper/internal/host"
)

// A Severity says whether a person has to do something.
type Severity string

const (
	Problem Severity = "problem" // something does not work, or will not, or is not safe
	Advice  Severity = "advice"  // it works, and could fail later, or is not as it is meant
)

// A Kind says what a finding's subject is.
type Kind string

const (
	Declaration Kind = "declaration"
	Server      Kind = "server"
	Chroot      Kind = "chroot"
	Machine     Kind = "machine" // the primary, or something on it
)

// A Finding is one thing that is not as it should be.
type Finding struct {
	Check    string   `json:"check"`           // its name, as docs/doctor.md has it
	Cause    string   `json:"cause,omitempty"` // a word, where the check knows several
	Severity Severity `json:"severity"`
	Kind     Kind     `json:"kind"`
	Subject  string   `json:"subject"` // the server's or chroot's name, a file, or "this machine"
	Message  string   `json:"message"` // what is wrong, a sentence
	Why      string   `json:"why"`     // why it matters, a sentence
	Fix      string   `json:"fix"`     // what to do next, a sentence
	// to type for that, in this order; what is for another machine is a comment
	Commands []string `json:"commands,omitempty"`
}

// A Report is all that was found, what matters most first.
type Report struct {
	Findings []Finding     `json:"findings"`
	Servers  int           `json:"servers"` // that were looked at
	Chroots  int           `json:"chroots"`
	Machine  bool          `json:"machine"`          // whether this machine was looked at
	Unseen   []string      `json:"unseen,omitempty"` // what could not be looked at, and why, a sentence each
	Duration time.Duration `json:"duration_ns"`
}

// Problems is how many findings are problems.
func (r *Report) Problems() int {
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
	return examine(ctx, path, names, host.This())
}

func examine(ctx context.Context, path string, names []string, m *host.Machine) (*Report, error) {
	began := time.Now()
	f, err := gather(ctx, path, names, m)
	if err != nil {
		return nil, err
	}
	r := &Report{Findings: f.findings(), Servers: len(f.servers), Chroots: len(f.chroots), Machine: len(names) == 0}
	r.Findings = slices.DeleteFunc(r.Findings, func(x Finding) bool {
		return len(names) > 0 && x.Kind != Declaration && !slices.Contains(f.only, x.Subject)
	})
	r.Unseen = f.unseen
	r.Duration = time.Since(began)
	return r, ctx.Err()
}

// findings runs every check, and puts what they find in order.
func (f *facts) findings() []Finding {
	found := []Finding{}
	weight := map[string]int{}
	for i, c := range checks {
		weight[c.id] = i
		for _, x := range c.look(f) {
			x.Check = c.id
			x.Severity, x.Why = cmp.Or(x.Severity, c.severity), cmp.Or(x.Why, c.why)
			found = append(found, x)
		}
	}
	slices.SortStableFunc(found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(weight[a.Check], weight[b.Check]))
	})
	return found
}

// chosen is what the names on the command line mean.
func chosen(f *farm.Farm, names []string) (servers []farm.Server, chroots []farm.Chroot, err error) {
	if len(names) == 0 {
		return f.Servers, f.Chroots, nil
	}
	known := append(f.ServerNames(), f.ChrootNames()...)
	for _, name := range names {
		s, noServer := f.FindServer(name)
		c, noChroot := f.FindChroot(name)
		if noServer != nil && noChroot != nil {
			return nil, nil, farm.NewUnknownError("server or chroot", name, known)
		}
		if noServer == nil {
			servers = append(servers, s)
		}
		if noChroot == nil {
			chroots = append(chroots, c)
		}
	}
	return servers, chroots, nil
}

// couldNotSee notes what stayed hidden, once.
func (f *facts) couldNotSee(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); !slices.Contains(f.unseen, s) {
		f.unseen = append(f.unseen, s)
	}
}
