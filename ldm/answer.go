package ldm

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// MaxEncoded is the size limit of what Encode returns, in bytes: LDM's greeter reads an answer into
// a buffer of 4,096.
const MaxEncoded = 4095

// Unrated is the rating of an answer without a valid one.
const Unrated = -1

// An Answer is what a server says about itself.
type Answer struct {
	Rating   int  // 0 (full) to 100 (idle), or Unrated
	Draining bool // it takes no new logins, because it will be taken out of service
	Logins   int  // number of sessions on it; -1 if it does not say
	Capacity int  // sessions it is meant for; 0 if it does not say
	// Time is its clock, to the second, when it made the answer, which it may repeat for a second;
	// zero if it does not say.
	Time      time.Time
	XSession  string // the script that starts a session, like /etc/X11/Xsession
	Guests    bool   // it has accounts for guests
	Sessions  []Session
	Languages []string // locales, like en_US.UTF-8
}

// A Session is a desktop that a user can choose.
type Session struct {
	Name    string // for people; empty in the older lines, which only have a command
	Command string
}

// Parse reads an answer. As the greeter does, it ignores lines that it does not know. It also
// ignores lines with anything but printable UTF-8, and takes the last of several ratings. A rating
// that is not a number from 0 to 100 does not count.
func Parse(text []byte) Answer {
	a := Answer{Rating: Unrated, Logins: -1}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n")
		key, value, found := strings.Cut(line, ":")
		if !found || value == "" || !IsPrintable(line) {
			if key == "rating" {
				a.Rating = Unrated
			}
			continue
		}
		switch key {
		case "rating":
			a.Rating = parseNumber(value, 0, 100, Unrated)
		case "state":
			a.Draining = value == "draining"
		case "logins":
			a.Logins = parseNumber(value, 0, maxCount, -1)
		case "capacity":
			a.Capacity = parseNumber(value, 1, maxCount, 0)
		case "time":
			a.Time = parseTime(value)
		case "xsession":
			a.XSession = value
		case "allow-guest":
			a.Guests = value == "true"
		case "session":
			a.Sessions = append(a.Sessions, Session{Command: value})
		case "session-with-name":
			if name, command, found := strings.Cut(value, ":"); found && name != "" && command != "" {
				a.Sessions = append(a.Sessions, Session{name, command})
			}
		case "language":
			a.Languages = append(a.Languages, value)
		}
	}
	return a
}

// maxCount bounds counts that are shown to people.
const maxCount = 999_999

// parseNumber returns a decimal number from low to high, or otherwise if s is not one.
func parseNumber(s string, low, high, otherwise int) int {
	n, err := strconv.ParseUint(strings.Trim(s, " "), 10, 31)
	if err != nil || int(n) < low || int(n) > high {
		return otherwise
	}
	return int(n)
}

// parseTime returns a time up to the year 9999, in seconds since 1970, or zero if s is not one.
func parseTime(s string) time.Time {
	const last = 253402300799
	n, err := strconv.ParseInt(strings.Trim(s, " "), 10, 64)
	if err != nil || n <= 0 || n > last {
		return time.Time{}
	}
	return time.Unix(n, 0)
}

// IsPrintable reports whether a text is UTF-8 without control characters.
func IsPrintable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// Encode returns the answer's lines, the most needed first, and the number of lines that were left
// out: those that do not fit into MaxEncoded bytes, and those that Parse would not return. LDM's
// own greeter ignores the lines state, logins, capacity and time.
func (a Answer) Encode() (text []byte, left int) {
	line := func(parts ...string) {
		s := strings.Join(parts, ":")
		if !IsPrintable(s) || len(text)+len(s)+1 > MaxEncoded {
			left++
			return
		}
		text = append(append(text, s...), '\n')
	}
	if a.Rating >= 0 {
		line("rating", strconv.Itoa(a.Rating))
	}
	if a.Draining {
		line("state", "draining")
	}
	if a.Logins >= 0 {
		line("logins", strconv.Itoa(a.Logins))
	}
	if a.Capacity > 0 {
		line("capacity", strconv.Itoa(a.Capacity))
	}
	if !a.Time.IsZero() {
		line("time", strconv.FormatInt(a.Time.Unix(), 10))
	}
	if a.XSession != "" {
		line("xsession", a.XSession)
	}
	if a.Guests {
		line("allow-guest", "true")
	}
	for _, s := range a.Sessions {
		if s.Name == "" {
			line("session", s.Command)
		} else {
			line("session-with-name", strings.ReplaceAll(s.Name, ":", " "), s.Command)
		}
	}
	for _, language := range a.Languages {
		line("language", language)
	}
	return text, left
}
