package secrets

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"ltskeeper/internal/regular"
)

// Packages knows the files of a root's Debian packages as they were installed. They are not secret:
// everybody has the packages.
type Packages struct {
	sums map[string][]sum // by path
}

type sum [md5.Size]byte

// ReadPackages reads dpkg's records of the packages in a root: the sums of their files, and of
// their configuration files. A root without dpkg has no packages. The root should be an [os.Root]'s
// file system, which no link leaves.
func ReadPackages(root fs.FS) (*Packages, error) {
	p := &Packages{sums: make(map[string][]sum)}
	lists, err := fs.Glob(root, "var/lib/dpkg/info/*.md5sums") // deb-md5sums(5)
	if err != nil {
		return nil, fmt.Errorf("read packages: %w", err)
	}
	for _, name := range lists {
		if err := p.readLines(root, name, p.addSum); err != nil {
			return nil, err
		}
	}
	return p, p.readLines(root, "var/lib/dpkg/status", p.addConffile) // deb-conffiles(5)
}

// readLines passes the lines of a file to add. A file that does not exist has none.
func (p *Packages) readLines(root fs.FS, name string, add func(line string)) error {
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
func (p *Packages) addSum(line string) {
	sum, path, _ := strings.Cut(line, " ")
	p.add(strings.TrimPrefix(strings.TrimLeft(path, " *"), "./"), sum)
}

// addConffile takes a line " /etc/x d41d8cd98f00b204e9800998ecf8427e obsolete".
func (p *Packages) addConffile(line string) {
	if rest, ok := strings.CutPrefix(line, " /"); ok {
		path, rest, _ := strings.Cut(rest, " ")
		sum, _, _ := strings.Cut(rest, " ")
		p.add(path, sum)
	}
}

// add takes a file, unless text is not a sum.
func (p *Packages) add(path, text string) {
	var s sum
	if path == "" || len(text) != hex.EncodedLen(len(s)) {
		return
	}
	if _, err := hex.Decode(s[:], []byte(text)); err == nil {
		p.sums[path] = append(p.sums[path], s)
	}
}

// IsInstalled reports whether the file at path is as a package installed it. It is opened and read
// only if a package has such a file. If a root's /lib and the like are links into /usr, path is the
// one below usr, although packages may have it by the other.
func (p *Packages) IsInstalled(path string, open func() (io.ReadCloser, error)) (bool, error) {
	known := p.sums[path]
	if merged, isMerged := strings.CutPrefix(path, "usr/"); isMerged {
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
		return false, fmt.Errorf("read %s: %w", path, err)
	}
	return slices.Contains(known, sum(hash.Sum(nil))), nil
}
