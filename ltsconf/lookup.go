package ltsconf

import "slices"

// Identity is what a client knows about itself. getltscfg takes the address and the MAC of the
// first interface that is up, the MAC in lower case with colons. An empty field matches nothing.
type Identity struct{ Hostname, IP, MAC string }

// A Setting is a setting that a client sees, and where it comes from.
type Setting struct {
	Key     string `json:"key"` // in upper case, as getltscfg prints it
	Value   string `json:"value"`
	Section string `json:"section"` // as it is in the file
	File    string `json:"-"`
	Line    int    `json:"-"` // from 1
}

// Lookup returns what a client sees. The settings of weaker sections come first, which is the order
// in which getltscfg prints them, unless LIKE leads to a section more than once. A circle of LIKE,
// in which getltscfg hangs, ends here.
//
// Files named in include lines are not read: see Expand.
func (f *File) Lookup(id Identity) []Setting {
	var settings []Setting
	places := map[string]int{} // in settings, by key
	for _, section := range slices.Backward(f.listSections(id)) {
		for _, a := range section.settings {
			key := upperName(a.key.text)
			if key == "LIKE" {
				continue
			}
			if _, ok := places[key]; !ok {
				places[key] = len(settings)
				settings = append(settings, Setting{})
			}
			file, line, _ := f.position(a.key.start)
			settings[places[key]] = Setting{key, a.value.text, section.name.text, file, line}
		}
	}
	return slices.DeleteFunc(settings, func(s Setting) bool { return isSameName(s.Value, "NONE") })
}

// listSections returns the sections that count for a client, strongest first.
func (f *File) listSections(id Identity) []*section {
	ids := slices.DeleteFunc([]string{id.Hostname, id.IP, id.MAC}, func(name string) bool { return name == "" })
	var found []*section // each once, at its strongest place
	addLast := func(s *section) {
		if s != nil && !slices.Contains(found, s) {
			found = append(found, s)
		}
	}
	// add also adds, breadth first, what the section and its likes name in LIKE.
	add := func(s *section) {
		next := len(found)
		for addLast(s); next < len(found); next++ {
			for _, like := range found[next].likes() {
				addLast(f.findSection(like.text))
			}
		}
	}
	for _, name := range ids {
		if s := f.findSection(name); s != nil {
			add(s)
			break
		}
	}
	for _, name := range ids {
		add(f.findGlob(name))
	}
	addLast(f.findSection("default"))
	return found
}

// findGlob returns the first section whose name matches as a pattern and is not the name itself, or
// nil.
func (f *File) findGlob(name string) *section {
	for i := range f.sections {
		pattern := f.sections[i].name.text
		if !isSameName(pattern, name) && matchName(pattern, name) {
			return &f.sections[i]
		}
	}
	return nil
}

// likes returns the values of all the section's LIKE settings: unlike other keys, each of them
// counts.
func (s *section) likes() []token {
	var names []token
	for _, set := range s.settings {
		if isSameName(set.key.text, "LIKE") {
			names = append(names, set.value)
		}
	}
	return names
}
