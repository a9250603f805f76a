package keeper

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ltskeeper/chroot"
	"ltskeeper/farm"
	"ltskeeper/internal/packages"
	"ltskeeper/internal/regular"
	"ltskeeper/internal/remedy"
	"ltskeeper/internal/state"
)

// A clientProgram is one that clients run, and that update-image puts into their roots.
type clientProgram struct {
	name     string
	path     string
	isNeeded bool // without get_hosts, what lts.conf says of balancing would have no reader
}

var (
	// where LDM looks for it
	getHosts  = clientProgram{"get_hosts", filepath.Join("usr", "share", "ltsp", "get_hosts"), true}
	ldmselect = clientProgram{"ldmselect", filepath.Join("usr", "bin", "ldmselect"), false}
)

// isPackaged reports whether the dpkg of a root looks after the clients' programs there.
func isPackaged(root *chroot.Root) (bool, error) {
	return packages.IsInstalled(root.FS(), "ltskeeper-client")
}

// findPrograms returns those programs for the clients of a chroot that are to be put there. A file
// that somebody else put there stays: admins replace get_hosts with their own, and dpkg looks after
// what it installed.
func (k *Keeper) findPrograms(root *clientRoot) (programs derivedFiles, err error) {
	if packaged, err := isPackaged(root.Root); packaged || err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	for _, p := range []clientProgram{getHosts, ldmselect} {
		if owned, err := k.ownsProgram(root, p); err != nil {
			return nil, err
		} else if !owned {
			continue
		}
		program, err := p.find(k.farm, root.Root, filepath.Dir(self))
		if err != nil {
			return nil, err
		}
		if program != nil {
			programs = append(programs, derivedFile{p.path, program, programMode})
		}
	}
	return programs, nil
}

// ownsProgram reports whether nobody else has a program of that name in a root.
func (k *Keeper) ownsProgram(root *clientRoot, p clientProgram) (bool, error) {
	old, err := root.Read(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	written, err := loadWrittenPrograms(k.farm.State)
	return root.isWritable() && written.has(root.declared.Name, old), err
}

// find returns the program for the architecture of a root: from the folder that is declared, else
// from the one that was installed with the ltskeeper in the folder bin, else, for get_hosts, from
// that folder itself. It is nil if it is in none of these and need not be.
func (p clientProgram) find(f *farm.Farm, root *chroot.Root, bin string) ([]byte, error) {
	want, err := readRootMachine(root)
	if err != nil {
		return nil, err
	}
	folder, instead := f.Balance.Binaries, remedy.Remedy(
		remedy.Setting{Section: "balance", Key: "binaries", Change: "to another folder"})
	if folder == "" {
		folder = filepath.Join(bin, "..", "lib", "ltskeeper", "client") // where make install puts them
		instead = remedy.Advice("remove " + folder)
		if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) && p.isNeeded {
			return p.findBeside(root, bin, want)
		}
	}
	architecture := architectures[want]
	if architecture == "" && p.isNeeded {
		return nil, fmt.Errorf("install %s in %s: its architecture, %v, is none that clients have programs for", p.name,
			root.Path(), want)
	}
	path := filepath.Join(folder, architecture, p.name)
	program, err := regular.Read(path, regular.MaxText)
	switch {
	case architecture != "" && !errors.Is(err, fs.ErrNotExist):
		return program, err
	case !p.isNeeded:
		return nil, nil
	}
	return nil, remedy.AttachTo(fmt.Errorf("install %s in %s: there is no %s", p.name, root.Path(), path),
		remedy.Advice(fmt.Sprintf("build one for %[1]s (make install CLIENTS=%[1]s)", architecture)), instead)
}

// findBeside returns the program that stands beside ltskeeper, as it does where ltskeeper was
// built; nil if there is none.
func (p clientProgram) findBeside(root *chroot.Root, bin string, want elf.Machine) ([]byte, error) {
	path := filepath.Join(bin, p.name)
	program, err := regular.Read(path, regular.MaxText)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // ltskeeper alone was installed
	}
	if err != nil {
		return nil, err
	}
	if have := readMachine(program); have != want {
		return nil, remedy.AttachTo(
			fmt.Errorf("install %s in %s: %s is for %v, and the root for %v", p.name, root.Path(), path, have, want),
			remedy.Steps{
				remedy.Advice("put one for each architecture into a folder, like client/i386/get_hosts"),
				remedy.Setting{Section: "balance", Key: "binaries", Value: `"client"`},
			})
	}
	return program, nil
}

// architectures are Debian's names of those that thin clients have.
var architectures = map[elf.Machine]string{
	elf.EM_X86_64: "amd64", elf.EM_386: "i386", elf.EM_AARCH64: "arm64", elf.EM_ARM: "armhf", elf.EM_RISCV: "riscv64",
}

// readRootMachine returns what a root's programs are made for. One without programs is taken for
// like this machine.
func readRootMachine(root *chroot.Root) (elf.Machine, error) {
	for _, path := range []string{"bin/sh", "bin/busybox", "usr/bin/env", "sbin/init"} {
		program, _ := root.Read(path)
		if m := readMachine(program); m != elf.EM_NONE {
			return m, nil
		}
	}
	self, err := os.Executable()
	if err != nil {
		return elf.EM_NONE, err
	}
	program, err := os.ReadFile(self)
	return readMachine(program), err
}

// readMachine returns what a program is made for, EM_NONE if it is none.
func readMachine(program []byte) elf.Machine {
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return elf.EM_NONE
	}
	return f.Machine
}

// writtenPrograms are those that ltskeeper put into roots: on disk a line for each with the
// chroot's name, the program's SHA-256 and its path.
type writtenPrograms []string

func loadWrittenPrograms(folder state.Folder) (writtenPrograms, error) {
	data, err := folder.Programs().Read()
	switch {
	case regular.IsOdd(err):
		return nil, remedy.AttachTo(fmt.Errorf("read the record of programs in roots: %w", err),
			remedy.Advice("restore it from a backup"),
			remedy.Advice("remove it: programs in roots then count as somebody else's"))
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read the record of programs in roots: %w", err)
	}
	return strings.FieldsFunc(string(data), func(r rune) bool { return r == '\n' }), nil
}

func (w writtenPrograms) has(root string, program []byte) bool {
	prefix := fmt.Sprintf("%s %x ", root, sha256.Sum256(program))
	return slices.ContainsFunc(w, func(line string) bool { return strings.HasPrefix(line, prefix) })
}

// rememberProgram adds a program to the record. Only the last few of each path in a chroot stay: an
// older one can come back with a root that is restored from a backup, and belongs to whoever did
// that.
func rememberProgram(folder state.Folder, root string, file derivedFile) error {
	const most = 4
	written, err := loadWrittenPrograms(folder)
	if err != nil || written.has(root, file.data) {
		return err
	}
	written = append(written, fmt.Sprintf("%s %x %s", root, sha256.Sum256(file.data), file.path))
	same := 0
	for i, line := range slices.Backward(written) {
		if strings.HasPrefix(line, root+" ") && strings.HasSuffix(line, " "+file.path) {
			if same++; same > most {
				written = slices.Delete(written, i, i+1)
			}
		}
	}
	if err := folder.Programs().Write([]byte(strings.Join(written, "\n") + "\n")); err != nil {
		return fmt.Errorf("write the record of programs in roots: %w", err)
	}
	return nil
}
