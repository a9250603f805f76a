package derive

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	"ltskeeper/keys"
)

// Formats are those in which Export renders, the usual one first.
var Formats = []string{"known_hosts", "sshfp", "json", "ansible"}

// Export renders what is trusted for other tools:
//
//	known_hosts  as the clients get it
//	sshfp        DNS records
//	json         servers, authorities and revoked keys
//	ansible      variables for its module known_hosts
func (r *Record) Export(format string) ([]byte, error) {
	switch format {
	case "known_hosts":
		return r.KnownHosts(), nil
	case "sshfp":
		return r.exportSSHFP(), nil
	case "json":
		return r.exportJSON()
	case "ansible":
		return r.exportAnsible(), nil
	}
	return nil, fmt.Errorf("export keys: there is no format %q, but %s", format, strings.Join(Formats, ", "))
}

// exportSSHFP renders a zone file's records. What has no place in one is a comment.
func (r *Record) exportSSHFP() []byte {
	var b bytes.Buffer
	for _, s := range r.Farm.Servers {
		for _, name := range append([]string{s.Name}, s.Aliases...) {
			if _, err := netip.ParseAddr(name); err == nil {
				continue
			}
			for _, k := range r.Trusted[s.Name] {
				if data, ok := k.SSHFP(); ok {
					fmt.Fprintf(&b, "%s IN SSHFP %s\n", name, data)
				} else {
					fmt.Fprintf(&b, "; %s has a key of type %s, for which there is no record\n", name, k.Type)
				}
			}
		}
	}
	return b.Bytes()
}

// A toolKey is a key that another tool can use.
type toolKey struct {
	Type        string `json:"type"`
	Key         string `json:"key"` // base64
	Fingerprint string `json:"fingerprint"`
	Comment     string `json:"comment,omitempty"`
}

func newToolKey(k keys.Key, comment string) toolKey {
	return toolKey{k.Type, base64.StdEncoding.EncodeToString(k.Blob), k.Fingerprint(), comment}
}

func newToolKeys(list []keys.Stored) []toolKey {
	out := []toolKey{}
	for _, k := range list {
		out = append(out, newToolKey(k.Key, k.Origin.Comment()))
	}
	return out
}

func (r *Record) exportJSON() ([]byte, error) {
	type server struct {
		Name  string    `json:"name"`
		Names []string  `json:"names"`
		Port  int       `json:"port"`
		Keys  []toolKey `json:"keys"`
	}
	type authority struct {
		Hosts []string `json:"hosts"`
		Key   toolKey  `json:"key"`
	}
	all := struct {
		Servers     []server    `json:"servers"`
		Authorities []authority `json:"authorities"`
		Revoked     []toolKey   `json:"revoked"`
	}{[]server{}, []authority{}, newToolKeys(r.Revoked)}
	for _, s := range r.Farm.Servers {
		all.Servers = append(all.Servers, server{s.Name, s.Names(), s.Port, newToolKeys(r.Trusted[s.Name])})
	}
	for _, a := range r.Farm.Authorities {
		all.Authorities = append(all.Authorities, authority{a.Hosts, newToolKey(a.Key, a.Comment)})
	}
	data, err := json.MarshalIndent(all, "", "  ")
	return append(data, '\n'), err
}

// exportAnsible renders a list that a task loops over. Strings of JSON are strings of YAML.
func (r *Record) exportAnsible() []byte {
	var items bytes.Buffer
	for _, s := range r.Farm.Servers {
		for _, k := range r.Trusted[s.Name] {
			for _, name := range s.Names() {
				line := strings.TrimSuffix(string(keys.RenderKnownHosts(keys.KnownHosts{
					Hosts: []keys.Host{{Names: []string{name}, Port: s.Port, Keys: []keys.Key{k.Key}}},
				})), "\n")
				host, _, _ := strings.Cut(line, " ")
				fmt.Fprintf(&items, "\n  - name: %q\n    key: %q", host, line)
			}
		}
	}
	if items.Len() == 0 {
		items.WriteString(" []")
	}
	return fmt.Appendf(nil, `# - ansible.builtin.known_hosts: { name: "{{ item.name }}", key: "{{ item.key }}" }
#   loop: "{{ ltskeeper_known_hosts }}"
ltskeeper_known_hosts:%s
`, items.Bytes())
}
