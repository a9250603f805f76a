package glob

import (
	"errors"
	"fmt"
	"strings"
)

// A Set is a set of bytes.
type Set [256]bool

// ErrUnclosed means that nothing closes the bracket. fnmatch takes it for an ordinary character
// then.
var ErrUnclosed = errors.New(`[ is never closed (\[ is the character itself)`)

// A Mode says how a bracket expression is read.
type Mode int

const (
	Strict   Mode = iota // a class that is not known and an empty range are errors
	FoldCase             // they match nothing; case matters only for classes, as with FNM_CASEFOLD
)

// ParseSet reads a bracket expression, of which text is what comes after the [. It returns the
// bytes that match, and the rest of the text.
func ParseSet(text string, mode Mode) (set *Set, rest string, err error) {
	set = new(Set)
	isNegated := strings.HasPrefix(text, "!") || strings.HasPrefix(text, "^")
	if isNegated {
		text = text[1:]
	}
	for isFirst := true; isFirst || !strings.HasPrefix(text, "]"); isFirst = false {
		var isClass bool
		if text, isClass, err = set.addClass(text, mode); err != nil {
			return nil, "", err
		}
		if isClass {
			continue
		}
		var low byte
		if low, text, err = parseByte(text); err != nil {
			return nil, "", err
		}
		high := low
		if len(text) > 1 && text[0] == '-' && text[1] != ']' {
			if high, text, err = parseByte(text[1:]); err != nil {
				return nil, "", err
			}
		}
		if high < low && mode == Strict {
			return nil, "", fmt.Errorf("the range %c-%c in [] is empty", low, high)
		}
		set.addRange(low, high, mode)
	}
	for c := range set {
		set[c] = set[c] != isNegated
	}
	return set, text[1:], nil
}

// addClass adds [:name:] at the beginning of a text.
func (s *Set) addClass(text string, mode Mode) (rest string, isClass bool, err error) {
	name, isClass := strings.CutPrefix(text, "[:")
	if !isClass {
		return text, false, nil
	}
	name, rest, isClosed := strings.Cut(name, ":]")
	holds := classes[name]
	switch {
	case holds != nil && (isClosed || mode == Strict):
	case mode == Strict:
		return "", false, fmt.Errorf("[:%s:] is no character class", name)
	case !isClosed || name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz") != "":
		return text, false, nil
	default:
		return rest, true, nil
	}
	for c := range byte(128) {
		s[c] = s[c] || holds(c)
	}
	return rest, true, nil
}

// addRange adds the bytes from low to high.
func (s *Set) addRange(low, high byte, mode Mode) {
	for c := range s {
		if folded := fold(byte(c), mode); fold(low, mode) <= folded && folded <= fold(high, mode) {
			s[c] = true
		}
	}
}

// fold returns a letter in lower case if its case does not matter.
func fold(c byte, mode Mode) byte {
	if mode == FoldCase && isUpper(c) {
		return c - 'A' + 'a'
	}
	return c
}

// parseByte reads one byte of a bracket expression: x, \x, [.x.] or [=x=].
func parseByte(text string) (c byte, rest string, err error) {
	for _, mark := range []string{".", "="} {
		if len(text) >= 5 && text[:2] == "["+mark && text[3:5] == mark+"]" {
			return text[2], text[5:], nil
		}
	}
	text = strings.TrimPrefix(text, `\`)
	if text == "" {
		return 0, "", ErrUnclosed
	}
	return text[0], text[1:], nil
}
