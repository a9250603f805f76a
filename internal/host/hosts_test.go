package host

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// A name is added once, and stands for one address.
func TestAddHost(t *testing.T) {
	t.Parallel()
	address := netip.MustParseAddr("10.0.0.11")
	for _, c := range []struct {
		name, text, want, conflict string
	}{
		{"empty", "", "10.0.0.11 app01\n", ""},
		{"unended", "127.0.0.1 localhost", "127.0.0.1 localhost\n10.0.0.11 app01\n", ""},
		{"other names", "10.0.0.11 app02 # app01\n", "10.0.0.11 app02 # app01\n10.0.0.11 app01\n", ""},
		{"already", "\t10.0.0.11  x APP01", "\t10.0.0.11  x APP01", ""},
		{"another kind of address", "fd00::11 app01\n", "fd00::11 app01\n10.0.0.11 app01\n", ""},
		{"another address", "\n10.0.0.12 app01\n", "\n10.0.0.12 app01\n", "app01 is 10.0.0.12 in line 2 of hosts"},
	} {
		got, err := AddHost(File{"hosts", []byte(c.text)}, "app01", address)
		if string(got) != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		var conflict *HostsConflictError
		if errors.As(err, &conflict) != (c.conflict != "") || conflict != nil && conflict.Error() != c.conflict {
			t.Errorf("%s: %v, want %q", c.name, err, c.conflict)
		}
	}
}

// A hosts file and nsswitch.conf may hold anything.
func FuzzHosts(f *testing.F) {
	f.Add([]byte("127.0.0.1 localhost # me\n::1\nhosts: files [!UNAVAIL=return] dns\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file := File{"hosts", data}
		for _, line := range ParseHosts(file).Find("localhost") {
			if !line.Address.IsValid() || line.Where == "" {
				t.Errorf("%+v", line)
			}
		}
		for _, source := range ParseNameSources(file) {
			if strings.ContainsAny(source, "[]= \t") {
				t.Errorf("%q", source)
			}
		}
	})
}
