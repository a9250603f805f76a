package excludes

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"

	"ltskeeper/internal/glob"
)

// A component is one component of an exclude pattern, compiled. It matches names as glibc's fnmatch
// does in the C locale with FNM_PATHNAME, FNM_PERIOD and FNM_EXTMATCH: bytes, not characters.
//
//	?            one byte
//	*            any bytes, also none
//	[a-z] [!a-z] one byte of a set, or not of it; [:alpha:] and its like inside
//	\x           x itself
//	?(p|q)       nothing, or one of the patterns
//	@(p|q)       one of the patterns
//	*(p|q)       any number of them, one after the other
//	+(p|q)       at least one
//	!(p|q)       anything that is none of them
//
// None but the character itself matches a period at the start of a name.
//
// A name is matched by the set of positions that the pattern's beginning can end at, one step a
// node, so that no pattern takes exponential time.
type component struct {
	text string // as it was written
	root globSeq
	// prefix is what every match begins with. If whole is set, it is the only match.
	prefix string
	whole  bool
	groups bool // root holds groups
}

type globSeq []globNode

type globNode struct {
	op   globOp
	char byte      // of a globChar
	set  *glob.Set // of a globSet
	alts []globSeq // of a group
	id   int       // of a group, counted from 0 within the component
}

type globOp byte

const (
	globChar globOp = iota
	globAny
	globStar
	globSet
	// The groups.
	globOptional // ?(
	globOne      // @(
	globMany     // *(
	globSome     // +(
	globNot      // !(
)

var globGroups = map[byte]globOp{
	'?': globOptional, '@': globOne, '*': globMany, '+': globSome, '!': globNot,
}

// match reports whether the pattern matches the whole of name.
func (g *component) match(name string) bool {
	if g.whole {
		return name == g.prefix
	}
	if !strings.HasPrefix(name, g.prefix) || len(name) > maxNameLen {
		return false
	}
	m := globMatch{name: name}
	if g.groups {
		m.memo = make(map[[2]int]positions)
	}
	return m.matchSeq(g.root, newPositions(0)).has(len(name))
}

// globMatch is one name being matched.
type globMatch struct {
	name string
	memo map[[2]int]positions // the ends of a group, by its id and start
}

// matchSeq returns where s can end if it may start at any of from.
func (m *globMatch) matchSeq(s globSeq, from positions) positions {
	for i := range s {
		if from.empty() {
			break
		}
		from = m.matchNode(&s[i], from)
	}
	return from
}

func (m *globMatch) matchNode(n *globNode, from positions) (to positions) {
	switch n.op {
	case globChar:
		for p := range from.all {
			if p < len(m.name) && m.name[p] == n.char {
				to.add(p + 1)
			}
		}
	case globAny, globSet:
		for p := range from.all {
			if p < len(m.name) && !m.leadingPeriod(p) && (n.op == globAny || n.set[m.name[p]]) {
				to.add(p + 1)
			}
		}
	case globStar:
		for p := range from.all {
			if !m.leadingPeriod(p) {
				to.addRange(p, len(m.name))
				break
			}
		}
	default:
		for p := range from.all {
			to.addAll(m.matchGroup(n, p))
		}
	}
	return to
}

// leadingPeriod reports whether a period stands at p that only a period in the pattern may match.
func (m *globMatch) leadingPeriod(p int) bool {
	return p == 0 && strings.HasPrefix(m.name, ".")
}

// matchGroup returns where group n can end if it starts at p.
func (m *globMatch) matchGroup(n *globNode, p int) positions {
	key := [2]int{n.id, p}
	if to, ok := m.memo[key]; ok {
		return to
	}
	start := newPositions(p)
	once := m.matchAny(n.alts, start)
	var to positions
	switch n.op {
	case globOne:
		to = once
	case globOptional:
		to = once
		to.addAll(start)
	case globMany, globSome:
		for last := once; !last.empty(); {
			to.addAll(last)
			last = m.matchAny(n.alts, last)
			last.removeAll(to)
		}
		if n.op == globMany {
			to.addAll(start)
		}
	case globNot:
		to.addRange(p, len(m.name))
		to.removeAll(once)
	}
	m.memo[key] = to
	return to
}

// matchAny returns where one of alts can end if it starts at any of from.
func (m *globMatch) matchAny(alts []globSeq, from positions) (to positions) {
	for _, alt := range alts {
		to.addAll(m.matchSeq(alt, from))
	}
	return to
}

// maxNameLen is the length of the longest name that squashfs and mksquashfs take.
const maxNameLen = 256

// positions is a set of positions in a name, from 0 to its length.
type positions [maxNameLen/64 + 1]uint64

func newPositions(p int) (s positions) {
	s.add(p)
	return s
}

func (s *positions) add(p int)     { s[p/64] |= 1 << (p % 64) }
func (s positions) has(p int) bool { return s[p/64]>>(p%64)&1 == 1 }
func (s positions) empty() bool    { return s == positions{} }

func (s *positions) addRange(first, last int) {
	for p := first; p <= last; p++ {
		s.add(p)
	}
}

func (s *positions) addAll(other positions) {
	for i := range s {
		s[i] |= other[i]
	}
}

func (s *positions) removeAll(other positions) {
	for i := range s {
		s[i] &^= other[i]
	}
}

// all calls yield for each position, in ascending order.
func (s positions) all(yield func(int) bool) {
	for i, word := range s {
		for ; word != 0; word &= word - 1 {
			if !yield(i*64 + bits.TrailingZeros64(word)) {
				return
			}
		}
	}
}

// parseComponent compiles one component of a pattern. Brackets and groups that are never closed,
// which fnmatch takes for ordinary characters, are errors: an exclude that means something else
// than it looks like lets a secret into an image.
func parseComponent(text string) (*component, error) {
	p := globParser{rest: text}
	root, err := p.parseSeq(0)
	if err != nil {
		return nil, err
	}
	g := &component{text: text, root: root, groups: p.groups > 0}
	var prefix []byte
	for len(prefix) < len(root) && root[len(prefix)].op == globChar {
		prefix = append(prefix, root[len(prefix)].char)
	}
	g.prefix = string(prefix)
	g.whole = len(prefix) == len(root)
	return g, nil
}

// globDepth bounds how deep groups nest.
const globDepth = 50

type globParser struct {
	rest   string
	groups int
}

func (p *globParser) next() byte {
	c := p.rest[0]
	p.rest = p.rest[1:]
	return c
}

// parseSeq reads up to the end, or within a group up to the | or ) that follows.
func (p *globParser) parseSeq(depth int) (globSeq, error) {
	var s globSeq
	for p.rest != "" {
		if depth > 0 && (p.rest[0] == '|' || p.rest[0] == ')') {
			return s, nil
		}
		n, err := p.parseNode(depth)
		if err != nil {
			return nil, err
		}
		s = append(s, n)
	}
	return s, nil
}

func (p *globParser) parseNode(depth int) (globNode, error) {
	c := p.next()
	if op, ok := globGroups[c]; ok && strings.HasPrefix(p.rest, "(") {
		return p.parseGroup(c, op, depth+1)
	}
	switch c {
	case '?':
		return globNode{op: globAny}, nil
	case '*':
		return globNode{op: globStar}, nil
	case '[':
		set, rest, err := glob.ParseSet(p.rest, glob.Strict)
		p.rest = rest
		return globNode{op: globSet, set: set}, err
	case '\\':
		if p.rest == "" {
			return globNode{}, errors.New(`nothing follows the \`)
		}
		c = p.next()
	}
	return globNode{op: globChar, char: c}, nil
}

func (p *globParser) parseGroup(c byte, op globOp, depth int) (globNode, error) {
	if depth > globDepth {
		return globNode{}, fmt.Errorf("groups nest deeper than %d", globDepth)
	}
	n := globNode{op: op, id: p.groups}
	p.groups++
	for p.rest != "" && p.next() != ')' { // the ( or |, then the | or )
		alt, err := p.parseSeq(depth)
		if err != nil {
			return n, err
		}
		n.alts = append(n.alts, alt)
		if p.rest == "" {
			return n, fmt.Errorf(`%c( is never closed`, c)
		}
	}
	return n, nil
}
