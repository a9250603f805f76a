package squashfs_test

import (
	"context"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"

	"ltskeeper/squashfs"
)

// An image of a tree, and a second one that is built upon it after a file has changed.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	check(err)
	defer os.RemoveAll(dir)
	motd := filepath.Join(dir, "root/etc/motd")
	check(os.MkdirAll(filepath.Dir(motd), 0o755))
	check(os.WriteFile(motd, []byte("Welcome\n"), 0o644))
	first, err := os.Create(filepath.Join(dir, "1.img"))
	check(err)
	index, err := os.Create(filepath.Join(dir, "1.index"))
	check(err)
	ctx, root := context.Background(), filepath.Join(dir, "root")
	_, err = squashfs.Build(ctx, first, root, squashfs.Options{Index: index})
	check(err)

	check(os.WriteFile(motd, []byte("Good morning\n"), 0o644))
	second, err := os.Create(filepath.Join(dir, "2.img"))
	check(err)
	result, err := squashfs.Build(ctx, second, root, squashfs.Options{
		Previous: &squashfs.Previous{Image: first, Index: index},
	})
	check(err)
	fmt.Println("unchanged:", result.Unchanged)

	image, err := squashfs.Open(second, result.Size)
	check(err)
	text, err := fs.ReadFile(image.FS(), "etc/motd")
	check(err)
	fmt.Printf("%s", text)
	// Output:
	// unchanged: false
	// Good morning
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
