package kernels

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"

	"ltskeeper/internal/clientfs"
)

// config is how a kernel was built: the values of its options by their names, without CONFIG_ in
// front. An option that the file does not mention does not exist in that kernel, or depends on one
// that is not set.
type config map[string]string

// notSet is the value of an option that the file says is not set.
const notSet = "n"

// maxConfig bounds what is read of a configuration. Debian's has 260 KB.
const maxConfig = 4 << 20

// readConfig returns the configuration of a kernel version, nil if the root does not have it.
func readConfig(root fs.FS, version string) (config, error) {
	if version == "" {
		return nil, nil
	}
	for _, name := range []string{"boot/config-" + version, "lib/modules/" + version + "/config",
		"usr/lib/modules/" + version + "/config"} {
		_, info, err := findRegular(root, name)
		if err != nil {
			return nil, err
		}
		if info == nil {
			continue
		}
		text, err := clientfs.ReadStart(root, name, maxConfig)
		if err != nil {
			return nil, fmt.Errorf("read the kernel's configuration /%s: %w", name, err)
		}
		return parseConfig(text), nil
	}
	return nil, nil
}

func parseConfig(text []byte) config {
	c := make(config)
	for line := range bytes.Lines(text) {
		line := string(bytes.TrimRight(line, "\r\n"))
		if name, ok := strings.CutPrefix(line, "# CONFIG_"); ok {
			if name, ok := strings.CutSuffix(name, " is not set"); ok {
				c[name] = notSet
			}
		} else if option, ok := strings.CutPrefix(line, "CONFIG_"); ok {
			if name, value, ok := strings.Cut(option, "="); ok {
				c[name] = value
			}
		}
	}
	return c
}

// compressions are what a kernel needs to read an image: the option, and the first release that has
// it.
var compressions = map[string]struct {
	option       string
	major, minor int
}{
	"gzip": {"SQUASHFS_ZLIB", 2, 6},
	"lz4":  {"SQUASHFS_LZ4", 3, 19},
	"zstd": {"SQUASHFS_ZSTD", 4, 14},
}

// CheckSquashfs returns an error that says why if a kernel cannot read a squashfs image of a
// compression ("zstd", "gzip" or "lz4"), as far as its configuration tells, or otherwise its
// version. A kernel of which neither is known passes.
func CheckSquashfs(root fs.FS, k Kernel, compression string) error {
	need, known := compressions[compression]
	if !known {
		return nil
	}
	c, err := readConfig(root, k.Version)
	if err != nil {
		return err
	}
	// A configuration does not mention what belongs to a menu that is switched off.
	if c["SQUASHFS"] == notSet || c["SQUASHFS"] == "" && c["MISC_FILESYSTEMS"] == notSet {
		return errors.New("it was built without CONFIG_SQUASHFS")
	}
	if c["SQUASHFS"] != "" {
		value, mentioned := c[need.option]
		// Before there were others, gzip had no option of its own.
		if value == notSet || !mentioned && compression != "gzip" {
			return fmt.Errorf("it was built without CONFIG_%s", need.option)
		}
		return nil
	}
	major, minor, ok := parseRelease(k.Version)
	if ok && (major < need.major || major == need.major && minor < need.minor) {
		return fmt.Errorf("that needs Linux %d.%d", need.major, need.minor)
	}
	return nil
}

var release = regexp.MustCompile(`^(\d{1,4})\.(\d{1,4})(\D|$)`)

// parseRelease returns the first two numbers of a kernel version, if it begins with them.
func parseRelease(version string) (major, minor int, ok bool) {
	m := release.FindStringSubmatch(version)
	if m == nil {
		return 0, 0, false
	}
	major, _ = strconv.Atoi(m[1])
	minor, _ = strconv.Atoi(m[2])
	return major, minor, true
}
