package doctor

import (
	"fmt"
	"strings"
	"time"

	"ltskeeper/internal/host"
	"ltskeeper/internal/remedy"
)

// A Severity says whether a person has to do something.
type Severity string

// The severities.
const (
	Problem Severity = "problem" // something does not work, or will not, or is not safe
	Advice  Severity = "advice"  // it works, and could fail later, or is not as it is meant
)

// A Kind says what a finding's subject is.
type Kind string

// The kinds of subjects.
const (
	Declaration Kind = "declaration"
	Server      Kind = "server"
	Chroot      Kind = "chroot"
	Machine     Kind = "machine" // this machine, or something on it
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

	// Remedies are what to do next: advice and settings, of which each will do, and then what to
	// type for that, in this order. Faces turn them into words.
	Remedies []remedy.Remedy `json:"-"`
}

// results collect what a check finds and what it could not see.
type results struct {
	check    check
	kind     Kind   // of the subject of what is found next
	subject  string // likewise
	findings []*Finding
	unseen   []string
}

// forEachServer makes a check of one that looks at one server.
func forEachServer(find func(*facts, *serverFacts, *results)) func(*facts, *results) {
	return func(f *facts, r *results) {
		for _, s := range f.servers {
			r.kind, r.subject = Server, s.Name
			find(f, s, r)
		}
	}
}

// forEachChroot makes a check of one that looks at one chroot.
func forEachChroot(find func(*facts, *root, *results)) func(*facts, *results) {
	return func(f *facts, r *results) {
		for _, c := range f.chroots {
			r.kind, r.subject = Chroot, c.Name
			find(f, c, r)
		}
	}
}

// forThisMachine makes a check of one that looks at this machine, or something on it.
func forThisMachine(find func(*facts, *results)) func(*facts, *results) {
	return func(f *facts, r *results) {
		r.kind, r.subject = Machine, "this machine"
		find(f, r)
	}
}

// find adds a finding about the subject that is looked at.
func (r *results) find(format string, args ...any) *Finding {
	f := &Finding{
		Check: r.check.name, Severity: r.check.severity, Kind: r.kind, Subject: r.subject,
		Message: fmt.Sprintf(format, args...), Why: r.check.why,
	}
	r.findings = append(r.findings, f)
	return f
}

// findAt adds a finding about something else.
func (r *results) findAt(kind Kind, subject, format string, args ...any) *Finding {
	f := r.find(format, args...)
	f.Kind, f.Subject = kind, subject
	return f
}

// fix says what to do about a finding: a clause in the imperative, further ones, of which each will
// do, and what to type.
func (f *Finding) fix(advice string, more ...remedy.Remedy) *Finding {
	return f.fixBy(append([]remedy.Remedy{remedy.Advice(advice)}, more...)...)
}

// fixBy is fix for what begins with something other than advice.
func (f *Finding) fixBy(remedies ...remedy.Remedy) *Finding {
	f.Remedies = remedies
	return f
}

// as gives a finding another severity than its check has.
func (f *Finding) as(s Severity) *Finding {
	f.Severity = s
	return f
}

// because gives a finding another reason to matter than its check has.
func (f *Finding) because(why string) *Finding {
	f.Why = why
	return f
}

// couldNotSee notes what stays hidden.
func (r *results) couldNotSee(format string, args ...any) {
	r.unseen = append(r.unseen, fmt.Sprintf(format, args...))
}

// readAll reads those files of the machine that match the patterns and can be read.
func (r *results) readAll(m *host.Machine, patterns ...string) []host.File {
	files, unread := m.ReadAll(patterns...)
	for _, err := range unread {
		r.couldNotSee("%v", err)
	}
	return files
}

// toSentence makes a sentence of the text of an error. It begins with a capital letter, unless with
// a path, or a name in lower case that has a mark in it.
func toSentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return s
	}
	first, _, _ := strings.Cut(s, " ")
	if c := s[0]; 'a' <= c && c <= 'z' && !strings.ContainsAny(first, "/._-0123456789") {
		s = string(c-'a'+'A') + s[1:]
	}
	if !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "?") {
		s += "."
	}
	return s
}

// describeSpan describes a duration for people.
func describeSpan(d time.Duration) string {
	switch d = d.Abs(); {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d seconds", d/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours", d/time.Hour)
	case d > 100*365*24*time.Hour: // a difference of times is cut off at 292 years
		return "more than 100 years"
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}

// describeMinute describes a time on this machine's clock, to the minute.
func describeMinute(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

// joinWords joins words as a sentence does: a, b and c.
func joinWords(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}
