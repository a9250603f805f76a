package main

import (
	"errors"
	"fmt"
	"strings"

	"ltskeeper/internal/remedy"
	"ltskeeper/keeper"
)

// explainError is an error in words, with what to do about it. Errors that were joined have their
// own lines and remedies.
func (t *tool) explainError(err error) string {
	if joined, is := err.(interface{ Unwrap() []error }); is && errors.Join(joined.Unwrap()...).Error() == err.Error() {
		var lines []string
		for _, e := range joined.Unwrap() {
			lines = append(lines, t.explainError(e))
		}
		return strings.Join(lines, "\n")
	}
	return t.withRemedies(err.Error(), remedy.FindIn(err))
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
	switch r := r.(type) {
	case remedy.Command:
		return "run " + t.commandLine("", r...)
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
var manyTables = map[string]bool{"chroot": true, "client": true}

// describeSettings is in words how to change settings, which are in the same place and have these
// names.
func describeSettings(s remedy.Setting, names string) string {
	in := "[" + s.Section + "]"
	if manyTables[s.Section] {
		in = "[" + in + "]"
		if s.Name == "" {
			in = "its " + in
		}
	}
	if s.Name != "" {
		in += " " + s.Name
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
