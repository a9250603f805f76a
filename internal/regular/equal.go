package regular

import (
	"bytes"
	"io"
	"os"
)

// HaveSameContent reports whether the regular files at two paths hold the same bytes. Anything else
// than a regular file does not.
func HaveSameContent(a, b string) (bool, error) {
	var files [2]*os.File
	for i, path := range []string{a, b} {
		f, err := Open(path)
		if IsOdd(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		defer f.Close()
		files[i] = f
	}
	return GiveSameBytes(files[0], files[1])
}

// GiveSameBytes reports whether two readers give the same bytes until both end.
func GiveSameBytes(a, b io.Reader) (bool, error) {
	bufferA, bufferB := make([]byte, 1<<20), make([]byte, 1<<20)
	for {
		n, errA := io.ReadFull(a, bufferA)
		m, errB := io.ReadFull(b, bufferB)
		for _, err := range []error{errA, errB} {
			if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
				return false, err
			}
		}
		if n != m || !bytes.Equal(bufferA[:n], bufferB[:m]) {
			return false, nil
		}
		if n < len(bufferA) {
			return true, nil
		}
	}
}
