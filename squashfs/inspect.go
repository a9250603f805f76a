package squashfs

import "io"

// An inspection shows the content of files to Options.Inspect as it is read, of each file once. A nil one shows nothing.
type inspection struct {
	ask  func(path string) io.WriteCloser
	more map[*inode][]string // the names behind the first of files with several
}

func newInspection(ask func(path string) io.WriteCloser) *inspection {
	if ask == nil {
		return nil
	}
	return &inspection{ask: ask, more: make(map[*inode][]string)}
}

// addNames tells which files have several names. Until then each is shown under the one it was found by.
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

// of returns what wants to see a file that is about to be read. A file that is read twice, for its hash and for its
// data, is shown once, unless it was not read to its end.
func (n *inspection) of(i *inode) []io.WriteCloser {
	if n == nil || i.inspected {
		return nil
	}
	inspectors := []io.WriteCloser{n.ask(i.first.path)}
	for _, path := range n.more[i] {
		inspectors = append(inspectors, n.ask(path))
	}
	return inspectors
}
