// Package remedy holds what a person can do about an error or a finding, as data: a command, a
// setting, an option, a command of another program. Packages that find something wrong attach
// remedies to it. Only faces, such as cmd/ltskeeper, turn them into words: they know how the
// program was called, and a web page shows a link or a button instead.
package remedy

import (
	"errors"
	"reflect"
	"slices"
)

// A Remedy is one thing to do: a Command, a Setting, an Option or an Advice, a Program, a Shell or
// a CronJob, one of these Elsewhere, several of them as Steps, or one of them If.
type Remedy interface{ isRemedy() }

// A Command is a command of ltskeeper with its arguments, without the program's name: {"image",
// "prune"}. Words in capitals stand for what the person has to fill in.
type Command []string

// A Setting is a change to a setting of the declaration.
type Setting struct {
	File    string // the file it is in; "" for the declaration's own
	Section string // the table it is in: "image"; "" if it is in none
	Name    string // the table's name, if there may be several, as of chroots; "" for the one in question
	Key     string

	// One of these says what to do with it.
	Value  string // set it to this, in TOML
	Add    string // add this to the list that it is, in TOML, or in words: "the mount"
	Remove string // remove this from the list that it is, in TOML
	Change string // how to set it, as an adverb: "lower"
}

// An Option is an option of the command that was run, without the dashes: "force".
type Option string

// An Advice is anything else to do: a clause in the imperative, which names no command, option or
// setting of ltskeeper.
type Advice string

// A Program is a command of another program with its arguments: {"chmod", "go-w",
// "/etc/ltskeeper"}.
type Program []string

// A Shell is a line for a shell that is the same on every farm: nothing in it is from a file or a
// server.
type Shell string

// A CronJob is a job for cron, in a file of its own.
type CronJob struct {
	File     string // "/etc/cron.d/ltskeeper"
	Schedule string // crontab(5): "17 3 * * *"
	Do       Command
}

// An Elsewhere is something to do on another machine.
type Elsewhere struct {
	On string // its name, or a description: "the machine of its CA"
	Do Remedy
}

// Steps are done one after another.
type Steps []Remedy

// An If is a remedy under a condition, which is a clause without the word "if": "the tree is
// complete".
type If struct {
	Condition string
	Then      Remedy
}

func (Command) isRemedy()   {}
func (Setting) isRemedy()   {}
func (Option) isRemedy()    {}
func (Advice) isRemedy()    {}
func (Program) isRemedy()   {}
func (Shell) isRemedy()     {}
func (CronJob) isRemedy()   {}
func (Elsewhere) isRemedy() {}
func (Steps) isRemedy()     {}
func (If) isRemedy()        {}

// An Error is an error that a person can do something about. Its text is that of its cause alone.
// The face that shows it to the person says the remedies, each of which will do.
type Error struct {
	Cause    error
	Remedies []Remedy
}

func (e *Error) Error() string { return e.Cause.Error() }
func (e *Error) Unwrap() error { return e.Cause }

// AttachTo returns err with remedies, each of which will do. It returns nil if err is nil.
func AttachTo(err error, remedies ...Remedy) error {
	if err == nil {
		return nil
	}
	return &Error{err, remedies}
}

// FindIn returns all remedies of the errors that err wraps or joins, each once. Those of a cause
// come before those of what wraps it, since they are more specific.
func FindIn(err error) (found []Remedy) {
	add := func(list []Remedy) {
		for _, r := range list {
			if !slices.ContainsFunc(found, func(f Remedy) bool { return reflect.DeepEqual(f, r) }) {
				found = append(found, r)
			}
		}
	}
	switch e := err.(type) {
	case interface{ Unwrap() []error }:
		for _, cause := range e.Unwrap() {
			add(FindIn(cause))
		}
	default:
		if cause := errors.Unwrap(err); cause != nil {
			add(FindIn(cause))
		}
	}
	if e, is := err.(*Error); is {
		add(e.Remedies)
	}
	return found
}
