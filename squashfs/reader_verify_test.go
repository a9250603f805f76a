package squashfs

import (
	"bytes"
	"errors"
	"hash/maphash"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
)

// In an image by gzip, which has checksums, no flipped bit changes what Verify finds sound, but for
// what stands in tables that do not compress.
func TestFlippedBits(t *testing.T) {
	t.Parallel()
	tree := smallTree(t)
	for name, file := range map[string]string{
		"ours":       buildImage(t, tree.root, Options{Compression: Gzip, BlockSize: 4096}),
		"mksquashfs": mksquashfs(t, tree.root, "-b", "4096"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image := readImage(t, file)
			sound, err := openBytes(image)
			if err != nil {
				t.Fatal(err)
			}
			if err := sound.Verify(t.Context()); err != nil {
				t.Fatal(err)
			}
			random := rand.New(rand.NewPCG(1, 1))
			for at := uint64(0); at < sound.super.BytesUsed; at += 1 + random.Uint64N(5) {
				flipped := bytes.Clone(image)
				flipped[at] ^= 1 << random.IntN(8)
				r, err := openBytes(flipped)
				if err != nil || r.Verify(t.Context()) != nil {
					continue
				}
				different, err := DiffImages(t.Context(), sound, r)
				if err != nil {
					t.Errorf("byte %d: Verify finds nothing, and DiffImages %v", at, err)
				}
				for _, d := range different {
					if what := strings.Join(d.What, " "); what != "owner" && what != "group" && what != "owner group" {
						t.Errorf("byte %d: Verify finds nothing, and DiffImages %s of %s", at, what, d.Path)
					}
				}
			}
		})
	}
}

// Inodes that share their lists of blocks do not have Verify read the same list for each of them.
func TestListsOverlap(t *testing.T) {
	t.Parallel()
	tree := newTorture(t)
	tree.sparse("file", 1000*minBlockSize)
	r := buildAndOpen(t, tree.root, Options{BlockSize: minBlockSize})
	v := &verifier{r: r, layouts: make(map[blockLayout]bool), seed: maphash.MakeSeed()}
	e := mustLookup(t, r, "file")
	var err error
	for range r.inodes.maxSize()/(4*1000) + 1 { // as if there were so many
		err = errors.Join(err, v.checkContent(e, new(errgroup.Group)))
	}
	if err == nil || !strings.Contains(err.Error(), "its list of blocks overlaps") {
		t.Error(err)
	}
}
