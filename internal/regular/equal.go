package regular

import (
	"bytes"
	"io"
)

// HaveSameContent reports whether the regular files at two paths hold the same bytes. Something
// else than a regular file holds the same as nothing.
func HaveSameContent(a, b string) (bool, error) {
	fileA, err := Open(a)
	if err != nil {
		return false, ignoreOdd(err)
	}
	defer fileA.Close()
	fileB, err := Open(b)
	if err != nil {
		return false, ignoreOdd(err)
	}
	defer fileB.Close()
	infoA, err := fileA.Stat()
	if err != nil {
		return false, err
	}
	infoB, err := fileB.Stat()
	if err != nil || infoA.Size() != infoB.Size() {
		return false, err
	}
	return GiveSameBytes(fileA, fileB)
}

func ignoreOdd(err error) error {
	if IsOdd(err) {
		return nil
	}
	return err
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
