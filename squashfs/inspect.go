package squashfs

import "io"

// An Inspector looks at the content of files on their way into an image.
type Inspector interface {
	// Inspect returns what is given the content of the file at a path. It is called by several
	// goroutines.
	Inspect(path string) ContentInspector
}

// A ContentInspector is given the content of one file, in order, and is then closed, also when the
// file could not be read to its end. What its methods return counts for nothing: the content goes
// into the image all the same.
type ContentInspector interface {
	io.WriteCloser
	// WriteZeros takes n zero bytes. There may be terabytes of them, so it should not treat them
	// one by one.
	WriteZeros(n int64)
}

// An inspection shows the content of files to Options.Inspector as it is read, of each file once. A
// nil one shows nothing.
type inspection struct {
	inspector Inspector
	more      map[*inode][]string // the names behind the first of files with several
}

func newInspection(inspector Inspector) *inspection {
	if inspector == nil {
		return nil
	}
	return &inspection{inspector: inspector, more: make(map[*inode][]string)}
}

// addNames tells which files have several names. Until then each is shown under the one it was
// found by.
func (n *inspection) addNames(t *tree) {
	if n == nil {
		return
	}
	for _, e := range t.names {
		if e.inode.isRegular() && e.inode.first != e {
			n.more[e.inode] = append(n.more[e.inode], e.path)
		}
	}
}

// start returns what wants to see a file that is about to be read. A file that is read twice, for
// its hash and for its data, is shown once, unless it was not read to its end.
func (n *inspection) start(i *inode) []ContentInspector {
	if n == nil || i.inspected {
		return nil
	}
	inspectors := []ContentInspector{n.inspector.Inspect(i.first.path)}
	for _, path := range n.more[i] {
		inspectors = append(inspectors, n.inspector.Inspect(path))
	}
	return inspectors
}
