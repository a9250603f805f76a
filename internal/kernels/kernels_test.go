package kernels

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"
)

// root makes a client root. A value that begins with "->" is a symbolic link, and a name that ends
// in / is a folder.
func root(files map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, content := range files {
		target, isLink := strings.CutPrefix(content, "->")
		folder, isFolder := strings.CutSuffix(name, "/")
		switch {
		case isFolder:
			fsys[folder] = &fstest.MapFile{Mode: fs.ModeDir | 0o755}
		case isLink:
			fsys[name] = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
		default:
			fsys[name] = &fstest.MapFile{Data: []byte(content), Mode: 0o644}
		}
	}
	return fsys
}

func TestChoose(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		want  *Kernel
	}{
		"newest pair": {map[string]string{
			"boot/vmlinuz-6.1.0-9": "k", "boot/initrd.img-6.1.0-9": "i",
			"boot/vmlinuz-6.1.0-10": "k", "boot/initrd.img-6.1.0-10": "i"},
			&Kernel{"boot/vmlinuz-6.1.0-10", "boot/initrd.img-6.1.0-10", "6.1.0-10"}},
		"a kernel without initrd is none": {map[string]string{
			"boot/vmlinuz-6.1.0-9": "k", "boot/initrd.img-6.1.0-9": "i", "boot/vmlinuz-6.1.0-10": "k"},
			&Kernel{"boot/vmlinuz-6.1.0-9", "boot/initrd.img-6.1.0-9", "6.1.0-9"}},
		"empty files": {map[string]string{
			"boot/vmlinuz-6.1.0-9": "k", "boot/initrd.img-6.1.0-9": "i", "boot/vmlinuz-6.1.0-10": "k",
			"boot/initrd.img-6.1.0-10": "",
			"boot/vmlinuz-6.1.0-11":    "", "boot/initrd.img-6.1.0-11": "i"},
			&Kernel{"boot/vmlinuz-6.1.0-9", "boot/initrd.img-6.1.0-9", "6.1.0-9"}},
		"what the links name": {map[string]string{
			"vmlinuz": "->boot/vmlinuz-6.1.0-9", "initrd.img": "->/boot/initrd.img-6.1.0-9",
			"boot/vmlinuz-6.1.0-9": "k", "boot/initrd.img-6.1.0-9": "i",
			"boot/vmlinuz-6.1.0-10": "k", "boot/initrd.img-6.1.0-10": "i"},
			&Kernel{"boot/vmlinuz-6.1.0-9", "boot/initrd.img-6.1.0-9", "6.1.0-9"}},
		"links in /boot": {map[string]string{
			"boot/vmlinuz": "->vmlinuz-5.10", "boot/initrd.img": "->../../boot/./initrd.img-5.10",
			"boot/vmlinuz-5.10": "k", "boot/initrd.img-5.10": "i", "boot/vmlinuz-6.1": "k", "boot/initrd.img-6.1": "i"},
			&Kernel{"boot/vmlinuz-5.10", "boot/initrd.img-5.10", "5.10"}},
		"links that lead nowhere": {map[string]string{
			"vmlinuz": "->boot/vmlinuz-5", "initrd.img": "->boot/initrd.img-5",
			"boot/vmlinuz-6.1.0-9": "k", "boot/initrd.img-6.1.0-9": "i"},
			&Kernel{"boot/vmlinuz-6.1.0-9", "boot/initrd.img-6.1.0-9", "6.1.0-9"}},
		"a link through a file": {map[string]string{
			"vmlinuz": "->etc/vmlinuz", "initrd.img": "->etc/initrd.img", "etc": "a file",
			"boot/vmlinuz-6.1": "k", "boot/initrd.img-6.1": "i"},
			&Kernel{"boot/vmlinuz-6.1", "boot/initrd.img-6.1", "6.1"}},
		"boot is a link": {map[string]string{
			"boot": "->/usr/boot", "usr/boot/vmlinuz-6.1": "k", "usr/boot/initrd.img-6.1": "i"},
			&Kernel{"usr/boot/vmlinuz-6.1", "usr/boot/initrd.img-6.1", "6.1"}},
		"as Fedora names them": {map[string]string{"boot/vmlinuz-6.9.fc": "k", "boot/initramfs-6.9.fc.img": "i"},
			&Kernel{"boot/vmlinuz-6.9.fc", "boot/initramfs-6.9.fc.img", "6.9.fc"}},
		"as Arch names them": {map[string]string{"boot/vmlinuz-linux": "k", "boot/initramfs-linux.img": "i"},
			&Kernel{"boot/vmlinuz-linux", "boot/initramfs-linux.img", ""}},
		"without a version": {map[string]string{"boot/vmlinuz": "k", "boot/initrd.img": "i"},
			&Kernel{"boot/vmlinuz", "boot/initrd.img", ""}},
		"a folder":             {map[string]string{"boot/vmlinuz-6.1/x": "k", "boot/initrd.img-6.1": "i"}, nil},
		"a kernel alone":       {map[string]string{"boot/vmlinuz-6.1": "k"}, nil},
		"boot is not a folder": {map[string]string{"boot": "x"}, nil},
		"no boot":              {map[string]string{"etc/hostname": "x"}, nil},
	} {
		got, err := Choose(root(c.files))
		if err != nil || (got == nil) != (c.want == nil) || got != nil && *got != *c.want {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, c.want)
		}
	}
	_, err := Choose(root(map[string]string{"vmlinuz": "->vmlinuz", "initrd.img": "x"}))
	if !errors.Is(err, syscall.ELOOP) || !strings.Contains(err.Error(), "/vmlinuz") {
		t.Errorf("a link to itself: %v", err)
	}
}

func TestCheckModules(t *testing.T) {
	t.Parallel()
	const noModules = "CONFIG_SQUASHFS=y\n# CONFIG_MODULES is not set\n"
	for name, c := range map[string]struct {
		files   map[string]string
		version string
		want    string // in the error
	}{
		"complete": {map[string]string{"lib/modules/6.1/modules.dep": "", "lib/modules/6.1/kernel/": ""},
			"6.1", ""},
		"below /usr": {map[string]string{"usr/lib/modules/6.1/modules.dep": "",
			"usr/lib/modules/6.1/kernel/": ""}, "6.1", ""},
		"merged /usr": {map[string]string{"lib": "->usr/lib", "usr/lib/modules/6.1/modules.dep": "",
			"usr/lib/modules/6.1/kernel/": ""}, "6.1", ""},
		"none": {nil, "6.1", "/lib/modules/6.1 does not exist"},
		"of another version": {map[string]string{"lib/modules/6.2/modules.dep": "", "lib/modules/6.2/kernel/": ""},
			"6.1", "/lib/modules/6.1 does not exist"},
		"no list": {map[string]string{"lib/modules/6.1/kernel/": ""}, "6.1",
			"/lib/modules/6.1 has no modules.dep"},
		"no modules": {map[string]string{"usr/lib/modules/6.1/modules.dep": ""}, "6.1",
			"/usr/lib/modules/6.1 has no folder kernel"},
		"an empty folder": {map[string]string{"lib/modules/6.1/modules.dep": "kernel/x.ko:\n",
			"lib/modules/6.1/kernel/": ""}, "6.1", "/lib/modules/6.1 lists modules, and its folder kernel is empty"},
		"half here, half there": {map[string]string{"lib/modules/6.1/modules.dep": "",
			"usr/lib/modules/6.1/kernel/": ""}, "6.1", "has no"},
		"dangling": {map[string]string{"lib/modules/6.1": "->/nowhere"}, "6.1",
			"/lib/modules/6.1 does not exist"},
		"without support": {map[string]string{"boot/config-6.1": noModules}, "6.1", ""},
		"without support, configuration beside the modules": {map[string]string{"lib/modules/6.1/config": noModules},
			"6.1", ""},
		"of another version without support": {map[string]string{"boot/config-6.2": noModules}, "6.1",
			"does not exist"},
		"with support": {map[string]string{"boot/config-6.1": "CONFIG_MODULES=y\n"}, "6.1", "does not exist"},
		"the configuration does not say": {map[string]string{"boot/config-6.1": "#\n"}, "6.1",
			"does not exist"},
		"no version, modules of some": {map[string]string{"lib/modules/6.1/modules.dep": "",
			"lib/modules/6.1/kernel/": ""}, "", ""},
		"no version, no modules": {map[string]string{"lib/modules/": ""}, "",
			"/lib/modules has none"},
	} {
		err := CheckModules(root(c.files), Kernel{Version: c.version})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestCheckSquashfs(t *testing.T) {
	t.Parallel()
	const modern = "CONFIG_SQUASHFS=m\nCONFIG_SQUASHFS_ZLIB=y\nCONFIG_SQUASHFS_LZ4=y\nCONFIG_SQUASHFS_ZSTD=y\n"
	for name, c := range map[string]struct {
		version, config string
		unread          map[string]string // compression -> in the error
	}{
		"modern":                   {"6.1.0-9-amd64", modern, nil},
		"modern, no configuration": {"6.1.0-9-amd64", "", nil},
		"zstd not set": {"6.1",
			strings.Replace(modern, "CONFIG_SQUASHFS_ZSTD=y", "# CONFIG_SQUASHFS_ZSTD is not set",
				1), map[string]string{"zstd": "without CONFIG_SQUASHFS_ZSTD"}},
		"zstd not yet there": {"4.9.0-19-686", strings.Replace(modern, "CONFIG_SQUASHFS_ZSTD=y\n", "", 1),
			map[string]string{"zstd": "without CONFIG_SQUASHFS_ZSTD"}},
		"4.13": {"4.13.16", "", map[string]string{"zstd": "needs Linux 4.14"}},
		"4.14": {"4.14-rc1", "", nil},
		"3.16": {"3.16.0-6-686-pae", "",
			map[string]string{"zstd": "needs Linux 4.14", "lz4": "needs Linux 3.19"}},
		"ported back": {"3.10.0-1160.el7", modern, nil},
		"old options of gzip": {"2.6.32", "CONFIG_SQUASHFS=m\n",
			map[string]string{"zstd": "CONFIG_SQUASHFS_ZSTD", "lz4": "CONFIG_SQUASHFS_LZ4"}},
		"no squashfs": {"6.1", "# CONFIG_SQUASHFS is not set\n",
			map[string]string{"zstd": "without CONFIG_SQUASHFS", "lz4": "without CONFIG_SQUASHFS",
				"gzip": "without CONFIG_SQUASHFS"}},
		"no such file systems": {"6.1", "# CONFIG_MISC_FILESYSTEMS is not set\n",
			map[string]string{"zstd": "without CONFIG_SQUASHFS", "lz4": "without CONFIG_SQUASHFS",
				"gzip": "without CONFIG_SQUASHFS"}},
		"an empty configuration":     {"4.9", "#\n", map[string]string{"zstd": "needs Linux 4.14"}},
		"no version":                 {"", "", nil},
		"a version that is a name":   {"lts", "", nil},
		"a version that is a number": {"20240101", "", nil},
	} {
		files := map[string]string{}
		if c.config != "" {
			files["boot/config-"+c.version] = c.config
		}
		for _, compression := range []string{"zstd", "lz4", "gzip"} {
			err := CheckSquashfs(root(files), Kernel{Version: c.version}, compression)
			want := c.unread[compression]
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s, %s: got %v, want %q", name, compression, err, want)
			}
		}
	}
}

func TestCheckInitrd(t *testing.T) {
	t.Parallel()
	old, now := time.Unix(1, 0), time.Unix(2, 0)
	file := func(text string, at time.Time) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(text), ModTime: at}
	}
	for _, c := range []struct {
		tree fstest.MapFS
		want string
	}{
		{fstest.MapFS{"boot/vmlinuz-6": file("k", old), "boot/initrd.img-6": file("i", now)}, ""},
		{fstest.MapFS{"boot/vmlinuz-6": file("k", old), "boot/initramfs-6.img": file("i", old)}, ""},
		{fstest.MapFS{"boot/vmlinuz-6": file("k", old), "boot/initrd.img-7": file("i", now)}, "does not exist"},
		{fstest.MapFS{"boot/vmlinuz-6": file("k", old), "boot/initrd.img-6": file("", now)},
			"is empty, as a full disk leaves it"},
		{fstest.MapFS{"boot/vmlinuz-6": file("k", now), "boot/initrd.img-6": file("i", old)}, "is older than the kernel"},
		{fstest.MapFS{"boot/initrd.img-7": file("i", now)}, ""},
	} {
		err := CheckInitrd(c.tree, "6")
		if (err != nil) != (c.want != "") || err != nil && err.Error() != c.want {
			t.Errorf("%v: %v", c.tree, err)
		}
	}
}

func TestListLeftModules(t *testing.T) {
	t.Parallel()
	tree := root(map[string]string{"lib/modules/5/kernel/x.ko": "", "lib/modules/6/kernel/x.ko": "",
		"lib/modules/7/modules.dep": ""})
	if left, err := ListLeftModules(tree); len(left) > 0 || err != nil {
		t.Errorf("without a kernel: %q, %v", left, err)
	}
	tree["boot/vmlinuz-6"] = &fstest.MapFile{}
	if left, err := ListLeftModules(tree); !slices.Equal(left, []string{"5"}) || err != nil {
		t.Errorf("%q, %v", left, err)
	}
}
