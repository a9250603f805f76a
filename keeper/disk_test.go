package keeper

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"ltskeeper/derive"
	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/disktest"
	"ltskeeper/internal/testkit/sshdtest"
)

// Whichever disk is full, cannot be written to or breaks: the error names what is on it, clients
// have what they had, nothing unfinished is left, and once it is mended the work is done. A first
// use that was cut short is none: a person is asked.
func TestDisks(t *testing.T) {
	t.Parallel()
	type disk struct {
		name  string
		dir   string
		file  string // below it, which the error names
		fail  func(t *testing.T, dir string) (mend func())
		cause error
	}
	full := func(t *testing.T, dir string) func() { return disktest.Fill(t, dir) }
	disks := []disk{
		{"full", "state", "", full, syscall.ENOSPC},
		{"full", "images", "", full, nil}, // there is no room, before anything is tried
		{"full", "tftp", "", full, nil},
		{"read-only", "state", "", disktest.ReadOnly, syscall.EROFS},
		{"read-only", "images", "", disktest.ReadOnly, syscall.EROFS},
		{"read-only", "tftp", "", disktest.ReadOnly, syscall.EROFS},
		{"read-only", "client", "", disktest.ReadOnly, syscall.EROFS},
	}
	for _, fault := range []struct{ dir, file, ops string }{
		{"state", "keys/names", "read write sync rename"},
		{"state", "keys/app01.pub", "read"},
		{"state", "keys/log", "read write sync"},
		{"state", "keys/app02.pub", "write sync rename"},
		{"client", "etc/ssh/ssh_known_hosts", "read write sync rename"},
		{"client", "etc/lts.conf", "read write sync rename"},
		{"images", "client/.ltskeeper-new/root.img", "write sync"},
		{"images", "client/.ltskeeper-new/index", "write sync"},
		{"images", "client/.ltskeeper-new/build.json", "write sync rename"},
		{"images", "client/2", "sync rename"},
		{"images", "client.img", "rename"},
		{"tftp", "client/.ltskeeper-new/lts.conf", "write sync"},
		{"tftp", "client/2", "rename"},
	} {
		for op := range strings.FieldsSeq(fault.ops) {
			for _, cause := range []syscall.Errno{syscall.EIO, syscall.EDQUOT} {
				if cause == syscall.EDQUOT && op != "write" {
					continue
				}
				fail := func(t *testing.T, dir string) (mend func()) {
					d := disktest.Failing(t, dir)
					d.FailAt(op, filepath.Base(fault.file), cause)
					return d.Mend
				}
				disks = append(disks,
					disk{op + " of " + fault.file + ", " + cause.Error(), fault.dir, fault.file, fail, cause})
			}
		}
	}
	for _, test := range disks {
		t.Run(strings.ReplaceAll(test.dir+" "+test.name, "/", " "), func(t *testing.T) {
			t.Parallel()
			p := newTestFarm(t)
			if test.dir != "client" {
				disktest.Small(t, p.path(test.dir))
			}
			server := func(name string) {
				s := sshdtest.Start(t, sshdtest.Options{KeyTypes: []string{"ed25519"}})
				p.write("servers.d/"+name+".toml", "addresses = [\""+s.Address+"\"]\nport = 2222\n")
			}
			server("app01")
			p.update(UpdateOptions{})
			link := New(p.farm()).imageStore(p.farm().Chroots[0]).Link()
			before, err := os.Readlink(link)
			testkit.Must(t, err)

			server("app02")
			mend := test.fail(t, p.path(test.dir))
			r, err := p.openFarm().Update(t.Context(), UpdateOptions{})
			file := p.path(test.dir + "/" + test.file)
			if err == nil || test.cause != nil && !errors.Is(err, test.cause) || !strings.Contains(err.Error(), file) ||
				strings.Contains(err.Error(), ".tmp") {
				t.Errorf("%v, want an error of %s", err, file)
			}
			if now, err := os.Readlink(link); now != before {
				t.Errorf("the image is %s, was %s: %v", now, before, err)
			}
			failed := func(f File) bool { return f.Changed && strings.HasPrefix(f.Path, file) }
			if r != nil && test.dir == "client" && slices.ContainsFunc(r.Files, failed) {
				t.Errorf("the report says that files were written: %+v", r.Files)
			}
			testkit.Must(t, filepath.WalkDir(p.dir, func(path string, d fs.DirEntry, err error) error {
				if strings.HasPrefix(d.Name(), ".ltskeeper-") {
					t.Errorf("left behind: %s", path)
				}
				return err
			}))

			mend()
			p.update(UpdateOptions{})
			if test.file == "keys/log" && !strings.HasPrefix(test.name, "read") || test.file == "keys/app02.pub" {
				if _, err := p.openFarm().AcceptKeys("app02", nil); err != nil {
					t.Error(err)
				}
				p.update(UpdateOptions{})
			}
			expectContains(t, "the image's known_hosts", p.readFromImage(derive.KnownHostsPath), "\n[app02]:2222")
			if _, unreadable, err := p.openFarm().ReadLog(); err != nil || len(unreadable) > 0 {
				t.Errorf("lines %v of the log, %v", unreadable, err)
			}
		})
	}
}

// A file of a chroot that its disk does not give back leaves the clients of that chroot what they
// have, and those of others get theirs.
func TestUnreadableTree(t *testing.T) {
	t.Parallel()
	p := newTestFarm(t)
	p.addSecondChroot()
	p.write("client/usr/lib/broken.so", strings.Repeat("library", 100_000))
	p.update(UpdateOptions{})
	f := p.farm()
	read := func() (images []string) {
		for _, c := range f.Chroots {
			target, err := os.Readlink(New(f).imageStore(c).Link())
			testkit.Must(t, err)
			images = append(images, target)
		}
		return images
	}
	disk := disktest.Failing(t, p.path("client"))
	for _, root := range []string{"client", "other"} {
		p.write(root+"/etc/hostname", "new")
	}
	disk.FailAt("read", "broken.so", syscall.EIO)
	_, err := New(f).Update(t.Context(), UpdateOptions{})
	if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "chroot client: ") ||
		!strings.Contains(err.Error(), p.path("client")+": read usr/lib/broken.so: ") {
		t.Errorf("%v, want an error of the file", err)
	}
	if images := read(); !slices.Equal(images, []string{"client/1/root.img", "other/2/root.img"}) {
		t.Errorf("clients get %q", images)
	}
	if names, err := os.ReadDir(p.path("images/client")); err != nil || len(names) != 1 {
		t.Errorf("left behind: %v, %v", names, err)
	}
	disk.Mend()
	p.update(UpdateOptions{})
	if images := read(); !slices.Equal(images, []string{"client/2/root.img", "other/2/root.img"}) ||
		p.readFromImage("etc/hostname") != "new" {
		t.Errorf("mended, clients get %q", images)
	}
	for _, c := range f.Chroots {
		if _, err := New(f).imageStore(c).Verify(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
