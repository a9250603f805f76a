package keeper

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	"ltskeeper/keys"
)

// Formats are those in which Export writes, the usual one first.
var Formats = []string{"known_hosts", "sshfp", "json", "ansible"}

// ExportKeys renders what is trusted, from the record, for other tools:
//
//	known_hosts  as the clients get it
//	sshfp        DNS records
//	json         servers, authorities and revoked keys
//	ansible      variables for its module known_hosts
func (k *Keeper) ExportKeys(format string) ([]byte, error) {
	t, err := trustOnRecord(k.farm)
	if err != nil {
		return nil, err
	}
	switch format {
	case "known_hosts":
		return t.knownHosts(), nil
	case "sshfp":
		return t.sshfp(), nil
	case "json":
		return t.exportJSON()
	case "ansible":
		return t.ansible()
	}
	return nil, fmt.Errorf("export keys: there is no format %q, but %s", format, strings.Join(Formats, ", "))
}

// sshfp is a zone file's records. What has no place in one is a comment.
func (t *trust) sshfp() []byte {
	var b bytes.Buffer
	for _, s := range t.farm.Servers {
		for _, name := range append([]string{s.Name}, s.Aliases...) {
			if _, err := netip.ParseAddr(name); err == nil {
				continue
			}
			for _, k := range t.keys[s.Name] {
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

// An exportedKey is a key that another tool can use.
type exportedKey struct {
	Type        string `json:"type"`
	Key         string `json:"key"` // base64
	Fingerprint string `json:"fingerprint"`
	Comment     string `json:"comment,omitempty"`
}

func exportKeys(list []keys.Stored) []exportedKey {
	out := []exportedKey{}
	for _, k := range list {
		out = append(out, exportKey(k.Key, k.Origin.Comment()))
	}
	return out
}

func exportKey(k keys.Key, comment string) exportedKey {
	return exportedKey{k.Type, base64.StdEncoding.EncodeToString(k.Blob), k.Fingerprint(), comment}
}

func (t *trust) exportJSON() ([]byte, error) {
	type server struct {
		Name  string        `json:"name"`
		Names []string      `json:"names"`
		Port  int           `json:"port"`
		Keys  []exportedKey `json:"keys"`
	}
	type authority struct {
		Hosts []string    `json:"hosts"`
		Key   exportedKey `json:"key"`
	}
	all := struct {
		Servers     []server      `json:"servers"`
		Authorities []authority   `json:"authorities"`
		Revoked     []exportedKey `json:"revoked"`
	}{[]server{}, []authority{}, exportKeys(t.store.Revoked())}
	for _, s := range t.farm.Servers {
		all.Servers = append(all.Servers, server{s.Name, names(s), s.Port, exportKeys(t.keys[s.Name])})
	}
	for _, a := range t.farm.Authorities {
		all.Authorities = append(all.Authorities, authority{a.Hosts, exportKey(a.Key, a.Comment)})
	}
	data, err := json.MarshalIndent(all, "", "  ")
	return append(data, '\n'), err
}

// ansible is a list that a task loops over. Strings of JSON are strings of YAML.
func (t *trust) ansible() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("# - ansible.builtin.known_hosts: { name: \"{{ item.name }}\", key: \"{{ item.key }}\" }\n" +
		"#   loop: \"{{ ltskeeper_known_hosts }}\"\n")
	b.WriteString("ltskeeper_known_hosts:")
	found := false
	for _, s := range t.farm.Servers {
		for _, k := range t.keys[s.Name] {
			for _, name := range names(s) {
				line := strings.TrimSuffix(string(keys.RenderKnownHosts(keys.KnownHosts{
					Hosts: []keys.Host{{Names: []string{name}, Port: s.Port, Keys: []keys.Key{k.Key}}},
				})), "\n")
				host, _, _ := strings.Cut(line, " ")
				fmt.Fprintf(&b, "\n  - name: %q\n    key: %q", host, line)
				found = true
			}
		}
	}
	if !found {
		b.WriteString(" []")
	}
	b.WriteString("\n")
	return b.Bytes(), nil
}
