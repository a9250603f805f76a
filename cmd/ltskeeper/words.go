package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// unquoted is the characters that mean nothing to a shell.
const unquoted = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./:+=,@%"

// isPlainWord reports whether a shell takes every character of a word as it is.
func isPlainWord(word string) bool { return strings.Trim(word, unquoted) == "" }

// quoteWord quotes a word for a shell, if that is necessary.
func quoteWord(word string) string {
	if word != "" && isPlainWord(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// quoteWords joins words to a line for a shell, which takes each as it is.
func quoteWords(words ...string) string {
	var quoted []string
	for _, w := range words {
		quoted = append(quoted, quoteWord(w))
	}
	return strings.Join(quoted, " ")
}

// makeVisible escapes, as Go does, whatever is not printable ASCII. A tab becomes a blank.
func makeVisible(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\t':
			b.WriteByte(' ')
		case r >= ' ' && r <= '~':
			b.WriteByte(byte(r))
		case r == utf8.RuneError && s[i] != "\uFFFD"[0]:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}

// formatSize returns a number of bytes in units of a thousand: "598 MB".
func formatSize(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f, units := float64(n), "kMGTPE"
	for f /= 1000; f >= 999.5 && len(units) > 1; f /= 1000 {
		units = units[1:]
	}
	if f < 9.95 {
		return fmt.Sprintf("%.1f %cB", f, units[0])
	}
	return fmt.Sprintf("%.0f %cB", f, units[0])
}

// countNoun returns a number and its noun: "1 server", "34,913 entries".
func countNoun(n int, one, many string) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if n == 1 {
		return digits + " " + one
	}
	return digits + " " + many
}

// formatAge says how long ago something was: "2 days ago".
func formatAge(now, then time.Time) string {
	d := now.Sub(then)
	switch {
	case d < -time.Minute:
		return "in the future" // the clock was wrong then, or is now
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", d/time.Hour)
	}
	return fmt.Sprintf("%d days ago", d/(24*time.Hour))
}

// formatTime returns a time on this machine's clock, to the minute.
func formatTime(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

// formatDuration returns a duration: "4.2 s".
func formatDuration(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// mapEach returns what becomes of each in a list; nil for an empty one.
func mapEach[T, R any](list []T, become func(T) R) (all []R) {
	for _, each := range list {
		all = append(all, become(each))
	}
	return all
}

// countIf returns how many in a list are so.
func countIf[T any](list []T, isSo func(T) bool) (n int) {
	for _, each := range list {
		if isSo(each) {
			n++
		}
	}
	return n
}

// joinWords joins words as a sentence does: "a, b or c".
func joinWords(words []string, last string) string {
	n := len(words) - 1
	if n < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:n], ", ") + " " + last + " " + words[n]
}

func oneOf(words []string) string { return joinWords(words, "or") }

func allOf(words []string) string { return joinWords(words, "and") }
