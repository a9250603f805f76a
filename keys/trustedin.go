package keys

import "strings"

// FindTrusted returns those of keys that OpenSSH would trust with a known_hosts file: they stand in
// a line of it, as a host's key or a certificate authority's, and no line revokes them for every
// name.
func FindTrusted(knownHosts []byte, keys []Key) []Key {
	trusts, revokes := map[string]bool{}, map[string]bool{} // by blob
	for line := range strings.Lines(string(knownHosts)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		rest, err := cutMarker(line)
		if err != nil {
			continue
		}
		hosts, entry := cutBlank(rest)
		key, err := ParseKey(entry)
		switch {
		case err != nil:
		case !strings.HasPrefix(line, "@revoked"):
			trusts[string(key.Blob)] = true
		case hosts == "*":
			revokes[string(key.Blob)] = true
		}
	}
	var trusted []Key
	for _, k := range keys {
		if trusts[string(k.Blob)] && !revokes[string(k.Blob)] {
			trusted = append(trusted, k)
		}
	}
	return trusted
}
