package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// sentence begins with a capital letter, unless it begins with a path or a name in lower case that
// has a mark in it, and ends in a full stop, unless something follows.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return s
	}
	first, _, _ := strings.Cut(s, " ")
	if c := s[0]; 'a' <= c && c <= 'z' && !strings.ContainsAny(first, "/._-0123456789") {
		s = string(c-'a'+'A') + s[1:]
	}
	if !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "?") && !strings.HasSuffix(s, ":") {
		s += "."
	}
	return s
}

// span is a duration for people.
func span(d time.Duration) string {
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

// shell is a command to type, its arguments quoted where a shell would take them for something
// else: names of files may be anybody's.
func shell(format string, arguments ...string) string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./:+=,@%"
	quoted := make([]any, len(arguments))
	for i, a := range arguments {
		if strings.ContainsFunc(a, func(r rune) bool { return !strings.ContainsRune(plain, r) }) {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		quoted[i] = a
	}
	return fmt.Sprintf(format, quoted...)
}

// elsewhere is a command for another machine. Here it is a comment: who pastes all that is printed
// into this machine's shell must not lose this machine's keys.
func elsewhere(machine, command string) string { return "# on " + machine + ": " + command }

// stamp is a time on this machine's clock, to the minute.
func stamp(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

// list joins words as a sentence does: a, b and c.
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// once is words, each where it stands first.
func once(words []string) (kept []string) {
	for _, w := range words {
		if !slices.Contains(kept, w) {
			kept = append(kept, w)
		}
	}
	return kept
}
