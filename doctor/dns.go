package doctor

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ltskeeper/farm"

	"github.com/miekg/dns"
)

// A nameService asks name servers, and no hosts file: what it finds, a client finds as well that asks the same ones.
type nameService struct {
	config *dns.ClientConfig
	file   string // resolv.conf
}

// openNameService reads which name servers clients ask: those that dnsmasq on this machine names to them, else those that
// the machine asks itself.
func (m *machine) openNameService() *nameService {
	own := m.ownNameService()
	servers, file := m.givenNameServers()
	if len(servers) == 0 {
		return own
	}
	config := &dns.ClientConfig{Ndots: 1, Port: cmp.Or(m.dnsPort, "53")}
	if own != nil {
		config.Search, config.Ndots = own.config.Search, own.config.Ndots
	}
	config.Servers = servers
	return &nameService{config, file}
}

// givenNameServers are those of dnsmasq's first option for that, which ltsp dnsmasq writes, and where it is. 0.0.0.0 in there
// is dnsmasq itself.
func (m *machine) givenNameServers() (servers []string, file string) {
	files, _ := filepath.Glob(m.path("etc/dnsmasq.d/*.conf"))
	for _, file := range append(files, m.path("etc/dnsmasq.conf")) {
		data, err := farm.ReadRegular(file)
		if err != nil {
			continue
		}
		for _, line := range lines(data) {
			key, value, _ := strings.Cut(line, "=")
			words := strings.Split(value, ",")
			at := slices.IndexFunc(words, func(w string) bool { w = strings.TrimSpace(w); return w == "option:dns-server" || w == "6" })
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
			return servers, file
		}
	}
	return nil, ""
}

// ownNameService reads which name servers the machine asks. systemd-resolved's own answers from the machine's hosts
// file, too; then those are asked that it asks.
func (m *machine) ownNameService() *nameService {
	for _, file := range []string{"etc/resolv.conf", "run/systemd/resolve/resolv.conf"} {
		data, err := farm.ReadRegular(m.path(file))
		if err != nil {
			continue
		}
		config, err := dns.ClientConfigFromReader(bytes.NewReader(data))
		if err != nil {
			continue
		}
		config.Port = cmp.Or(m.dnsPort, config.Port)
		stub := func(server string) bool { return server == "127.0.0.53" || server == "127.0.0.54" }
		if config.Servers = slices.DeleteFunc(config.Servers, stub); len(config.Servers) > 0 {
			return &nameService{config, m.path(file)}
		}
	}
	return nil
}

// errNoName means that the name servers know no address of a name.
var errNoName = errors.New("no name server knows it")

// lookup returns the addresses of a name, with the search list of resolv.conf; errNoName if there is none.
func (s *nameService) lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	failure := errNoName
	for _, full := range s.config.NameList(name) {
		var found []netip.Addr
		for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
			answer, err := s.ask(ctx, full, kind)
			if err != nil {
				failure = err
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

// ask asks one server after another until one has an answer.
func (s *nameService) ask(ctx context.Context, name string, kind uint16) (*dns.Msg, error) {
	question := new(dns.Msg)
	question.SetQuestion(name, kind)
	err := errors.New("there is no name server")
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
		default:
			err = errors.New(at + " says " + strings.ToLower(dns.RcodeToString[answer.Rcode]))
		}
	}
	return nil, err
}
