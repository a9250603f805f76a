package squashfs

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// In an image by gzip, which has checksums, no flipped bit changes what Verify
// finds sound, but for what stands in tables that do not compress.
func TestFlippedBits(t *testing.T) {
	t.Parallel()
	tree := smallTree(t)
	for name, file := range map[string]string{
		"ours":       build(t, tree.root, Options{Compression: Gzip, BlockSize: 4096}),
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
				different, err := Diff(t.Context(), sound, r)
				if err != nil {
					t.Errorf("byte %d: Verify finds nothing, and Diff %v", at, err)
				}
				for _, d := range different {
					if what := strings.Join(d.What, " "); what != "owner" && what != "group" && what != "owner group" {
						t.Errorf("byte %d: Verify finds nothing, and Diff %s of %s", at, what, d.Path)
					}
				}
			}
		})
	}
}
