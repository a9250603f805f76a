package ltsconf

// Identity is what a client knows about itself. getltscfg takes the address and the MAC of the
// first interface that is up, the MAC in lower case with colons. An empty field matches nothing.
type Identity struct{ Hostname, IP, MAC string }

// A Setting is one that a client sees, and where it comes from.
type Setting struct {
	Key     string // in upper case, as getltscfg prints it
	Value   string
	Section string // as it stands in the file
	File    string
	Line    int // from 1
}

// Lookup returns what a client sees. The settings of weaker sections come first, which is the order
// in which getltscfg prints them, unless LIKE leads to a section more than once. A circle of LIKE,
// in which getltscfg hangs, ends here.
//
// Files named in include lines are not looked at: see Expand.
func (f *File) Lookup(id Identity) []Setting {
	chain := f.chain(id)
	var seen []setting
	from := map[string]int{}
	sections := map[string]*section{}
	for i := len(chain) - 1; i >= 0; i-- {
		for _, s := range chain[i].settings {
			key := upperName(s.key.text)
			if key == "LIKE" {
				continue
			}
			n, ok := from[key]
			if !ok {
				n = len(seen)
				from[key] = n
				seen = append(seen, s)
			}
			seen[n] = s
			sections[key] = chain[i]
		}
	}
	var settings []Setting
	for _, s := range seen {
		if sameName(s.value.text, "NONE") {
			continue
		}
		key := upperName(s.key.text)
		file, line, _ := f.position(s.key.start)
		settings = append(settings, Setting{key, s.value.text, sections[key].name.text, file, line})
	}
	return settings
}

// chain returns the sections that count for a client, strongest first.
func (f *File) chain(id Identity) []*section {
	var ids []string
	for _, name := range []string{id.Hostname, id.IP, id.MAC} {
		if name != "" {
			ids = append(ids, name)
		}
	}
	var c chain
	for _, name := range ids {
		if s := f.section(name); s != nil {
			c.add(f, s)
			break
		}
	}
	for _, name := range ids {
		c.add(f, f.glob(name))
	}
	c.end(f.section("default"))
	return c.sections
}

// glob returns the first section whose name matches as a pattern and is not the name itself, or
// nil.
func (f *File) glob(name string) *section {
	for i := range f.sections {
		pattern := f.sections[i].name.text
		if !sameName(pattern, name) && fnmatch(pattern, name) {
			return &f.sections[i]
		}
	}
	return nil
}

// A chain holds each section once, at its strongest place.
type chain struct {
	sections []*section
	has      map[*section]bool
}

// add puts a section at the weak end, and behind it, breadth first, what it and its likes name in
// LIKE.
func (c *chain) add(f *File, s *section) {
	next := len(c.sections)
	for c.end(s); next < len(c.sections); next++ {
		for _, like := range c.sections[next].likes() {
			c.end(f.section(like.text))
		}
	}
}

func (c *chain) end(s *section) {
	if s == nil || c.has[s] {
		return
	}
	if c.has == nil {
		c.has = map[*section]bool{}
	}
	c.has[s] = true
	c.sections = append(c.sections, s)
}

// likes returns the values of all the section's LIKE settings: unlike other keys, each of them
// counts.
func (s *section) likes() []token {
	var names []token
	for _, set := range s.settings {
		if sameName(set.key.text, "LIKE") {
			names = append(names, set.value)
		}
	}
	return names
}
