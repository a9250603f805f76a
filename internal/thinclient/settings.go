// Package thinclient reads the settings that a program on a thin client runs with: those in its
// environment, where LDM puts them, and otherwise those that lts.conf has for this machine.
// Programs on servers do not use it.
package thinclient

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"ltskeeper/internal/regular"
	"ltskeeper/ldm"
	"ltskeeper/ltsconf"
)

// ConfPath is the path of lts.conf on clients.
const ConfPath = "/etc/lts.conf"

// Settings are those of this client.
type Settings struct {
	getenv func(string) string
	path   string            // of lts.conf
	conf   map[string]string // once it was needed
}

// NewSettings returns settings that come from an environment and, if they are not set there, from
// an lts.conf.
func NewSettings(getenv func(string) string, ltsConf string) *Settings {
	return &Settings{getenv: getenv, path: ltsConf}
}

// Get returns a setting, or "" if it is not set. An lts.conf that does not exist, or that no client
// can read, sets nothing.
func (s *Settings) Get(key string) string {
	if value := s.getenv(key); value != "" {
		return value
	}
	if s.conf == nil {
		s.conf = readSettings(s.path)
	}
	return s.conf[key]
}

// Servers returns the names in the arguments, or those in LDM_SERVER if there are none.
func (s *Settings) Servers(args []string) ([]string, error) {
	for _, list := range []string{strings.Join(args, " "), s.Get("LDM_SERVER")} {
		if names := ldm.SplitNames(list); len(names) > 0 {
			return names, nil
		}
	}
	return nil, fmt.Errorf("there are no servers: neither an argument nor LDM_SERVER names one, here or in %s", s.path)
}

// Policy returns the policy that LDM_BALANCE names, or the default if it does not name one.
func (s *Settings) Policy() ldm.Policy { return ldm.ParsePolicy(s.Get("LDM_BALANCE")) }

// Weights returns the weights of servers in LDM_SERVER_WEIGHTS.
func (s *Settings) Weights() map[string]float64 { return ldm.ParseWeights(s.Get("LDM_SERVER_WEIGHTS")) }

// SSHPort returns SSH_OVERRIDE_PORT, or 0 if it is not set.
func (s *Settings) SSHPort() int {
	port, _ := strconv.Atoi(s.Get("SSH_OVERRIDE_PORT"))
	return port
}

// readSettings reads what this client sees of an lts.conf.
func readSettings(path string) map[string]string {
	conf := map[string]string{}
	text, err := readFile(path)
	if err != nil {
		return conf
	}
	file, err := ltsconf.Parse(path, text)
	if err != nil {
		return conf
	}
	if file, err = file.Expand(readFile); err != nil {
		return conf
	}
	for _, setting := range file.Lookup(findIdentity()) {
		conf[setting.Key] = setting.Value
	}
	return conf
}

// readFile reads an lts.conf, or a file that it includes.
func readFile(path string) ([]byte, error) { return regular.Read(path, regular.MaxText) }

// findIdentity returns what getltscfg uses: the host's name, and address and MAC of the first
// interface that is up.
func findIdentity() ltsconf.Identity {
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
