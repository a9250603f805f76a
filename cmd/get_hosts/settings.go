package main

import (
	"net"
	"os"

	"ltskeeper/ltsconf"
)

// settings are those of this client: what its environment says, else its lts.conf.
type settings struct {
	getenv func(string) string
	path   string            // of lts.conf
	conf   map[string]string // once it was needed
}

func (s *settings) get(key string) string {
	if value := s.getenv(key); value != "" {
		return value
	}
	if s.conf == nil {
		s.conf = readConf(s.path)
	}
	return s.conf[key]
}

// readConf reads what this client sees of an lts.conf. From a file that is not there or that no client can read it
// gets nothing.
func readConf(path string) map[string]string {
	conf := map[string]string{}
	text, err := os.ReadFile(path)
	if err != nil {
		return conf
	}
	file, err := ltsconf.Parse(path, text)
	if err != nil {
		return conf
	}
	if file, err = file.Expand(os.ReadFile); err != nil {
		return conf
	}
	for _, setting := range file.Lookup(identity()) {
		conf[setting.Key] = setting.Value
	}
	return conf
}

// identity is what getltscfg takes: the host's name, and address and MAC of the first interface that is up.
func identity() ltsconf.Identity {
	var id ltsconf.Identity
	id.Hostname, _ = os.Hostname()
	interfaces, _ := net.Interfaces()
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		id.MAC = i.HardwareAddr.String()
		addresses, _ := i.Addrs()
		for _, a := range addresses {
			if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil {
				id.IP = n.IP.String()
				return id
			}
		}
	}
	return id
}
