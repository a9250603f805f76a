// Package thinclient reads the settings that a program on a thin client runs with: those in its
// environment, where LDM puts them, and otherwise what lts.conf says for this machine. It is no
// place for anything that runs on a server.
package thinclient

import (
	"net"
	"os"

	"ltskeeper/internal/regular"
	"ltskeeper/ltsconf"
)

// ConfPath is where clients have their lts.conf.
const ConfPath = "/etc/lts.conf"

// Settings are those of this client.
type Settings struct {
	getenv func(string) string
	path   string            // of lts.conf
	conf   map[string]string // once it was needed
}

// NewSettings returns settings that come from an environment and, where that says nothing, from an
// lts.conf.
func NewSettings(getenv func(string) string, ltsConf string) *Settings {
	return &Settings{getenv: getenv, path: ltsConf}
}

// Get returns a setting, or "" for one that is not set. An lts.conf that is not there, or that no
// client can read, sets nothing.
func (s *Settings) Get(key string) string {
	if value := s.getenv(key); value != "" {
		return value
	}
	if s.conf == nil {
		s.conf = read(s.path)
	}
	return s.conf[key]
}

// read reads what this client sees of an lts.conf.
func read(path string) map[string]string {
	conf := map[string]string{}
	text, err := readConf(path)
	if err != nil {
		return conf
	}
	file, err := ltsconf.Parse(path, text)
	if err != nil {
		return conf
	}
	if file, err = file.Expand(readConf); err != nil {
		return conf
	}
	for _, setting := range file.Lookup(identity()) {
		conf[setting.Key] = setting.Value
	}
	return conf
}

// readConf reads an lts.conf, or a file that it includes.
func readConf(path string) ([]byte, error) { return regular.Read(path, regular.MaxText) }

// identity is what getltscfg takes: the host's name, and address and MAC of the first interface
// that is up.
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
