// Package excludes says which paths of a client root stay out of its image. Patterns mean what they
// mean to mksquashfs. The package matches paths; it reads no files.
package excludes

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Patterns says which paths of a tree stay out of an image. A nil *Patterns excludes nothing. It is
// safe for use by several goroutines.
type Patterns struct {
	anchored patternNode // from the root
	floating patternNode // from any directory
	floats   bool        // there is something in floating
}

// A patternNode stands for a directory as far as patterns have matched: what of its entries they
// exclude, or look into.
type patternNode struct {
	literal map[string]*patternEntry // by name
	wild    []*patternEntry
}

// A patternEntry is one component of one or more patterns.
type patternEntry struct {
	glob  *component
	ends  bool         // a pattern ends here: the entry is excluded
	below *patternNode // else, what holds in the directory
}

// Parse reads patterns as mksquashfs takes them with -wildcards, each a line of a file for its -ef
// option, such as LTSP's image.excludes.
//
// A pattern is matched from the tree's root, component by component, by fnmatch with FNM_PATHNAME,
// FNM_PERIOD and FNM_EXTMATCH: * matches no slash and no leading period, and !(a|b), @(a|b), ?(a),
// *(a) and +(a) work. What it matches is left out with everything below; "tmp/*" leaves out what is
// in tmp and not hidden, but not tmp, and "tmp/.*" the hidden rest. With "... " in front, a pattern
// is tried from every directory.
//
// White space at a line's start is skipped. Empty lines and those that begin with # are nothing; a
// \ in front of one protects its first character.
//
// Patterns that mksquashfs takes but that can never match, or not what they seem to, are errors,
// too: with "." or ".." in them, with white space at the end, or with a bracket that is not closed.
// The error holds one line for each wrong pattern, and names it.
func Parse(lines []string) (*Patterns, error) {
	p := new(Patterns)
	var errs []error
	for _, line := range lines {
		text := strings.TrimLeft(line, " \t\n\v\f\r")
		if text == "" || text[0] == '#' {
			continue
		}
		text = strings.TrimPrefix(text, `\`)
		if err := p.add(text); err != nil {
			errs = append(errs, fmt.Errorf("parse exclude %q: %w", line, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Patterns) add(text string) error {
	node := &p.anchored
	rest, floats := strings.CutPrefix(text, "... ")
	if floats {
		node, text = &p.floating, rest
	}
	if strings.HasPrefix(text, "/") {
		return errors.New("begins with a slash; patterns begin at the tree's root without one")
	}
	if trimmed := strings.TrimRight(text, " \t\n\v\f\r"); trimmed != text && !strings.HasSuffix(trimmed, `\`) {
		return errors.New(`ends in white space (\ in front of it makes it part of the name)`)
	}
	components := slices.DeleteFunc(strings.Split(text, "/"), func(c string) bool { return c == "" })
	if len(components) == 0 {
		return errors.New("names nothing")
	}
	parsed := make([]*component, len(components))
	for i, c := range components {
		if c == "." || c == ".." {
			return fmt.Errorf("%q matches nothing, as no entry has that name", c)
		}
		var err error
		if parsed[i], err = parseComponent(c); err != nil {
			return err
		}
	}
	node.add(parsed)
	p.floats = p.floats || floats
	return nil
}

// add makes n exclude what the components match, one below the other.
func (n *patternNode) add(components []*component) {
	entry := n.findOrAdd(components[0])
	switch {
	case entry.ends: // a shorter pattern says so already
	case len(components) == 1:
		entry.ends = true
	default:
		if entry.below == nil {
			entry.below = new(patternNode)
		}
		entry.below.add(components[1:])
	}
}

// findOrAdd returns the entry of n for g, and makes it if need be.
func (n *patternNode) findOrAdd(g *component) *patternEntry {
	if !g.whole {
		i := slices.IndexFunc(n.wild, func(entry *patternEntry) bool { return entry.glob.text == g.text })
		if i < 0 {
			i = len(n.wild)
			n.wild = append(n.wild, &patternEntry{glob: g})
		}
		return n.wild[i]
	}
	if n.literal == nil {
		n.literal = make(map[string]*patternEntry)
	}
	if n.literal[g.prefix] == nil {
		n.literal[g.prefix] = &patternEntry{glob: g}
	}
	return n.literal[g.prefix]
}

// Match reports whether path, or a directory it is in, is excluded. The path is relative to the
// tree's root, without a slash in front: "etc/ssh".
func (p *Patterns) Match(path string) bool {
	_, out := p.walk(path)
	return out
}

// Empties reports whether a pattern that matches any name, as "*" does, takes out what is in
// directory dir, whatever is there just now. "." is the root.
func (p *Patterns) Empties(dir string) bool {
	if dir == "." {
		dir = ""
	}
	nodes, out := p.walk(dir)
	return out || slices.ContainsFunc(nodes, func(n *patternNode) bool {
		return slices.ContainsFunc(n.wild, func(entry *patternEntry) bool {
			return entry.ends && entry.glob.text == "*"
		})
	})
}

// walk follows path from the root. It returns the nodes that hold for the entries of the directory
// path, or that path is excluded itself.
func (p *Patterns) walk(path string) (nodes []*patternNode, out bool) {
	if p == nil {
		return nil, false
	}
	nodes = []*patternNode{&p.anchored, &p.floating}
	for name := range strings.SplitSeq(path, "/") {
		if name == "" {
			continue
		}
		var below []*patternNode
		for _, n := range nodes {
			if below, out = n.enter(name, below); out {
				return nil, true
			}
		}
		if p.floats {
			below = append(below, &p.floating)
		}
		if nodes = below; len(nodes) == 0 {
			break
		}
	}
	return nodes, false
}

// enter appends the nodes for what is below the entry name of n, or reports that the entry is
// excluded.
func (n *patternNode) enter(name string, below []*patternNode) (_ []*patternNode, out bool) {
	for _, entry := range n.wild {
		if !entry.glob.match(name) {
			continue
		}
		if entry.ends {
			return nil, true
		}
		below = append(below, entry.below)
	}
	if entry := n.literal[name]; entry != nil {
		if entry.ends {
			return nil, true
		}
		below = append(below, entry.below)
	}
	return below, false
}
