package host

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// NameServers are asked for addresses. Unlike the machine's resolver they know no hosts file: what
// they know, a client finds as well that asks the same ones.
type NameServers struct {
	config *dns.ClientConfig
	File   string // that names them
}

// ErrNoName means that the name servers know no address of a name.
var ErrNoName = errors.New("no name server knows it")

// FindClientNameServers returns the name servers that clients ask: those that LTSP since 2019 gives
// them, as conf says; otherwise those that dnsmasq on this machine tells them; otherwise those that
// the machine asks itself. It is nil if there are none.
func (m *Machine) FindClientNameServers(conf LTSPConf) *NameServers {
	own := m.findOwnNameServers()
	servers, search := conf.clientNameServers()
	file := conf.Path
	if len(servers) == 0 {
		servers, file = m.readDnsmasqNameServers()
	}
	if len(servers) == 0 {
		return own
	}
	config := &dns.ClientConfig{Servers: servers, Search: search, Ndots: 1, Port: cmp.Or(m.DNSPort, "53")}
	if own != nil {
		config.Ndots = own.config.Ndots
		if len(search) == 0 {
			config.Search = own.config.Search
		}
	}
	return &NameServers{config, file}
}

// readDnsmasqNameServers returns the name servers of dnsmasq's first option for that, which ltsp
// dnsmasq writes, and the file that it is in. 0.0.0.0 in there is dnsmasq itself.
func (m *Machine) readDnsmasqNameServers() (servers []string, path string) {
	files, _ := m.readDnsmasqFiles()
	for _, file := range files {
		for _, line := range file.Lines() {
			key, value, _ := strings.Cut(line, "=")
			words := strings.Split(value, ",")
			at := slices.IndexFunc(words, func(w string) bool {
				w = strings.TrimSpace(w)
				return w == "option:dns-server" || w == "6"
			})
			if strings.TrimSpace(key) != "dhcp-option" || at < 0 {
				continue
			}
			for _, w := range words[at+1:] {
				if a, err := netip.ParseAddr(strings.TrimSpace(w)); err != nil {
					continue
				} else if a.IsUnspecified() {
					servers = append(servers, "127.0.0.1")
				} else {
					servers = append(servers, a.String())
				}
			}
			return servers, file.Path
		}
	}
	return nil, ""
}

// findOwnNameServers returns the name servers that the machine asks, nil if there are none.
// systemd-resolved answers from the machine's hosts file as well; then those are returned that it
// asks.
func (m *Machine) findOwnNameServers() *NameServers {
	for _, name := range []string{"etc/resolv.conf", "run/systemd/resolve/resolv.conf"} {
		file, _ := m.Read(name) // one that cannot be read names none
		config, err := dns.ClientConfigFromReader(bytes.NewReader(file.Data))
		if err != nil {
			continue
		}
		config.Port = cmp.Or(m.DNSPort, config.Port)
		isStub := func(server string) bool { return server == "127.0.0.53" || server == "127.0.0.54" }
		if config.Servers = slices.DeleteFunc(config.Servers, isStub); len(config.Servers) > 0 {
			return &NameServers{config, file.Path}
		}
	}
	return nil
}

// LookUp returns the addresses of a name, with the search list of resolv.conf; ErrNoName if there
// is none.
func (s *NameServers) LookUp(ctx context.Context, name string) ([]netip.Addr, error) {
	failure := ErrNoName
	for _, full := range s.config.NameList(name) {
		kinds := []uint16{dns.TypeA, dns.TypeAAAA}
		answers, errs := make([]*dns.Msg, len(kinds)), make([]error, len(kinds))
		var both sync.WaitGroup
		for i, kind := range kinds {
			both.Go(func() { answers[i], errs[i] = s.ask(ctx, full, kind) })
		}
		both.Wait()
		var found []netip.Addr
		for i, answer := range answers {
			if errs[i] != nil {
				failure = errs[i]
				continue
			}
			for _, record := range answer.Answer {
				var ip net.IP
				switch record := record.(type) {
				case *dns.A:
					ip = record.A
				case *dns.AAAA:
					ip = record.AAAA
				}
				if address, ok := netip.AddrFromSlice(ip); ok {
					found = append(found, address.Unmap())
				}
			}
		}
		if len(found) > 0 {
			slices.SortFunc(found, netip.Addr.Compare)
			return slices.Compact(found), nil
		}
	}
	return nil, failure
}

// ask asks one server after another until one has an answer. One that refuses is up, and knows
// nothing: dnsmasq does that where it has nobody to ask. If the others are silent, that is the
// answer.
func (s *NameServers) ask(ctx context.Context, name string, kind uint16) (*dns.Msg, error) {
	question := new(dns.Msg)
	question.SetQuestion(name, kind)
	err := errors.New("there is no name server")
	var refused *dns.Msg
	for _, server := range s.config.Servers {
		at := net.JoinHostPort(server, s.config.Port)
		var answer *dns.Msg
		for _, network := range []string{"udp", "tcp"} {
			client := dns.Client{Net: network, Timeout: time.Second}
			if answer, _, err = client.ExchangeContext(ctx, question, at); err != nil || !answer.Truncated {
				break
			}
		}
		switch {
		case err != nil:
		case answer.Rcode == dns.RcodeSuccess, answer.Rcode == dns.RcodeNameError:
			return answer, nil
		case answer.Rcode == dns.RcodeRefused:
			refused = answer
		default:
			err = errors.New(at + " says " + strings.ToLower(dns.RcodeToString[answer.Rcode]))
		}
	}
	if refused != nil {
		return refused, nil
	}
	return nil, err
}
