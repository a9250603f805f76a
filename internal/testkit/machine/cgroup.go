package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// newCgroup makes the cgroup (version 2) below which a machine's systemd has its own.
func newCgroup(name string) (string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(mounts)) {
		before, after, _ := strings.Cut(line, " - ") // see proc(5)
		if fields := strings.Fields(before); len(fields) > 4 && strings.HasPrefix(after, "cgroup2 ") {
			return os.MkdirTemp(fields[4], "ltskeeper-"+name+"-")
		}
	}
	return "",
		errors.New("boot a machine: no cgroup2 is mounted here, which systemd needs: mount -t cgroup2 cgroup2 DIR")
}

// removeCgroup removes a cgroup and those below it, once their processes are gone.
func removeCgroup(dir string) {
	for range 100 {
		var below []string
		filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				below = append(below, path)
			}
			return nil
		})
		for i := len(below) - 1; i >= 0; i-- {
			os.Remove(below[i])
		}
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	fmt.Fprintf(os.Stderr, "machine: %s cannot be removed\n", dir)
}
