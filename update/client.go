package update

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ltskeeper/chroot"
	"ltskeeper/farm"

	"github.com/google/renameio/v2"
)

// getHostsPath is where LDM looks for the program that says which servers to try.
var getHostsPath = filepath.Join("usr", "share", "ltsp", "get_hosts")

// getHosts returns get_hosts for the clients of a chroot, if it is to be put there. A file that somebody else put there
// stays: admins replace it with their own.
func (r *run) getHosts(o *openRoot) (file derived, wanted bool, err error) {
	switch old, err := o.Read(getHostsPath); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return derived{}, false, err
	default:
		written, err := loadWritten(r.farm.State)
		if err != nil || !o.writable() || !written.has(o.declared.Name, old) {
			return derived{}, false, err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return derived{}, false, err
	}
	program, err := getHostsFor(r.farm, o.Root, filepath.Dir(self))
	return derived{path: getHostsPath, data: program, program: true}, program != nil, err
}

// putGetHosts brings get_hosts into the tree, or says that it belongs into the image only.
func (r *run) putGetHosts(o *openRoot) (intoImage []derived, err error) {
	file, wanted, err := r.getHosts(o)
	if err != nil || !wanted {
		return nil, err
	}
	if o.writable() && !r.dryRun {
		// Before the file: one of ours that is not remembered would never be replaced again.
		if err := remember(r.farm.State, o.declared.Name, file.data); err != nil {
			return nil, err
		}
	}
	into, err := r.put(o, file)
	if err != nil || !into {
		return nil, err
	}
	return []derived{file}, nil
}

// getHostsFor returns the get_hosts for the architecture of a root: from the folder that is declared, else from the one
// that was installed with the ltskeeper in the folder sbin, else from that folder itself. It is nil if none of these is
// there.
func getHostsFor(f *farm.Farm, root *chroot.Root, sbin string) ([]byte, error) {
	want, err := machineOf(root)
	if err != nil {
		return nil, err
	}
	folder, remedy := f.Balance.Binaries, "take binaries out of "+f.Path
	if folder == "" {
		folder = filepath.Join(sbin, "..", "lib", "ltskeeper", "client") // where make install puts them
		remedy = "remove " + folder
		if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
			return getHostsBeside(f, root, sbin, want)
		}
	}
	architecture := architectures[want]
	if architecture == "" {
		return nil, fmt.Errorf("install get_hosts in %s: its architecture, %v, is none that clients have programs for", root.Path(), want)
	}
	path := filepath.Join(folder, architecture, "get_hosts")
	program, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("install get_hosts in %s: there is no %s: build one for %s (make install CLIENTS=%s), or %s",
			root.Path(), path, architecture, architecture, remedy)
	}
	return program, err
}

// getHostsBeside returns the get_hosts that stands beside ltskeeper, as it does where ltskeeper was built; nil if there
// is none.
func getHostsBeside(f *farm.Farm, root *chroot.Root, sbin string, want elf.Machine) ([]byte, error) {
	path := filepath.Join(sbin, "get_hosts")
	program, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // ltskeeper alone was installed
	}
	if err != nil {
		return nil, err
	}
	if have := machine(program); have != want {
		return nil, fmt.Errorf("install get_hosts in %s: %s is for %v, and the root for %v: put one for each architecture into a folder, "+
			"like client/i386/get_hosts, and name that in %s: [balance] binaries = \"client\"", root.Path(), path, have, want, f.Path)
	}
	return program, nil
}

// architectures are Debian's names of those that thin clients have.
var architectures = map[elf.Machine]string{
	elf.EM_X86_64: "amd64", elf.EM_386: "i386", elf.EM_AARCH64: "arm64", elf.EM_ARM: "armhf", elf.EM_RISCV: "riscv64",
}

// machineOf returns what a root's programs are made for. One without programs is taken for like this machine.
func machineOf(root *chroot.Root) (elf.Machine, error) {
	for _, path := range []string{"bin/sh", "bin/busybox", "usr/bin/env", "sbin/init"} {
		program, _ := root.Read(path)
		if m := machine(program); m != elf.EM_NONE {
			return m, nil
		}
	}
	self, err := os.Executable()
	if err != nil {
		return elf.EM_NONE, err
	}
	f, err := elf.Open(self)
	if err != nil {
		return elf.EM_NONE, err
	}
	defer f.Close()
	return f.Machine, nil
}

// machine returns what a program is made for, EM_NONE if it is none.
func machine(program []byte) elf.Machine {
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return elf.EM_NONE
	}
	return f.Machine
}

// written remembers which programs ltskeeper put into roots: on disk, <state>/programs, a line for each with the chroot's
// name and the program's SHA-256.
type written struct{ lines []string }

func loadWritten(state string) (written, error) {
	data, err := os.ReadFile(filepath.Join(state, "programs"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return written{}, fmt.Errorf("read the record of programs in roots: %w", err)
	}
	return written{strings.FieldsFunc(string(data), func(r rune) bool { return r == '\n' })}, nil
}

func (w written) has(chroot string, program []byte) bool {
	return slices.Contains(w.lines, writtenLine(chroot, program))
}

func writtenLine(chroot string, program []byte) string {
	sum := sha256.Sum256(program)
	return chroot + " " + hex.EncodeToString(sum[:])
}

// remember adds a program to the record. Only the last few of each chroot stay: an older one can come back with a root
// that is restored from a backup, and belongs to whoever did that.
func remember(state, chroot string, program []byte) error {
	const keep = 4
	w, err := loadWritten(state)
	if err != nil || w.has(chroot, program) {
		return err
	}
	lines := append(w.lines, writtenLine(chroot, program))
	of := func(line string) bool { return strings.HasPrefix(line, chroot+" ") }
	for n := len(slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return !of(line) })); n > keep; n-- {
		i := slices.IndexFunc(lines, of)
		lines = slices.Delete(lines, i, i+1)
	}
	text := strings.Join(lines, "\n") + "\n"
	if err := renameio.WriteFile(filepath.Join(state, "programs"), []byte(text), 0o644); err != nil {
		return fmt.Errorf("write the record of programs in roots: %w", err)
	}
	return nil
}
