package image

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ltskeeper/internal/regular"
	"ltskeeper/internal/remedy"
	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/oddtest"
)

// eachThing gives a test a place with two generations for each odd thing that may stand in a file's
// place.
func eachThing(t *testing.T, test func(t *testing.T, p *place, thing oddtest.Thing)) {
	for _, thing := range oddtest.Things() {
		t.Run(thing.Name, func(t *testing.T) {
			p := newPlace(t)
			p.update("conf 1")
			p.Write("root/etc/hostname", "two")
			p.update("conf 2")
			oddtest.Bounded(t, func() { test(t, p, thing) })
		})
	}
}

// wantBuiltAnew makes sure that a change in the tree comes into the image.
func (p *place) wantBuiltAnew(content string) {
	p.t.Helper()
	p.Write("root/etc/hostname", content)
	b := p.update("conf 2")
	img, err := openImage(filepath.Join(p.folder(b.Generation.Number), imageFile))
	testkit.Must(p.t, err)
	defer img.Close()
	testkit.Must(p.t, img.Verify(p.t.Context()))
	data, err := p.ReadFile("etc/hostname")
	testkit.Must(p.t, err)
	if b.Unchanged || string(data) != content {
		p.t.Errorf("unchanged %v, %q", b.Unchanged, data)
	}
}

// In the place of the index: an image is built from nothing, says why, and has an index again.
func TestOddIndex(t *testing.T) {
	eachThing(t, func(t *testing.T, p *place, thing oddtest.Thing) {
		index := filepath.Join(p.folder(2), indexFile)
		thing.Replace(t, index)
		if _, err := p.Verify(t.Context()); err == nil || !strings.Contains(err.Error(), "index") {
			t.Errorf("Verify: %v", err)
		}
		if _, _, err := p.WouldChange(t.Context(), p.newSource("conf 2")); err != nil {
			t.Errorf("WouldChange: %v", err)
		}
		b := p.update("conf 2")
		if !b.Unchanged || b.Full == "" {
			t.Errorf("%+v", b)
		}
		if thing.Name == "folder" {
			if len(b.Warnings) != 1 ||
				!strings.HasPrefix(b.Warnings[0], index+" is a folder and not a regular file: move it away") {
				t.Errorf("warnings: %q", b.Warnings)
			}
			b = p.update("conf 3") // gives the image a second name
			if b.Unchanged {
				t.Errorf("%+v", b)
			}
			p.wantBuiltAnew("three")
			return
		}
		if b := p.update("conf 2"); !b.Unchanged || b.Full != "" || len(b.Warnings) > 0 {
			t.Errorf("the index is not mended: %+v", b)
		}
		p.wantBuiltAnew("three")
	})
}

// In the place of the current image: the next one is built from nothing and takes its place.
func TestOddImage(t *testing.T) {
	eachThing(t, func(t *testing.T, p *place, thing oddtest.Thing) {
		path := filepath.Join(p.folder(2), imageFile)
		thing.Replace(t, path)
		if _, err := p.Verify(t.Context()); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("Verify: %v", err)
		}
		if _, err := p.ReadFile("etc/hostname"); err == nil {
			t.Error("a file was read from it")
		}
		if thing.Name != "900 GB" {
			if problem, err := p.Check(); err != nil ||
				!reflect.DeepEqual(remedy.FindIn(problem), []remedy.Remedy{remedy.Command{"image", "build", p.Name}}) {
				t.Errorf("Check: %v, %v", problem, err)
			}
			if _, err := p.Store.Rollback(1, p.now); err != nil {
				t.Errorf("Rollback from it: %v", err)
			}
			if _, err := p.Store.Rollback(2, p.now); !regular.IsOdd(err) {
				t.Errorf("Rollback to it: %v", err)
			}
			testkit.Must(t, p.Release())
			testkit.Must(t, p.disk.Replace(p.disk.PrepareLink("x86_64/2/root.img", p.Link())))
		}
		from := p.newSource("conf 2")
		from.Force = thing.Name == "900 GB" // for which there may be no room
		if changed, _, err := p.WouldChange(t.Context(), from); err != nil || !changed {
			t.Errorf("WouldChange: %v, %v", changed, err)
		}
		testkit.Must(t, p.Repair(p.now))
		b, err := p.Build(t.Context(), from, p.now)
		testkit.Must(t, err)
		if b.Unchanged || b.Full == "" || b.Generation.Number != 3 {
			t.Errorf("%+v", b)
		}
		_, err = p.Publish(b, p.now)
		testkit.Must(t, err)
		if _, err := p.Verify(t.Context()); err != nil {
			t.Errorf("Verify of the next: %v", err)
		}
		if gone, err := p.Prune(1, 0, p.now.Add(time.Hour)); err != nil || !slices.Contains(gone, 2) {
			t.Errorf("Prune: %v, %v", gone, err)
		}
	})
}

// An image that was made longer is not the one that was built.
func TestALongImage(t *testing.T) {
	p := newPlace(t)
	p.update("conf 1")
	testkit.Must(t, os.Truncate(filepath.Join(p.folder(1), imageFile), 900<<30))
	oddtest.Bounded(t, func() {
		if _, err := p.Verify(t.Context()); err == nil ||
			!strings.Contains(err.Error(), "its length is not what was written") {
			t.Errorf("Verify: %v", err)
		}
		from := p.newSource("conf 1")
		from.Force = true // there may be no room for another of that size
		b, err := p.Build(t.Context(), from, p.now)
		testkit.Must(t, err)
		if b.Unchanged || len(b.Warnings) == 0 {
			t.Errorf("%+v", b)
		}
		_, err = p.Publish(b, p.now)
		testkit.Must(t, err)
		if _, err := p.Verify(t.Context()); err != nil {
			t.Errorf("Verify of the next: %v", err)
		}
	})
}

// In the place of build.json: the generation is described by its image, and the thing is left to a
// person.
func TestOddRecord(t *testing.T) {
	eachThing(t, func(t *testing.T, p *place, thing oddtest.Thing) {
		for _, n := range []int{1, 2} {
			thing.Replace(t, filepath.Join(p.folder(n), recordFile))
		}
		list, err := p.List()
		if err != nil || len(list) != 2 || list[0].Size == 0 || list[1].Size == 0 {
			t.Errorf("List: %+v, %v", list, err)
		}
		if err := p.Pin(1); err == nil || !strings.Contains(err.Error(), recordFile) {
			t.Errorf("Pin: %v", err)
		}
		b := p.update("conf 2")
		if !b.Unchanged || len(b.Warnings) != 1 || !strings.Contains(b.Warnings[0], recordFile) ||
			!strings.Contains(b.Warnings[0], "move it away") {
			t.Errorf("%+v", b)
		}
		p.wantBuiltAnew("three")
	})
}

// In the place of what is served: it is what was published again after the next run, and no link is
// written through.
func TestOddServedFiles(t *testing.T) {
	eachThing(t, func(t *testing.T, p *place, thing oddtest.Thing) {
		for _, b := range bootFiles {
			path := filepath.Join(p.bootFolder(2), b.file)
			want, err := os.ReadFile(path)
			testkit.Must(t, err)
			thing.Replace(t, path)
			if _, err := p.Verify(t.Context()); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("Verify: %v", err)
			}
			if err := p.Repair(p.now); thing.Name == "folder" {
				if err == nil || !strings.Contains(err.Error(), path+" is a folder and not a regular file") {
					t.Errorf("Repair: %v", err)
				}
				testkit.Must(t, os.RemoveAll(path))
				testkit.Must(t, p.Repair(p.now))
			} else if err != nil {
				t.Errorf("Repair: %v", err)
			}
			if have, err := os.ReadFile(path); err != nil || !bytes.Equal(have, want) {
				t.Errorf("%s is %q, %v", path, have, err)
			}
		}
	})
}

// In the place of a generation's own kernel, initrd or lts.conf: it is not published, nor copied
// for hours.
func TestOddFilesOfAGeneration(t *testing.T) {
	eachThing(t, func(t *testing.T, p *place, thing oddtest.Thing) {
		for _, b := range bootFiles {
			path := filepath.Join(p.folder(1), b.file)
			kept, err := os.ReadFile(path)
			testkit.Must(t, err)
			thing.Replace(t, path)
			testkit.Must(t, os.RemoveAll(p.bootFolder(1)))
			if _, err := p.Store.Rollback(1, p.now); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("Rollback with %s: %v", b.file, err)
			}
			if g, err := p.Current(); err != nil || !g.isNumber(2) {
				t.Errorf("generation %v is current, %v", g, err)
			}
			testkit.Must(t, os.RemoveAll(path))
			testkit.Must(t, os.WriteFile(path, kept, 0o644))
		}
		conf := filepath.Join(p.folder(2), confFile)
		thing.Replace(t, conf)
		if _, err := p.ReadConf(2); !regular.IsOdd(err) {
			t.Errorf("ReadConf: %v", err)
		}
		if _, err := p.Verify(t.Context()); err == nil || !strings.Contains(err.Error(), conf) {
			t.Errorf("Verify: %v", err)
		}
	})
}

// A kernel or initrd that is damaged beside its image does not take the place of the sound one that
// clients fetch, and no run fails over it. If clients have none, they get that of the image.
func TestADamagedKernelIsNotServed(t *testing.T) {
	damages := map[string]func(path string){
		"short":  func(path string) { testkit.Must(t, os.WriteFile(path, []byte("?"), 0o644)) },
		"900 GB": func(path string) { testkit.Must(t, os.Truncate(path, 900<<30)) },
	}
	for name, damage := range damages {
		for _, file := range []string{kernelFile, initrdFile} {
			p := threeGenerations(t)
			damage(filepath.Join(p.folder(3), file))
			if apart, err := p.Check(); apart != nil || err != nil {
				t.Errorf("%s %s: Check: %v, %v", name, file, apart, err)
			}
			testkit.Must(t, p.Repair(p.now))
			p.wantServed("3")
			testkit.Must(t, os.Remove(filepath.Join(p.bootFolder(3), file)))
			testkit.Must(t, p.Repair(p.now))
			p.wantServed("3")
			damage(filepath.Join(p.folder(1), file))
			_, err := p.Store.Rollback(1, p.now)
			testkit.Must(t, err)
			p.wantServed("1")
		}
	}
}

// In the place of the lts.conf of the current generation: the next one has it.
func TestOddConf(t *testing.T) {
	eachThing(t, func(t *testing.T, p *place, thing oddtest.Thing) {
		thing.Replace(t, filepath.Join(p.folder(2), confFile))
		if changed, _, err := p.WouldChange(t.Context(), p.newSource("conf 2")); err != nil || !changed {
			t.Errorf("WouldChange: %v, %v", changed, err)
		}
		b, err := p.Build(t.Context(), p.newSource("conf 2"), p.now)
		testkit.Must(t, err)
		_, err = p.Publish(b, p.now)
		testkit.Must(t, err)
		if _, err := p.Verify(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// In the place of the file that says that the current generation is held, it is held.
func TestOddHeld(t *testing.T) {
	eachThing(t, func(t *testing.T, p *place, thing oddtest.Thing) {
		thing.Replace(t, filepath.Join(p.imageSide(), heldFile))
		if since, err := p.HeldSince(); err != nil || since.IsZero() {
			t.Errorf("%v, %v", since, err)
		}
		if err := p.Release(); (err != nil) != (thing.Name == "folder") {
			t.Errorf("Release: %v", err)
		}
	})
}

// In the place of the link to the current image: nothing is built, and whoever put it there is told
// to take it away.
func TestOddLink(t *testing.T) {
	eachThing(t, func(t *testing.T, p *place, thing oddtest.Thing) {
		thing.Replace(t, p.Link())
		_, err := p.Current()
		if thing.Name == "900 GB" { // somebody else's image, for all that a name tells
			testkit.Must(t, err)
			return
		}
		if err == nil || !strings.Contains(err.Error(), p.Link()) || len(remedy.FindIn(err)) != 1 {
			t.Errorf("Current: %v", err)
		}
		if _, err := p.Build(t.Context(), p.newSource("conf 3"), p.now); err == nil {
			t.Error("Build goes on")
		}
	})
}

// Somebody else's image of 900 GB is kept as it is: neither copied nor read.
func TestALongImageOfSomebodyElse(t *testing.T) {
	p := newPlace(t)
	testkit.Must(t, os.MkdirAll(p.Images, 0o755))
	testkit.Must(t, os.WriteFile(p.Link(), nil, 0o644))
	testkit.Must(t, os.Truncate(p.Link(), 900<<30))
	oddtest.Bounded(t, func() {
		p.update("conf 1")
		p.Write("root/etc/hostname", "two")
		p.update("conf 1")
		if list, err := p.List(); err != nil || fmt.Sprint(list[0].Number, list[0].Size) != "0 966367641600" {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

// In the place of a folder: an error that comes at once.
func TestOddFolders(t *testing.T) {
	eachThing(t, func(t *testing.T, p *place, thing oddtest.Thing) {
		if thing.Name == "folder" {
			return
		}
		for _, folder := range []string{p.bootFolder(2), p.bootSide(), p.Images} {
			thing.Replace(t, folder)
			err := p.Repair(p.now)
			if folder != p.Images && (err == nil || !strings.Contains(err.Error(), folder+" is not a folder")) {
				t.Errorf("Repair with %s: %v", folder, err)
			}
			if err == nil {
				_, err = p.Build(t.Context(), p.newSource("conf 3"), p.now)
			}
			if err == nil {
				t.Errorf("%s: no error", folder)
			}
			testkit.Must(t, os.RemoveAll(folder))
		}
	})
}

// A folder in the way of a link is named, with what to do, and nothing is left beside it.
func TestAFolderInTheWayOfALink(t *testing.T) {
	t.Parallel()
	p := threeGenerations(t)
	for _, name := range []string{"current", "vmlinuz", "initrd.img", "lts.conf"} {
		link := filepath.Join(p.bootSide(), name)
		testkit.Must(t, os.Remove(link))
		testkit.Must(t, os.Mkdir(link, 0o755))
		if err := p.Repair(p.now); err == nil || !strings.Contains(err.Error(), link+" is a folder and not a link") {
			t.Errorf("Repair: %v", err)
		}
		testkit.Must(t, os.Remove(link))
		testkit.Must(t, p.Repair(p.now))
		p.wantServed("3")
	}
}
