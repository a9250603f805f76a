// Package farmtest makes small farms for tests.
package farmtest

import (
	"debug/elf"
	"testing"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/elftest"
)

// Declaration is that of a farm with one chroot, client, and no server. All its files are in the
// declaration's folder.
const Declaration = `state = "state"
[image]
directory = "images"
[tftp]
directory = "tftp"
[[chroot]]
name = "client"
path = "client"
`

// New makes the farm of Declaration in a folder.
func New(t testing.TB) testkit.Folder {
	t.Helper()
	f := testkit.NewFolder(t)
	f.Write("ltskeeper.toml", Declaration)
	MakeRoot(f, "client")
	return f
}

// MakeRoot makes a small client root: it has what the kernel starts first.
func MakeRoot(f testkit.Folder, name string) {
	f.Write(name+"/etc/hostname", "client\n")
	f.WriteProgram(name+"/sbin/init", "#!/bin/sh\n")
	f.WriteProgram(name+"/bin/sh", string(elftest.Static(elf.EM_X86_64)))
}
