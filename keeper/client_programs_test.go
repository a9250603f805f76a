package keeper

import (
	"bytes"
	"debug/elf"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"ltskeeper/chroot"
	"ltskeeper/farm"
	"ltskeeper/internal/remedy"
	"ltskeeper/internal/state"
	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/elftest"
)

// makeProgram makes one for a machine, with more at its end.
func makeProgram(m elf.Machine, more string) []byte { return append(elftest.Static(m), more...) }

// writeProgram writes a program, or whatever else is in its place.
func writeProgram(t *testing.T, path string, data []byte) {
	t.Helper()
	testkit.WriteFile(t, path, string(data), 0o755)
}

// openTestRoot makes a root whose programs are for a machine, and opens it.
func openTestRoot(t *testing.T, m elf.Machine) *clientRoot {
	t.Helper()
	dir := t.TempDir()
	writeProgram(t, filepath.Join(dir, "bin/sh"), makeProgram(m, ""))
	writeProgram(t, filepath.Join(dir, "sbin/init"), makeProgram(m, ""))
	writeProgram(t, filepath.Join(dir, "etc/os-release"), nil)
	writeProgram(t, filepath.Join(dir, "usr/bin/env"), nil)
	root, err := chroot.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return &clientRoot{Root: root, declared: farm.Chroot{Name: "x", Path: dir, Write: true}}
}

func TestGetHostsFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := &farm.Farm{Path: "/etc/ltskeeper/ltskeeper.toml", Balance: farm.Balance{Binaries: dir}}
	writeProgram(t, filepath.Join(dir, "amd64/get_hosts"), makeProgram(elf.EM_X86_64, "amd64"))
	writeProgram(t, filepath.Join(dir, "i386/get_hosts"), makeProgram(elf.EM_386, "i386"))
	for _, test := range []struct {
		machine elf.Machine
		want    string // the program's end
		err     string
	}{
		{elf.EM_X86_64, "amd64", ""},
		{elf.EM_386, "i386", ""},
		{elf.EM_AARCH64, "", "there is no " + dir + "/arm64/get_hosts"},
		{elf.EM_PPC64, "", "its architecture, EM_PPC64, is none that clients have programs for"},
	} {
		got, err := getHosts.find(f, openTestRoot(t, test.machine).Root, "/nonexistent")
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%v: %v, want %q", test.machine, err, test.err)
			}
		} else if err != nil || !bytes.HasSuffix(got, []byte(test.want)) {
			t.Errorf("%v: %q, %v", test.machine, got, err)
		}
	}
}

// Where no folder is declared, it is the one that make install fills, else ltskeeper's own.
func TestGetHostsInstalled(t *testing.T) {
	t.Parallel()
	f := &farm.Farm{Path: "/etc/ltskeeper/ltskeeper.toml"}
	prefix := t.TempDir()
	sbin := filepath.Join(prefix, "sbin")
	expect := func(m elf.Machine, want string, wantRemedies ...remedy.Remedy) {
		t.Helper()
		got, err := getHosts.find(f, openTestRoot(t, m).Root, sbin)
		if !bytes.HasSuffix(got, []byte(want)) || want == "" && got != nil {
			t.Errorf("%v: %q, want %q", m, got, want)
		}
		if (err != nil) != (len(wantRemedies) > 0) || !reflect.DeepEqual(remedy.FindIn(err), wantRemedies) {
			t.Errorf("%v: %v, %v, want %v", m, err, remedy.FindIn(err), wantRemedies)
		}
	}
	expect(elf.EM_X86_64, "")
	writeProgram(t, filepath.Join(sbin, "get_hosts"), makeProgram(elf.EM_X86_64, "beside"))
	expect(elf.EM_X86_64, "beside")
	expect(elf.EM_386, "", remedy.Steps{
		remedy.Advice("put one for each architecture into a folder, like client/i386/get_hosts"),
		remedy.Setting{Section: "balance", Key: "binaries", Value: `"client"`},
	})
	writeProgram(t, filepath.Join(prefix, "lib/ltskeeper/client/amd64/get_hosts"),
		makeProgram(elf.EM_X86_64, "installed"))
	expect(elf.EM_X86_64, "installed")
	expect(elf.EM_386, "", remedy.Advice("build one for i386 (make install CLIENTS=i386)"),
		remedy.Advice("remove "+filepath.Join(prefix, "lib/ltskeeper/client")))
}

// putPrograms puts the clients' programs into a root, and returns those that belong into the image.
func putPrograms(r *run, root *clientRoot) (derivedFiles, error) {
	programs, err := r.findPrograms(root)
	if err != nil {
		return nil, err
	}
	return r.putFiles(root, programs)
}

// What ltskeeper put there it replaces, and nothing else.
func TestGetHostsIsOurs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source := filepath.Join(dir, "client/amd64/get_hosts")
	r := &run{Keeper: New(&farm.Farm{State: state.Folder(dir),
		Balance: farm.Balance{Binaries: filepath.Join(dir, "client")}}),
		report: new(Report)}
	o := openTestRoot(t, elf.EM_X86_64)
	there := filepath.Join(o.Path(), getHosts.path)
	expect := func(when, want string) {
		t.Helper()
		if overlay, err := putPrograms(r, o); err != nil || overlay != nil {
			t.Fatalf("%s: %v, %v", when, overlay, err)
		}
		got, err := os.ReadFile(there)
		if err != nil || !strings.HasSuffix(string(got), want) {
			t.Errorf("%s: %q, %v, want %q", when, got, err, want)
		}
	}
	for i, version := range []string{"1", "2", "3", "4", "5", "6"} {
		writeProgram(t, source, makeProgram(elf.EM_X86_64, "version "+version))
		expect("version "+version, "version "+version)
		if info, err := os.Stat(there); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		if n := len(r.report.Files); n != i+1 || !r.report.Files[i].Changed ||
			!strings.Contains(r.report.Files[i].New, "SHA-256") {
			t.Errorf("the report has %+v", r.report.Files)
		}
	}
	if record, err := r.farm.State.Programs().Read(); err != nil || strings.Count(string(record), "x ") != 4 {
		t.Errorf("the record is %q, %v", record, err)
	}
	before, _ := os.Stat(there)
	expect("the same again", "version 6")
	if after, _ := os.Stat(there); !os.SameFile(before, after) {
		t.Error("it is written again without need")
	}

	writeProgram(t, there, []byte("#!/bin/sh\necho app07\n"))
	expect("the admin's own", "echo app07\n")
	writeProgram(t, source, makeProgram(elf.EM_X86_64, "version 7"))
	expect("the admin's own, past an upgrade", "echo app07\n")
	if err := os.Remove(source); err != nil {
		t.Fatal(err)
	}
	expect("the admin's own, where there is none of ours", "echo app07\n")
	writeProgram(t, source, makeProgram(elf.EM_X86_64, "version 7"))
	if err := os.Remove(there); err != nil {
		t.Fatal(err)
	}
	expect("once more, after the admin took it away", "version 7")
}

// A root that is never written to gets the program into its image, unless it has one.
func TestGetHostsForTheImage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeProgram(t, filepath.Join(dir, "client/amd64/get_hosts"), makeProgram(elf.EM_X86_64, "ours"))
	r := &run{Keeper: New(&farm.Farm{State: state.Folder(dir),
		Balance: farm.Balance{Binaries: filepath.Join(dir, "client")}}),
		report: new(Report)}
	o := openTestRoot(t, elf.EM_X86_64)
	o.declared.Write = false
	o.store = New(&farm.Farm{Image: farm.Image{Directory: dir}}).imageStore(o.declared)
	overlay, err := putPrograms(r, o)
	if err != nil || len(overlay) != 1 || overlay[0].mode != 0o755 {
		t.Fatalf("%+v, %v", overlay, err)
	}
	if _, err := os.Stat(filepath.Join(o.Path(), getHosts.path)); err == nil {
		t.Error("it is in the tree")
	}
	writeProgram(t, filepath.Join(o.Path(), getHosts.path), []byte("the admin's"))
	if overlay, err := putPrograms(r, o); overlay != nil || err != nil {
		t.Errorf("%+v, %v", overlay, err)
	}
}

// ldmselect comes along where it stands among the clients' programs. Each is judged by itself.
func TestLdmselectComesAlong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	client := filepath.Join(dir, "client/amd64")
	r := &run{Keeper: New(&farm.Farm{State: state.Folder(dir), Balance: farm.Balance{Binaries: filepath.Dir(client)}}),
		report: new(Report)}
	o := openTestRoot(t, elf.EM_X86_64)
	there := filepath.Join(o.Path(), "usr/bin/ldmselect")
	expect := func(when, want string) {
		t.Helper()
		if _, err := putPrograms(r, o); err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		if got, _ := os.ReadFile(there); !strings.HasSuffix(string(got), want) || want == "" && got != nil {
			t.Errorf("%s: %q, want %q", when, got, want)
		}
	}
	writeProgram(t, filepath.Join(client, "get_hosts"), makeProgram(elf.EM_X86_64, "hosts 0"))
	expect("where there is none", "")
	writeProgram(t, filepath.Join(client, "ldmselect"), makeProgram(elf.EM_X86_64, "select 1"))
	expect("where there is one", "select 1")
	for _, version := range []string{"1", "2", "3", "4", "5", "6"} {
		writeProgram(t, filepath.Join(client, "get_hosts"), makeProgram(elf.EM_X86_64, "hosts "+version))
		expect("while get_hosts changes", "select 1")
	}
	writeProgram(t, filepath.Join(client, "ldmselect"), makeProgram(elf.EM_X86_64, "select 2"))
	expect("a new one", "select 2")
	writeProgram(t, there, []byte("#!/bin/sh\n"))
	expect("the admin's own", "#!/bin/sh\n")

	// dpkg's stay dpkg's, be they the very same.
	writeProgram(t, there, makeProgram(elf.EM_X86_64, "select 2"))
	writeProgram(t, filepath.Join(o.Path(), "var/lib/dpkg/info/ltskeeper-client.list"), nil)
	writeProgram(t, filepath.Join(client, "ldmselect"), makeProgram(elf.EM_X86_64, "select 3"))
	expect("where the package is installed", "select 2")
	if err := os.Remove(there); err != nil {
		t.Fatal(err)
	}
	expect("and its file is gone", "")
}
