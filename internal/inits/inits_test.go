package inits

import (
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"ltskeeper/internal/clientfs"
	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/elftest"
)

// makeRoot makes a client root in a new folder. A value that begins with "->" is a symbolic link,
// and a name that ends in / is a folder. Files are executable, but for those whose value begins
// with "data:".
func makeRoot(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	testkit.Must(t, os.Chmod(dir, 0o755))
	for name, content := range files {
		file := filepath.Join(dir, name)
		testkit.Must(t, os.MkdirAll(filepath.Dir(file), 0o755))
		target, isLink := strings.CutPrefix(content, "->")
		data, isData := strings.CutPrefix(content, "data:")
		switch {
		case strings.HasSuffix(name, "/"):
			testkit.Must(t, os.MkdirAll(file, 0o755))
		case isLink:
			testkit.Must(t, os.Symlink(target, file))
		case isData:
			testkit.Must(t, os.WriteFile(file, []byte(data), 0o644))
		default:
			testkit.Must(t, os.WriteFile(file, []byte(content), 0o755))
		}
	}
	return dir
}

func find(t *testing.T, dir string) (string, error) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	testkit.Must(t, err)
	defer root.Close()
	return FindInit(clientfs.NewFolder(root))
}

// ours is a program that this machine's kernel starts, where it is an x86.
var ours = string(elftest.Static(elf.EM_X86_64))

// chain is a root whose init is a script, the interpreter of which is one, and so on; n scripts in
// all.
func chain(n int) map[string]string {
	files := map[string]string{"bin/static": ours, "sbin/init": "#!/script1\n"}
	for i := 1; i < n; i++ {
		files["script"+string(rune('0'+i))] = "#!/script" + string(rune('0'+i+1)) + "\n"
	}
	files["script"+string(rune('0'+n))] = ours
	return files
}

var roots = map[string]struct {
	files map[string]string
	want  string // of the error; empty: sbin/init starts
}{
	"static": {map[string]string{"sbin/init": ours}, ""},
	"merged /usr": {map[string]string{"sbin": "->usr/sbin", "lib": "->usr/lib",
		"usr/sbin/init": "->/lib/systemd/systemd", "usr/lib/systemd/systemd": ours}, ""},
	"a link out of the root": {map[string]string{"sbin/init": "->../../../../../bin/static", "bin/static": ours},
		""},
	"a link that leads nowhere": {map[string]string{"sbin/init": "->/lib/systemd/systemd", "bin/sh": ours},
		"/sbin/init leads to /lib/systemd/systemd, which does not exist"},
	"a link to itself": {map[string]string{"sbin/init": "->init", "bin/sh": ours},
		"too many levels of symbolic links"},
	"not executable": {map[string]string{"sbin/init": "data:" + ours, "bin/sh": ours},
		"/sbin/init is not executable"},
	"empty":    {map[string]string{"sbin/init": ""}, "/sbin/init is not a program"},
	"text":     {map[string]string{"sbin/init": "echo hello\n"}, "/sbin/init is not a program"},
	"a script": {map[string]string{"sbin/init": "#!/bin/static\n", "bin/static": ours}, ""},
	"a script with an argument": {map[string]string{"sbin/init": "#! \t /bin/static \t -e\n", "bin/static": ours},
		""},
	"a script of one line":   {map[string]string{"sbin/init": "#!/bin/static", "bin/static": ours}, ""},
	"a relative interpreter": {map[string]string{"sbin/init": "#!bin/static\n", "bin/static": ours}, ""},
	"an interpreter through link": {map[string]string{"sbin/init": "#!/bin/sh\n", "bin": "->usr/bin",
		"usr/bin/sh": "->static", "usr/bin/static": ours}, ""},
	"no interpreter": {map[string]string{"sbin/init": "#!/bin/bash\n", "bin/sh": ours},
		"/sbin/init is a script whose interpreter /bin/bash does not exist"},
	"from DOS": {map[string]string{"sbin/init": "#!/bin/static\r\n", "bin/static": ours},
		`whose interpreter "/bin/static\r" does not exist`},
	"an interpreter that is data": {map[string]string{"sbin/init": "#!/bin/static\n", "bin/static": "data:" + ours},
		"whose interpreter /bin/static is not executable"},
	"names no interpreter": {map[string]string{"sbin/init": "#!\n/bin/static\n", "bin/static": ours},
		"/sbin/init is a script that names no interpreter"},
	"names blanks": {map[string]string{"sbin/init": "#! \t \n/bin/static\n", "bin/static": ours},
		"/sbin/init is a script that names no interpreter"},
	"the interpreter is cut off": {map[string]string{"sbin/init": "#!/" + strings.Repeat("bin/../", 50) +
		"bin/static\n", "bin/static": ours}, "/sbin/init is a script that names no interpreter"},
	"five scripts": {chain(5), ""},
	"six scripts":  {chain(6), "is a script again, which is one too many"},
	"its own interpreter": {map[string]string{"sbin/init": "#!/sbin/init\n"},
		"is a script again, which is one too many"},
	"no loader": {map[string]string{"sbin/init": string(elftest.Dynamic(elf.EM_X86_64,
		"/lib64/ld.so"))}, "/sbin/init is a program whose loader /lib64/ld.so does not exist"},
	"the loader is not one": {map[string]string{"sbin/init": string(elftest.Dynamic(elf.EM_X86_64,
		"/lib64/ld.so")), "lib64/ld.so": "#!/bin/static\n", "bin/static": ours},
		"whose loader /lib64/ld.so is not a program"},
	"the loader is data": {map[string]string{"sbin/init": string(elftest.Dynamic(elf.EM_X86_64,
		"/lib64/ld.so")), "lib64/ld.so": "data:" + ours}, "whose loader /lib64/ld.so is not executable"},
	"a loader": {map[string]string{"sbin/init": string(elftest.Dynamic(elf.EM_X86_64,
		"/lib64/ld.so")), "lib64/ld.so": "->/bin/static", "bin/static": ours}, ""},
	"a script whose shell has no loader": {map[string]string{"sbin/init": "#!/bin/sh\n",
		"bin/sh": string(elftest.Dynamic(elf.EM_X86_64, "/lib/ld.so"))},
		"/sbin/init is a script whose interpreter /bin/sh is a program whose loader /lib/ld.so does not exist"},
	"cut off behind the header": {map[string]string{"sbin/init": ours[:70]}, "/sbin/init is a damaged program"},
	"a header of zeros": {map[string]string{"sbin/init": elf.ELFMAG + strings.Repeat("\x00", 300)},
		"/sbin/init is a damaged program"},
}

func TestFindInit(t *testing.T) {
	t.Parallel()
	for name, c := range roots {
		got, err := find(t, makeRoot(t, c.files))
		if c.want == "" && (err != nil || got != "sbin/init") || c.want != "" &&
			(err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, c.want)
		}
	}
}

// This machine's kernel starts what FindInit says that it starts, and nothing else.
func TestFindInitAsTheKernelDoes(t *testing.T) {
	t.Parallel()
	needKernel(t)
	for name, c := range roots {
		init := exec.Command("/sbin/init")
		init.Dir, init.SysProcAttr = "/", &syscall.SysProcAttr{Chroot: makeRoot(t, c.files)}
		if err := init.Run(); (err == nil) != (c.want == "") {
			t.Errorf("%s: the kernel says %v", name, err)
		}
	}
}

// needKernel skips a test that needs root and an x86 kernel.
func needKernel(t *testing.T) {
	t.Helper()
	testkit.NeedRoot(t)
	var utsname syscall.Utsname
	testkit.Must(t, syscall.Uname(&utsname))
	if string([]byte{byte(utsname.Machine[0]), byte(utsname.Machine[1]), byte(utsname.Machine[2])}) != "x86" {
		testkit.Need(t, errors.New("needs an x86 kernel"))
	}
}

// Programs as Debian has them: a static busybox, and a shell with its loader, and without.
func TestFindRealPrograms(t *testing.T) {
	t.Parallel()
	read := func(path string) string {
		testkit.NeedPrograms(t, path)
		return testkit.ReadFile(t, path)
	}
	busybox, dash := read("/bin/busybox"), read("/bin/dash")
	loader, err := readLoader(strings.NewReader(dash), []byte(dash[:startSize]))
	if err != nil || loader == "" {
		t.Fatalf("the loader of dash is %q, %v", loader, err)
	}
	for name, c := range map[string]struct {
		files map[string]string
		want  string
		err   string
	}{
		"busybox alone": {map[string]string{"bin/busybox": busybox, "bin/sh": "->busybox"}, "bin/sh", ""},
		"busybox as init": {map[string]string{"bin/busybox": busybox, "sbin/init": "->../bin/busybox"},
			"sbin/init", ""},
		"a script of busybox": {map[string]string{"bin/busybox": busybox, "bin/sh": "->busybox",
			"sbin/init": "#!/bin/sh\nexit 0\n"}, "sbin/init", ""},
		"dash": {map[string]string{"bin/dash": dash, "bin/sh": "->dash", loader: read(loader)},
			"bin/sh", ""},
		"dash without its loader": {map[string]string{"bin/dash": dash, "bin/sh": "->dash"}, "",
			"/bin/sh is a program whose loader " + loader + " does not exist"},
		"etc/init is a folder": {map[string]string{"etc/init/rc.conf": "x", "bin/busybox": busybox,
			"bin/sh": "->busybox"}, "bin/sh", ""},
		"etc/init leads to a folder": {map[string]string{"etc/init": "->rc", "etc/rc/": "", "bin/busybox": busybox,
			"bin/sh": "->busybox"}, "bin/sh", ""},
		"nothing": {map[string]string{"etc/": ""}, "",
			"there is no program to start in it (sbin/init, etc/init, bin/init, bin/sh)"},
		"/usr is not there": {map[string]string{"bin": "->usr/bin", "sbin": "->usr/sbin"}, "",
			"there is no program to start in it"},
		"for another machine": {map[string]string{"sbin/init": string(elftest.Static(elf.EM_AARCH64))},
			"sbin/init", ""},
		"for another machine, 32 bits, without its loader": {
			map[string]string{"sbin/init": string(elftest.Dynamic(elf.EM_ARM, "/lib/ld-linux-armhf.so.3"))}, "",
			"whose loader /lib/ld-linux-armhf.so.3 does not exist"},
	} {
		got, err := find(t, makeRoot(t, c.files))
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: got %q, %v, want %q, %q", name, got, err, c.want, c.err)
		}
	}
}

// Nothing that a file says of itself makes it panic, or read without end.
func FuzzCheckStarts(f *testing.F) {
	for _, m := range []elf.Machine{elf.EM_X86_64, elf.EM_386, elf.EM_AARCH64} {
		f.Add(elftest.Static(m))
		f.Add(elftest.Dynamic(m, "/lib/ld.so"))
	}
	f.Add([]byte("#!/sbin/init\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		FindInit(fstest.MapFS{"sbin/init": {Data: content, Mode: 0o755},
			"bin/sh": {Data: []byte("#!/sbin/init"), Mode: 0o755}})
	})
}
