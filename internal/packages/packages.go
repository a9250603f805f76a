// Package packages reads what a package manager recorded in a client root: what is installed, of
// which files, and when that changed last. It knows dpkg. A root of another package manager counts
// as one without packages.
package packages

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"ltskeeper/internal/clientfs"
	"ltskeeper/internal/regular"
)

// Files knows the files of a root's packages as they were installed.
type Files struct {
	sums map[string][]sum // by place
}

type sum [md5.Size]byte

// Where dpkg keeps its database.
const (
	infoFolder = "var/lib/dpkg/info"
	statusFile = "var/lib/dpkg/status"
)

// IsInstalled reports whether a package is installed in a root.
func IsInstalled(root fs.FS, name string) (bool, error) {
	_, _, err := clientfs.Stat(root, path.Join(infoFolder, name+".list"))
	if clientfs.IsMissing(err) {
		return false, nil
	}
	return err == nil, err
}

// FindLastChange returns when a package was last installed, upgraded or removed in a root, the zero
// time if that is not known.
func FindLastChange(root fs.FS) time.Time {
	_, info, err := clientfs.Stat(root, statusFile)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// ReadFiles reads the sums of the files that packages installed, and of their configuration files.
// The root should be an [os.Root]'s file system, which no link leaves.
func ReadFiles(root fs.FS) (*Files, error) {
	p := &Files{sums: make(map[string][]sum)}
	lists, err := fs.Glob(root, infoFolder+"/*.md5sums") // deb-md5sums(5)
	if err != nil {
		return nil, fmt.Errorf("read packages: %w", err)
	}
	for _, name := range lists {
		if err := p.readLines(root, name, p.addSum); err != nil {
			return nil, err
		}
	}
	return p, p.readLines(root, statusFile, p.addConffile) // deb-conffiles(5)
}

// readLines passes the lines of a file to add. A file that does not exist has none.
func (p *Files) readLines(root fs.FS, name string, add func(line string)) error {
	content, err := regular.ReadFS(root, name, regular.MaxText)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read packages: %w", err)
	}
	for line := range strings.Lines(string(content)) {
		add(strings.TrimSuffix(line, "\n"))
	}
	return nil
}

// addSum takes a line "d41d8cd98f00b204e9800998ecf8427e  usr/share/doc/x".
func (p *Files) addSum(line string) {
	sum, place, _ := strings.Cut(line, " ")
	p.add(strings.TrimPrefix(strings.TrimLeft(place, " *"), "./"), sum)
}

// addConffile takes a line " /etc/x d41d8cd98f00b204e9800998ecf8427e obsolete".
func (p *Files) addConffile(line string) {
	if rest, ok := strings.CutPrefix(line, " /"); ok {
		place, rest, _ := strings.Cut(rest, " ")
		sum, _, _ := strings.Cut(rest, " ")
		p.add(place, sum)
	}
}

// add takes a file, unless text is not a sum.
func (p *Files) add(place, text string) {
	var s sum
	if place == "" || len(text) != hex.EncodedLen(len(s)) {
		return
	}
	if _, err := hex.Decode(s[:], []byte(text)); err == nil {
		p.sums[place] = append(p.sums[place], s)
	}
}

// IsAsInstalled reports whether the file at a place is as a package installed it. It is opened and
// read only if a package has such a file. If a root's /lib and the like are links into /usr, the
// place is the one below usr, although packages may have it by the other.
func (p *Files) IsAsInstalled(place string, open func() (io.ReadCloser, error)) (bool, error) {
	known := p.sums[place]
	if merged, isMerged := strings.CutPrefix(place, "usr/"); isMerged {
		known = slices.Concat(known, p.sums[merged])
	}
	if len(known) == 0 {
		return false, nil
	}
	content, err := open()
	if err != nil {
		return false, err
	}
	defer content.Close()
	hash := md5.New()
	if _, err := io.Copy(hash, content); err != nil {
		return false, fmt.Errorf("read %s: %w", place, err)
	}
	return slices.Contains(known, sum(hash.Sum(nil))), nil
}
