package squashfs

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ltskeeper/internal/testkit"

	"golang.org/x/sys/unix"
)

// capability is the value of security.capability that lets a program bind to low ports:
// CAP_NET_BIND_SERVICE, permitted and effective.
func capability(revision, rootID uint32) []byte {
	b := binary.LittleEndian.AppendUint32(nil, revision|1)
	b = binary.LittleEndian.AppendUint32(b, 1<<10)
	b = append(b, make([]byte, 12)...)
	if revision == capabilityV3 {
		b = binary.LittleEndian.AppendUint32(b, rootID)
	}
	return b
}

// A tree of a user namespace is in its image as it looks from inside.
func TestIDOffset(t *testing.T) {
	t.Parallel()
	testkit.NeedRoot(t)
	const offset = 100_000
	shifted, plain := t.TempDir(), t.TempDir()
	fill := func(root string, offset int, caps []byte) {
		testkit.Must(t, os.Chtimes(root, longAgo, longAgo))
		for path, id := range map[string]int{"root": 0, "user": 1000, "last": 65535} {
			file := filepath.Join(root, path)
			testkit.Must(t, os.WriteFile(file, []byte(path), 0o644))
			testkit.Must(t, os.Link(file, file+"-2"))
			testkit.Must(t, os.Lchown(file, offset+id, offset+id/2))
			testkit.Must(t, os.Chtimes(file, longAgo, longAgo))
		}
		testkit.Must(t, unix.Setxattr(filepath.Join(root, "user"), capabilityName, caps, 0))
		testkit.Must(t, os.Chown(root, offset, offset))
		testkit.Must(t, os.Chtimes(root, longAgo, longAgo))
		testkit.Must(t, os.Chmod(root, 0o755))
	}
	fill(shifted, offset, capability(capabilityV3, offset))
	fill(plain, 0, capability(capabilityV2, 0))
	first := buildGeneration(t, shifted, nil, Options{IDOffset: offset})
	sameImage(t, "shifted and plain", first, buildGeneration(t, plain, nil, Options{}))
	if next := buildGeneration(t, shifted, first, Options{IDOffset: offset}); !next.result.Unchanged {
		t.Error("the same tree makes another image")
	}
	if different, err := DiffTree(t.Context(), openImage(t, first.path), shifted,
		Options{IDOffset: offset}); err != nil || len(different) > 0 {
		t.Errorf("%q differ from the tree: %v", pathsOf(different), err)
	}
	// Another offset makes another image of the same tree.
	next := buildGeneration(t, shifted, first, Options{})
	sameImage(t, "without an offset", next, buildGeneration(t, shifted, nil, Options{}))

	for name, change := range map[string]func(file string) error{
		"user -1":       func(file string) error { return os.Lchown(file, offset-1, offset) },
		"user 65536":    func(file string) error { return os.Lchown(file, offset+65536, offset) },
		"group 0":       func(file string) error { return os.Lchown(file, offset, 0) },
		"a link's user": func(file string) error { os.Remove(file); return os.Symlink("x", file) },
		"other capabilities": func(file string) error {
			return unix.Setxattr(file, capabilityName, capability(capabilityV3, offset+1), 0)
		},
	} {
		file := filepath.Join(shifted, "odd")
		testkit.Must(t, os.RemoveAll(file)) // of the case before
		testkit.Must(t, os.WriteFile(file, nil, 0o644))
		testkit.Must(t, os.Lchown(file, offset, offset))
		testkit.Must(t, change(file))
		_, err := Build(t.Context(), tempFile(t), shifted, Options{IDOffset: offset})
		if err == nil || !strings.Contains(err.Error(), "/odd") || !strings.Contains(err.Error(), "exclude it") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Build(t.Context(), tempFile(t), shifted,
			Options{IDOffset: offset, Exclude: mustParse(t, "odd")}); err != nil {
			t.Errorf("%s, excluded: %v", name, err)
		}
	}
}
