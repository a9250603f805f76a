// Package programs builds ltskeeper's commands for tests that run them.
package programs

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ltskeeper/internal/testkit"
)

// Build builds commands, by their folders below cmd, into a folder, static as they are shipped.
//
// It also looks at every source of this module. `go test` takes an old outcome for the present one
// if no file has changed that the test has looked at since it began; what a program was built from,
// it cannot know.
func Build(t testing.TB, folder string, commands ...string) {
	t.Helper()
	lookAtSources(t)
	args := []string{"build", "-ldflags=-s -w", "-o", folder + string(filepath.Separator)}
	for _, c := range commands {
		args = append(args, "ltskeeper/cmd/"+c)
	}
	build := exec.Command("go", args...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", strings.Join(commands, " "), err, out)
	}
}

var shared struct {
	sync.Mutex
	folder string // of commands that are built already
}

// Path is where a command is that the tests of a package share. The first of them has it built, and
// Main removes it.
func Path(t testing.TB, command string) string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.folder == "" {
		folder, err := os.MkdirTemp("", command+"-test")
		if err != nil {
			t.Fatal(err)
		}
		shared.folder = folder
	}
	path := filepath.Join(shared.folder, command)
	if _, err := os.Stat(path); err != nil {
		Build(t, shared.folder, command)
	}
	return path
}

// Main runs the tests of a package whose programs come from Path. Its TestMain exits with what Main
// returns.
func Main(m *testing.M) int {
	defer func() { os.RemoveAll(shared.folder) }()
	return m.Run()
}

func lookAtSources(t testing.TB) {
	t.Helper()
	root := testkit.Root()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") || path == filepath.Join(root, "bin")) {
			return fs.SkipDir
		}
		switch name := d.Name(); {
		case strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go"), name == "go.mod", name == "go.sum":
			_, err = os.Stat(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
