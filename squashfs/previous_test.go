package squashfs

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ltskeeper/internal/testkit/oddtest"
)

// An index with another size than its header tells, or of another content, costs neither memory nor
// time.
func TestOddIndex(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "file"), []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	g := buildGeneration(t, root, nil, Options{})
	index, err := os.ReadFile(g.path + ".index")
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(h *indexHeader)) []byte {
		var h indexHeader
		if _, err := binary.Decode(index, binary.LittleEndian, &h); err != nil {
			t.Fatal(err)
		}
		change(&h)
		return append(appendStruct(nil, h), index[binary.Size(h):]...)
	}
	for name, odd := range map[string]struct {
		head []byte
		size int64
		want string
	}{
		"empty":           {nil, 0, "its index is damaged"},
		"half a header":   {index[:50], 50, "its index is damaged"},
		"a hole":          {nil, 900 << 30, "its index is damaged"},
		"longer":          {index, 900 << 30, "its index is damaged"},
		"longer by 2 GB":  {index, 2 << 30, "its index is damaged"},
		"shorter":         {index, int64(len(index)) - 1, "its index is damaged"},
		"another version": {with(func(h *indexHeader) { h.Version++ }), 900 << 30, "version"},
		"counts that are as long": {with(func(h *indexHeader) { h.SetBytes += 256 << 20 }), int64(len(index)) + 256<<20,
			"its index is damaged"},
		"counts beyond all": {with(func(h *indexHeader) {
			h.Blocks = 1<<32 - 1
			h.SetBytes = 1<<32 - 1
		}), 21 << 30, "its index is damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(g.path+".index", odd.head, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(g.path+".index", odd.size); err != nil {
				t.Fatal(err)
			}
			p, done := g.open(t)
			defer done()
			oddtest.Bounded(t, func() {
				if _, err := readPrevious(p); err == nil || !strings.Contains(err.Error(), odd.want) {
					t.Errorf("%v, want %q", err, odd.want)
				}
				var again bytes.Buffer
				next, err := os.Create(filepath.Join(t.TempDir(), "image"))
				if err != nil {
					t.Fatal(err)
				}
				defer next.Close()
				result, err := Build(t.Context(), next, root, Options{Previous: p, Index: &again})
				if err != nil || result.Reason == "" || result.Digest != g.result.Digest || again.Len() == 0 {
					t.Errorf("%+v, %v", result, err)
				}
			})
		})
	}
}
