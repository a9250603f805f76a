package host

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ltskeeper/internal/testkit/dnstest"
)

// newMachine makes a machine that asks a name server.
func newMachine(t *testing.T) (*Machine, *dnstest.Server) {
	t.Helper()
	server := dnstest.Start(t)
	return &Machine{Root: t.TempDir(), DNSPort: server.Port}, server
}

// writeFile writes one of a machine's files.
func writeFile(t *testing.T, m *Machine, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(m.Path(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.Path(name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// systemd-resolved answers from the machine's own hosts file, so it is not asked.
func TestFindClientNameServers(t *testing.T) {
	t.Parallel()
	m, server := newMachine(t)
	address := netip.MustParseAddr("127.0.0.9")
	server.Set("app01.example.org.", address)
	check := func(s *NameServers, servers string) {
		t.Helper()
		if s == nil || strings.Join(s.config.Servers, " ") != servers {
			t.Fatalf("%+v, want %s", s, servers)
		}
		if found, err := s.LookUp(t.Context(), "app01"); err != nil || !slices.Equal(found, []netip.Addr{address}) {
			t.Error(found, err, s.config)
		}
	}
	writeFile(t, m, "etc/resolv.conf", "nameserver 127.0.0.53\nsearch example.org\n")
	if s := m.FindClientNameServers(LTSPConf{}); s != nil {
		t.Errorf("%v", s.config)
	}
	writeFile(t, m, "run/systemd/resolve/resolv.conf", "search example.org\nnameserver 127.0.0.1\n")
	s := m.FindClientNameServers(LTSPConf{})
	check(s, "127.0.0.1")
	if _, err := s.LookUp(t.Context(), "app02"); err != ErrNoName {
		t.Error(err)
	}
	// Clients ask the ones that ltsp.conf gives them, and search where it says.
	readConf := func(text string) LTSPConf {
		t.Helper()
		writeFile(t, m, "etc/ltsp/ltsp.conf", text)
		conf, err := m.ReadLTSPConf()
		if err != nil {
			t.Fatal(err)
		}
		return conf
	}
	conf := readConf("[clients]\nDNS_SERVER=\"127.0.0.6 127.0.0.1\"\nSEARCH_DOMAIN='ltsp example.org'\n")
	s = m.FindClientNameServers(conf)
	check(s, "127.0.0.6 127.0.0.1")
	if s.File != conf.Path || strings.Join(s.config.Search, " ") != "ltsp example.org" {
		t.Error(s)
	}
	conf = readConf("[clients]\nDNS_SERVER=192.0.2.1\n[common]\nDNS=1\n")
	check(m.FindClientNameServers(conf), "127.0.0.1")
	// Otherwise those that dnsmasq tells them, with the same search list.
	writeFile(t, m, "etc/dnsmasq.d/ltsp-dnsmasq.conf",
		"#dhcp-option=6,127.0.0.8\ndhcp-option=option:dns-server,0.0.0.0,8.8.8.8\n")
	writeFile(t, m, "run/systemd/resolve/resolv.conf", "search example.org\nnameserver 127.0.0.7\n")
	check(m.FindClientNameServers(LTSPConf{}), "127.0.0.1 8.8.8.8")
	m.DNSPort = "1"
	writeFile(t, m, "etc/dnsmasq.d/ltsp-dnsmasq.conf", "dhcp-option=tag:x,6,127.0.0.1\n")
	if _, err := m.FindClientNameServers(LTSPConf{}).LookUp(t.Context(), "app01"); err == nil || err == ErrNoName {
		t.Error(err)
	}
}
