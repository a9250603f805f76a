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
	"sync"
	"time"

	"ltskeeper/farm"
	"ltskeeper/internal/regular"

	"github.com/miekg/dns"
)

// A nameService asks name servers, and no hosts file: what it finds, a client finds as well that
// asks the same ones.
type nameService struct {
	config *dns.ClientConfig
	file   string // resolv.conf
}

// openNameService reads which name servers clients ask: those that ltsp.conf names, else those that
// dnsmasq on this machine tells them, else those that the machine asks itself.
func (m *machine) openNameService(conf farm.LTSPConf) *nameService {
	own := m.ownNameService()
	servers, search := ltspNameServers(conf)
	file := conf.Path
	if len(servers) == 0 {
		servers, file = m.givenNameServers()
	}
	if len(servers) == 0 {
		return own
	}
	config := &dns.ClientConfig{Servers: servers, Search: search, Ndots: 1, Port: cmp.Or(m.dnsPort, "53")}
	if own != nil {
		config.Ndots = own.config.Ndots
		if len(search) == 0 {
			config.Search = own.config.Search
		}
	}
	return &nameService{config, file}
}

// ltspNameServers are those that LTSP since 2019 gives its clients, and where they search for
// names. With DNS=1 it is the machine they boot from.
func ltspNameServers(conf farm.LTSPConf) (servers, search []string) {
	value := map[string]string{}
	for _, s := range conf.Of(farm.ClientSections...) {
		if s.Plain {
			value[s.Key] = s.Value
		}
	}
	if value["DNS"] == "1" {
		value["DNS_SERVER"] = "127.0.0.1"
	}
	return strings.Fields(value["DNS_SERVER"]), strings.Fields(value["SEARCH_DOMAIN"])
}

// givenNameServers are those of dnsmasq's first option for that, which ltsp dnsmasq writes, and
// where it is. 0.0.0.0 in there is dnsmasq itself.
func (m *machine) givenNameServers() (servers []string, file string) {
	files, _ := filepath.Glob(m.path("etc/dnsmasq.d/*.conf"))
	for _, file := range append(files, m.path("etc/dnsmasq.conf")) {
		data, err := regular.Read(file, regular.MaxText)
		if err != nil {
			continue
		}
		for _, line := range lines(data) {
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
			return servers, file
		}
	}
	return nil, ""
}

// ownNameService reads which name servers the machine asks. systemd-resolved's own answers from the
// machine's hosts file, too; then those are asked that it asks.
func (m *machine) ownNameService() *nameService {
	for _, file := range []string{"etc/resolv.conf", "run/systemd/resolve/resolv.conf"} {
		data, err := regular.Read(m.path(file), regular.MaxText)
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

// lookup returns the addresses of a name, with the search list of resolv.conf; errNoName if there
// is none.
func (s *nameService) lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	failure := errNoName
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
// nothing: so does dnsmasq where there is nobody that it could ask. If the others are silent, that
// is the answer.
func (s *nameService) ask(ctx context.Context, name string, kind uint16) (*dns.Msg, error) {
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
