package keys

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// ForgetHost returns a known_hosts in which no line holds any of these keys, by their fingerprints,
// for a server with these names. A line that names other servers as well keeps their names; every
// other byte stays. lines are those that were removed or changed, as they were.
//
// A line that matches the server by a pattern is for others, too, and an error.
func ForgetHost(data []byte, hosts []string, port int, fingerprints []string) (rest []byte, lines []Line, err error) {
	found, _ := ReadLines(data)
	byNumber := map[int]Line{}
	for _, l := range found {
		if l.Marker == "" && l.Hosts != "" && slices.Contains(fingerprints, l.Key.Fingerprint()) && l.For(hosts, port) {
			if !l.Names(hosts, port) {
				return nil, nil,
					fmt.Errorf("line %d has a pattern, %s, which is for other servers as well", l.Number, l.Hosts)
			}
			byNumber[l.Number] = l
			lines = append(lines, l)
		}
	}
	number := 0
	for raw := range bytes.Lines(data) {
		number++
		if l, is := byNumber[number]; is {
			others := slices.DeleteFunc(strings.Split(l.Hosts, ","), func(name string) bool {
				return Line{Hosts: name}.For(hosts, port)
			})
			if len(others) == 0 {
				continue
			}
			raw = bytes.Replace(raw, []byte(l.Hosts), []byte(strings.Join(others, ",")), 1)
		}
		rest = append(rest, raw...)
	}
	return rest, lines, nil
}
