package farm

import (
	"path/filepath"

	"ltskeeper/ltsconf"
)

// KnownHostsLocalPath returns where known_hosts.local is, or would be.
func (f *Farm) KnownHostsLocalPath() string { return filepath.Join(f.Dir, "known_hosts.local") }

// ServersDir returns the folder of the files that declare servers.
func (f *Farm) ServersDir() string { return filepath.Join(f.Dir, "servers.d") }

// ServerPath returns the file that declares the server, or would.
func (f *Farm) ServerPath(name string) string { return filepath.Join(f.ServersDir(), name+".toml") }

// AdoptedFolder returns the folder with exact copies of what was taken over from clients.
func (f *Farm) AdoptedFolder() string { return filepath.Join(f.Dir, "adopted") }

// ltsConfPath returns where the lts.conf of chroots that name none is.
func (f *Farm) ltsConfPath() string { return filepath.Join(f.Dir, "lts.conf") }

// BuiltinLTSConf is used where the admin has no lts.conf. A section without a setting is not valid,
// so it has one that is true of every client.
const BuiltinLTSConf = "[default]\nLTSP_CONFIG = True\n"

// LTSConfSource returns what lts.conf of the chroot is derived from: the admin's own file, or a
// small one without any settings to speak of. Each call returns a file of its own, to be edited.
func (f *Farm) LTSConfSource(c Chroot) *ltsconf.File {
	if file := f.ltsConfs[c.LTSConf]; file != nil {
		return file.Clone()
	}
	file, err := ltsconf.Parse(c.LTSConf, []byte(BuiltinLTSConf))
	if err != nil {
		panic(err) // it is always the same
	}
	return file
}
