package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"ltskeeper/farm"
	"ltskeeper/internal/remedy"
	"ltskeeper/keeper"
	"ltskeeper/ltsconf"
)

// explainError is an error in words, with what to do about it. Errors that were joined have their
// own lines and remedies.
func (t *tool) explainError(err error) string {
	if parts := splitError(err); parts != nil {
		return strings.Join(t.explainErrors(parts), "\n")
	}
	return t.withRemedies(err.Error(), remedy.FindIn(err))
}

// joinedType is the type of what errors.Join returns.
var joinedType = reflect.TypeOf(errors.Join(errors.ErrUnsupported))

// splitError returns the errors that were joined to err, or nil. What fmt.Errorf wraps is one
// sentence.
func splitError(err error) []error {
	switch e := err.(type) {
	case farm.Mistakes:
		return e.Unwrap()
	case ltsconf.SyntaxErrors:
		return e.Unwrap()
	case interface{ Unwrap() []error }:
		if reflect.TypeOf(err) == joinedType {
			return e.Unwrap()
		}
	}
	return nil
}

// explainErrors is errors in words, with what to do about each.
func (t *tool) explainErrors(errs []error) []string {
	var sentences []string
	for _, err := range errs {
		sentences = append(sentences, t.explainError(err))
	}
	return sentences
}

// withRemedies is a sentence and what to do about it, if there is something. After several lines
// that is a line of its own.
func (t *tool) withRemedies(sentence string, remedies []remedy.Remedy) string {
	if len(remedies) == 0 {
		return sentence
	}
	separator := "; "
	if strings.Contains(sentence, "\n") {
		separator = "\n"
	}
	return sentence + separator + t.describeRemedies(remedies)
}

// explainImages says in each problem of an image what to do about it. The list is never nil.
func (t *tool) explainImages(images []keeper.ImageStatus) []keeper.ImageStatus {
	for i, s := range images {
		images[i].Problem = t.withRemedies(s.Problem, s.Remedies)
	}
	return notNil(images)
}

// describeRemedies is remedies in words, of which each will do.
func (t *tool) describeRemedies(remedies []remedy.Remedy) string {
	var b strings.Builder
	for i, r := range remedies {
		switch {
		case i == 0:
		case isCondition(r):
			b.WriteString("; ")
		case isCondition(remedies[i-1]):
			b.WriteString("; otherwise ")
		default:
			b.WriteString(", or ")
		}
		b.WriteString(t.describeRemedy(r))
	}
	return b.String()
}

func isCondition(r remedy.Remedy) bool {
	_, is := r.(remedy.If)
	return is
}

// describeRemedy is one remedy in words: a clause in the imperative.
func (t *tool) describeRemedy(r remedy.Remedy) string {
	if line, is := t.remedyLine(r); is {
		return "run " + line
	}
	switch r := r.(type) {
	case remedy.Setting:
		return describeSettings(r, r.Key)
	case remedy.Option:
		return "add --" + string(r)
	case remedy.Advice:
		return string(r)
	case remedy.Steps:
		return t.describeSteps(r)
	case remedy.If:
		return "if " + r.Condition + ", " + t.describeRemedy(r.Then)
	}
	panic(fmt.Sprintf("no words for %T", r))
}

// remedyLine is the line to type for a remedy that is one. What is for another machine is a
// comment: who pastes all that is printed into this machine's shell must not lose this machine's
// keys.
func (t *tool) remedyLine(r remedy.Remedy) (line string, is bool) {
	switch r := r.(type) {
	case remedy.Command:
		return t.commandLine("", r...), true
	case remedy.Program:
		return quoteWords(r...), true
	case remedy.Shell:
		return string(r), true
	case remedy.CronJob:
		program, err := os.Executable() // cron looks for programs in fewer places than a person does
		if err != nil {
			program = "ltskeeper"
		}
		config, err := filepath.Abs(t.config)
		if err != nil {
			config = t.config
		}
		return cronCommand(r, program, config), true
	case remedy.Elsewhere:
		line, is = t.remedyLine(r.Do)
		return "# on " + r.On + ": " + line, is
	}
	return "", false
}

// cronCommand is the command that makes a job for cron.
func cronCommand(job remedy.CronJob, program, config string) string {
	line := job.Schedule + "  root  " + quoteWords(append([]string{program, "--config", config}, job.Do...)...)
	return "echo " + quoteWords(line) + " >" + quoteWords(job.File)
}

// describeSteps is steps in words. Settings that are to be changed in the same way are one of them.
func (t *tool) describeSteps(steps remedy.Steps) string {
	var clauses []string
	for i := 0; i < len(steps); i++ {
		first, is := steps[i].(remedy.Setting)
		if !is {
			clauses = append(clauses, t.describeRemedy(steps[i]))
			continue
		}
		names := []string{first.Key}
		for ; i+1 < len(steps); i++ {
			next, is := steps[i+1].(remedy.Setting)
			alike := next
			alike.Key = first.Key
			if !is || alike != first {
				break
			}
			names = append(names, next.Key)
		}
		clauses = append(clauses, describeSettings(first, strings.Join(names, " and ")))
	}
	return strings.Join(clauses, ", then ")
}

// manyTables are the sections of which the declaration may hold several.
var manyTables = map[string]bool{"chroot": true, "client": true, "alias": true}

// describeSettings is in words how to change settings, which are in the same place and have these
// names.
func describeSettings(s remedy.Setting, names string) string {
	var in string
	switch {
	case s.Section == "":
	case !manyTables[s.Section]:
		in = "[" + s.Section + "]"
	case s.Name != "":
		in = "[[" + s.Section + "]] " + s.Name
	case s.Section == "alias": // there is none yet
		in = "a new [[alias]]"
	default:
		in = "its [[" + s.Section + "]]"
	}
	switch {
	case in == "":
		in = s.File
	case s.File != "":
		in += " of " + s.File
	}
	switch {
	case s.Value != "":
		return fmt.Sprintf("write %s = %s in %s", names, s.Value, in)
	case s.Add != "":
		return fmt.Sprintf("add %s to %s in %s", s.Add, names, in)
	case s.Remove != "":
		return fmt.Sprintf("remove %s from %s in %s", s.Remove, names, in)
	}
	return fmt.Sprintf("set %s in %s %s", names, in, s.Change)
}
