// Package ltsconf reads, edits and judges lts.conf, the configuration file of LTSP 5 clients.
//
// The judge of the format is getltscfg, the program that runs on the clients: this package takes what it takes, and
// reads it the same way. Parse keeps every byte; Set and Delete change one setting in place and nothing else; Lookup
// says what a client sees, and from which line; Check lists what getltscfg, or the shell that evaluates its output
// as root, would reject, drop or take for something else.
//
//	f, err := ltsconf.Parse("lts.conf", src)
//	err = f.Set("default", "LDM_SERVER", "app01 app02")
//	os.WriteFile("lts.conf", f.Bytes(), 0o644)
//
// It opens no file and knows no setting's meaning, but for LIKE, include, NONE, and the one space between the names in
// LDM_SERVER. It does not touch ltsp.conf, the file of LTSP since 2019, which is another format.
package ltsconf

import (
	"errors"
	"fmt"
	"strings"
)

// A File is a parsed lts.conf. Its methods are not safe for use at the same time as Set or Delete.
type File struct {
	name string
	src  []byte
}

// Parse reads an lts.conf that getltscfg reads to its end. The name is used in errors only. The error is a
// SyntaxErrors: each place where getltscfg would stop, if the ones before it were mended.
//
// What getltscfg reads, but not as its author meant it, is no error here: Check finds that.
func Parse(name string, src []byte) (*File, error) {
	return nil, errors.ErrUnsupported
}

// Bytes returns the file's text: what was parsed, but for what Set and Delete changed.
func (f *File) Bytes() []byte { return f.src }

// Get returns a section's value of a key as the file has it, also if that is NONE. As for getltscfg, neither name's
// case matters, the first section of that name counts, and the last of equal keys in it.
func (f *File) Get(section, key string) (value string, ok bool) { return "", false }

// Set gives a key of a section a value, and leaves every other byte as it was. It changes the setting that counts (see
// Get); without one, it adds a line after the section's last setting; without the section, it adds that at the end.
//
// The error says what is wrong with the section, key or value (see CheckSection, CheckKey and CheckValue), or that the
// line to be changed cannot be, because of a stray quote in it. The file is then as it was.
func (f *File) Set(section, key, value string) error { return errors.ErrUnsupported }

// Delete removes every setting of a key from the section that counts; a section left without a setting goes with it,
// because getltscfg rejects one. Deleting what is not there is no error.
func (f *File) Delete(section, key string) error { return errors.ErrUnsupported }

// Identity is what a client knows about itself. getltscfg takes the address and the MAC of the first interface that
// is up, the MAC in lower case with colons. An empty field matches nothing.
type Identity struct{ Hostname, IP, MAC string }

// A Setting is one that a client sees, and where it comes from.
type Setting struct {
	Key     string // in upper case, as getltscfg prints it
	Value   string
	Section string // as it stands in the file
	File    string
	Line    int // from 1
}

// Lookup returns what a client sees, in the order in which getltscfg prints it: the settings of weaker sections first.
// Files named in include lines are not part of it: see Expand.
func (f *File) Lookup(id Identity) []Setting { return nil }

// Expand returns the text that a client's getltscfg really reads if the file includes others, for Lookup. Without an
// include line that is the file itself.
func (f *File) Expand(readFile func(path string) ([]byte, error)) (*File, error) { return f, nil }

// CheckKey says why Set would refuse a key: one must be a shell's variable name.
func CheckKey(key string) error { return nil }

// CheckValue says why Set would refuse a value: clients hand it to a shell in double quotes, so it may hold no double
// quote, dollar sign, backquote, backslash or control character.
func CheckValue(value string) error { return nil }

// CheckSection says why Set would refuse to add a section of that name.
func CheckSection(name string) error { return nil }

// A SyntaxError is a place where getltscfg would stop reading.
type SyntaxError struct {
	File         string
	Line, Column int // from 1; columns are bytes
	Msg          string
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

// Severity says what becomes of a Problem.
type Severity int

const (
	Warning Severity = iota // clients read the file as it stands, but it may not say what was meant
	Error                   // clients lose settings, hang, or run text of the file as code
)

func (s Severity) String() string {
	if s == Error {
		return "error"
	}
	return "warning"
}

// A Problem is what Check found at a place.
type Problem struct {
	File         string
	Line, Column int // from 1; columns are bytes
	Severity     Severity
	Msg          string
}

func (p Problem) String() string {
	return fmt.Sprintf("%s:%d:%d: %s: %s", p.File, p.Line, p.Column, p.Severity, p.Msg)
}

// Check returns every problem of a file and of those that it includes, in the order of lines. A file with a Problem
// of severity Error is not one to give to clients. readFile opens included files by the path that stands in the file,
// which is one on the client; if it is nil, they are left unread.
func Check(name string, src []byte, readFile func(path string) ([]byte, error)) []Problem { return nil }
