package trust

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"ltskeeper/internal/names"
)

// refuseFirstUse says why a server without trusted keys is not trusted with what it shows; "" if it
// is. First use happens once per name, alias and address, whatever was lost or removed meanwhile.
func (in input) refuseFirstUse(isConflict bool) string {
	switch {
	case len(in.policy.Pins) > 0:
		return "it has pins, and shows no key that is pinned"
	case in.record.past != "":
		return in.record.past
	case len(in.revoked) > 0:
		return "it shows a revoked key"
	case isConflict:
		return "its addresses show different keys"
	case in.policy.IsCovered():
		return "a CA covers it, and it shows no certificate that clients take"
	case !in.policy.FirstUse:
		return "first use is refused"
	}
	return ""
}

// usedNames are the names, aliases and addresses that ever had a key, in their canonical form.
type usedNames struct {
	known  map[string]bool
	listed int    // how many of them the file has; the log knows of more
	doubt  string // why the file seems to have lost names; "" if it does not
}

// findPast says why a server has no first use any more; "" if it has. A server that has a file is
// among the names, or names are missing.
func (u usedNames) findPast(p Policy) string {
	for _, name := range p.allNames() {
		if u.known[names.Canonical(name)] {
			return fmt.Sprintf("%s had a key before, and first use happens once", name)
		}
	}
	if u.doubt != "" {
		return "first use is off, because " + u.doubt
	}
	return ""
}

// doubtNames notes that the file of names lacks one that has had keys.
func (s *Store) doubtNames(missing string) {
	s.used.doubt = fmt.Sprintf("%s does not list %s, which has had keys", s.path(namesFile), missing)
}

// rememberNames takes first use from names, before they have a key.
func (s *Store) rememberNames(list []string) error {
	known := maps.Clone(s.used.known)
	for _, name := range list {
		if !names.IsValid(name) {
			return fmt.Errorf("remember name %.80q: it is no name or address", name)
		}
		known[names.Canonical(name)] = true
	}
	if len(known) == s.used.listed {
		return nil
	}
	if err := s.write(namesFile, formatNames(known)); err != nil {
		return err
	}
	s.used.known, s.used.listed = known, len(known)
	return s.sync()
}

// parseNames reads the names file: one name or address a line.
func parseNames(data []byte) (map[string]bool, error) {
	known := make(map[string]bool)
	err := eachLine(data, func(line string) error {
		if !names.IsValid(line) {
			return fmt.Errorf("%.80q is not a name", line)
		}
		known[names.Canonical(line)] = true
		return nil
	})
	return known, err
}

const namesHeader = "# Every name and address that ever had a host key: none of them has a first use again.\n"

// formatNames is the inverse of parseNames.
func formatNames(known map[string]bool) []byte {
	return []byte(namesHeader + strings.Join(slices.Sorted(maps.Keys(known)), "\n") + "\n")
}
