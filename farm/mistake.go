package farm

import (
	"errors"
	"fmt"
	"strings"

	"ltskeeper/internal/remedy"
)

// A Mistake is one thing that is wrong with a declaration.
type Mistake struct {
	File     string
	Line     int             // from 1; 0 if the mistake is the file as a whole
	Column   int             // in bytes, from 1; 0 if the mistake is the line as a whole
	Key      string          // the key's path, like collect.timeout; may be empty
	Msg      string          // what is wrong
	Remedies []remedy.Remedy // what would be right; each of them will do
	Syntax   bool            // the file is not TOML, and nothing in it can be read
}

// Error returns the mistake as one line without its remedies: "file:line:column: key: what is
// wrong". Parts that are not known are left out.
func (m Mistake) Error() string {
	var b strings.Builder
	b.WriteString(strings.ReplaceAll(m.File, "\n", `\n`)) // its name may be anything
	if m.Line > 0 {
		fmt.Fprintf(&b, ":%d", m.Line)
		if m.Column > 0 {
			fmt.Fprintf(&b, ":%d", m.Column)
		}
	}
	if m.Key != "" {
		b.WriteString(": " + m.Key)
	}
	b.WriteString(": " + m.Msg)
	return b.String()
}

// Unwrap returns an error that has the remedies attached.
func (m Mistake) Unwrap() error { return remedy.AttachTo(errors.New(m.Msg), m.Remedies...) }

// Mistakes is everything that is wrong with a declaration, by file and line. It is the error that
// Load returns.
type Mistakes []Mistake

// Error returns a line for each mistake.
func (ms Mistakes) Error() string {
	lines := make([]string, len(ms))
	for i, m := range ms {
		lines[i] = m.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the mistakes.
func (ms Mistakes) Unwrap() []error {
	errs := make([]error, len(ms))
	for i, m := range ms {
		errs[i] = m
	}
	return errs
}
