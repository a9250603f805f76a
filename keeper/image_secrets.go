package keeper

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"ltskeeper/farm"
	"ltskeeper/internal/excludes"
	"ltskeeper/internal/packages"
	"ltskeeper/internal/remedy"
	"ltskeeper/secrets"
	"ltskeeper/squashfs"
)

// redactSecrets lists what the image holds in place of files with password hashes or the machine's
// identity, unless they are left out of it.
func (root *clientRoot) redactSecrets() ([]squashfs.OverlayFile, error) {
	var overlay []squashfs.OverlayFile
	for _, path := range secrets.ListRedacted() {
		path, err := root.Resolve(path)
		if err != nil {
			return nil, err
		}
		if root.exclude.Match(path) {
			continue
		}
		content, err := root.Read(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if content, changed := secrets.RedactFile(path, content); changed {
			overlay = append(overlay, squashfs.OverlayFile{Path: path, Content: content, ContentOnly: true})
		}
	}
	return overlay, nil
}

// A secretSearch looks for secrets in the files that go into an image.
type secretSearch struct {
	root    *clientRoot
	name    string
	allowed *excludes.Patterns

	mu    sync.Mutex
	found map[string]secrets.Finding // by path
}

// newSecretSearch begins one, which passes over the paths that the admin means to ship.
func newSecretSearch(root *clientRoot, f *farm.Farm) (*secretSearch, error) {
	allowed, err := excludes.Parse(f.Image.AllowSecrets)
	if err != nil {
		return nil, err
	}
	name := strings.Join(append([]string{secrets.Version}, f.Image.AllowSecrets...), "\n")
	return &secretSearch{root: root, name: name, allowed: allowed, found: map[string]secrets.Finding{}}, nil
}

// Name says what counts as a secret.
func (s *secretSearch) Name() string { return s.name }

// Inspect looks at one file.
func (s *secretSearch) Inspect(path string) squashfs.ContentInspector {
	f := &searchedFile{search: s, path: path}
	f.Reset(path)
	return f
}

type searchedFile struct {
	secrets.Scanner
	search *secretSearch
	path   string
}

func (f *searchedFile) Close() error {
	s := f.search
	s.mu.Lock()
	defer s.mu.Unlock()
	if finding, found := f.Result(); found && !s.allowed.Match(f.path) {
		s.found[f.path] = finding
	} else {
		delete(s.found, f.path) // of an attempt before, while the file was being written
	}
	return nil
}

// Verdict fails if something was found that is not as a package installed it, and names all of it.
func (s *secretSearch) Verdict() error {
	if len(s.found) == 0 {
		return nil
	}
	root, err := os.OpenRoot(s.root.Path())
	if err != nil {
		return err
	}
	defer root.Close()
	installed, err := packages.ReadFiles(root.FS())
	if err != nil {
		return err
	}
	var lines, paths []string
	for path, finding := range s.found {
		isAsInstalled, err := installed.IsAsInstalled(path, func() (io.ReadCloser, error) {
			return root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // what was a file may be a fifo by now
		})
		if err != nil {
			return err
		}
		if !isAsInstalled {
			lines = append(lines, fmt.Sprintf("  %s: %s", path, finding.What))
			paths = append(paths, strconv.Quote(escapeGlob(path)))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	slices.Sort(lines)
	slices.Sort(paths)
	isMeant := "they are meant to be there"
	if len(paths) == 1 {
		isMeant = "it is meant to be there"
	}
	all := strings.Join(paths, ", ")
	return remedy.AttachTo(
		fmt.Errorf("the image would hold secrets, and whoever reaches the network can fetch it:\n%s",
			strings.Join(lines, "\n")),
		remedy.Setting{Section: "chroot", Name: s.root.declared.Name, Key: "exclude", Add: all},
		remedy.If{Condition: isMeant, Then: remedy.Setting{Section: "image", Key: "allow-secrets", Add: all}})
}
