package ltsconf

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
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

func (e SyntaxErrors) Error() string { return errors.Join(e.Unwrap()...).Error() }

// Unwrap returns all of them.
func (e SyntaxErrors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, err := range e {
		errs[i] = err
	}
	return errs
}

// A fault is something wrong at an offset of the text.
type fault struct {
	severity Severity
	offset   int
	msg      string
	notUnix  bool // white space that getltscfg takes for a word, as in files with DOS line ends
}

func sortFaults(faults []fault) {
	slices.SortStableFunc(faults, func(a, b fault) int { return cmp.Compare(a.offset, b.offset) })
}

func (f *File) explainFaults(faults []fault) SyntaxErrors {
	sortFaults(faults)
	errs := make(SyntaxErrors, len(faults))
	for i, fault := range faults {
		file, line, column := f.position(fault.offset)
		errs[i] = &SyntaxError{File: file, Line: line, Column: column, Msg: fault.msg}
	}
	return errs
}
