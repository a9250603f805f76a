package ltsconf

import (
	"fmt"
	"sort"
	"strings"
)

// A SyntaxError is a place where getltscfg would stop reading: it keeps what it read before, drops
// the rest, and reports success.
type SyntaxError struct {
	File         string
	Line, Column int    // from 1; columns are bytes
	Msg          string // what is wrong, and what would be right
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Msg)
}

// SyntaxErrors are the errors of one file in the order of its lines, at least one.
type SyntaxErrors []*SyntaxError

func (e SyntaxErrors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find the first one.
func (e SyntaxErrors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, err := range e {
		errs[i] = err
	}
	return errs
}

// A fault is what is wrong at an offset of the text.
type fault struct {
	offset  int
	msg     string
	notUnix bool // white space that getltscfg takes for a word, as files with DOS line ends hold
}

func (f *File) syntaxErrors(faults []fault) SyntaxErrors {
	sort.SliceStable(faults, func(i, j int) bool { return faults[i].offset < faults[j].offset })
	errs := make(SyntaxErrors, len(faults))
	for i, fault := range faults {
		file, line, column := f.position(fault.offset)
		errs[i] = &SyntaxError{File: file, Line: line, Column: column, Msg: fault.msg}
	}
	return errs
}
