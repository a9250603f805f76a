package excludes

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ltskeeper/internal/testkit"
)

// excludeTests are lists of patterns with paths that they take out and paths that they leave in,
// separated by commas.
var excludeTests = []struct {
	list, out, in string
}{
	{"etc/shadow", "etc/shadow,etc/shadow/x", "etc,etc/shadow-,shadow,usr/etc/shadow"},
	{"etc", "etc,etc/shadow", "etcetera,usr/etc"},
	{"etc/", "etc,etc/shadow", "usr"},
	{"etc//shadow", "etc/shadow", "etc"},
	{"etc\netc/shadow\nusr/lib\nusr", "etc,usr,usr/bin", "lib"},

	{"tmp/*", "tmp/a,tmp/a.b,tmp/a/.c", "tmp,tmp/.X11-unix,tmp/.X11-unix/X0"},
	{"tmp/.*", "tmp/.a,tmp/..a,tmp/.X11-unix/X0", "tmp,tmp/a,tmp/a/.b"},
	{"*/*.gz", "a/b.gz", "b.gz,a/b/c.gz,a/.gz,.a/b.gz"},
	{"*/*/*/x", "a/b/c/x,a/b/c/x/y", "a/b/x,a/b/c/d/x"},
	{"a/*/c\na/b*/d", "a/b/c,a/b/d,a/x/c", "a/x/d,a/b/e"},
	{"var/log/*.[1-9]", "var/log/syslog.1", "var/log/syslog.0,var/log/syslog.10,var/log/.1"},
	{"??-net", "70-net", "7-net,.0-net,700-net"},
	{"[!a]x", "bx,-x", "ax,.x,x"},
	{"[^a]x", "bx", "ax"},
	{"[]a]x\n[!]b]y", "]x,ax,ay", "]y,by"},
	{"[[:digit:][:upper:]_]x", "1x,Ax,_x", "ax,-x"},
	{"[a-c-]x\n[[.d.]-e[=g=]]y", "ax,cx,-x,dy,ey,gy", "dx,fy"},
	{`x\*\[`, "x*[", "xa["},
	{`[\]-]x`, "]x,-x", `\x`},
	{"(a|b))", "(a|b))", "a"},
	{"[\x80-\xff]\xc3?", "\xe4\xc3\xa4", "a\xc3\xa4,\xe4\xc3\xa4\xa4"},

	{"etc/.!(java)", "etc/.pwd.lock,etc/.javax", "etc/.java,etc/java,etc"},
	{"!(a|b*)", "c,ab,.x", "a,b,bc"},
	{"x!(y)z", "xz,xyyz,xaz", "xyz"},
	{"@(a|b)c", "ac,bc", "c,abc,aac"},
	{"?(a|b)c", "ac,bc,c", "abc"},
	{"*(a|b)c", "ac,bc,c,abbac", "abd"},
	{"+(a|b)c", "ac,bc,abbac", "c"},
	{"*(a*(b|+(c)))", "aa,abcccab", "b"},
	{"@(.a|b)", ".a,b", "a"},
	{"a@(|.)b", "ab,a.b", "a..b"},
	{"lib@(|32|64)/x", "lib/x,lib32/x,lib64/x", "lib16/x,lib,lib32"},

	{"... *.pyc", "a.pyc,a/b.pyc,a/b/c.pyc/d", ".pyc,pyc"},
	{"... x", "x,a/x,a/b/x/c", "a/b"},
	{"...", "...", "a"},
	{"a/*\n... b", "a/x,x/b,b", "a,x/a/x"},

	{"# a\n\n   # b\n  c\n\t\\#d\n\\ e\n\\*f", "c,#d, e,f,xf", "a,b,# a"},
	{"a\\ ", "a ", "a"},
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, test := range excludeTests {
		e := mustParse(t, test.list)
		for _, path := range strings.Split(test.out, ",") {
			if !e.Match(path) {
				t.Errorf("%q leaves %q in", test.list, path)
			}
		}
		for _, path := range strings.Split(test.in, ",") {
			if e.Match(path) {
				t.Errorf("%q takes %q out", test.list, path)
			}
		}
	}
}

// mksquashfs before 4.7 takes everything out that matches the first component of a floating
// pattern, so this is not among excludeTests.
func TestMatchFloatingPath(t *testing.T) {
	t.Parallel()
	e := mustParse(t, "... doc/*.gz\n... */x/y")
	for path, want := range map[string]bool{
		"doc/a.gz": true, "usr/share/doc/a.gz": true, "a/x/y": true, "a/b/x/y": true, "doc/doc/a.gz": true,
		"doc": false, "usr/doc": false, "doc/x/a.gz": false, "x/y": false, "a/x": false,
	} {
		if got := e.Match(path); got != want {
			t.Errorf("Match(%q) = %v, want %v", path, got, want)
		}
	}
}

func TestNilPatterns(t *testing.T) {
	t.Parallel()
	var e *Patterns
	if e.Match("a") || e.Empties(".") {
		t.Error("a nil *Patterns takes something out")
	}
}

func TestEmpties(t *testing.T) {
	t.Parallel()
	e := mustParse(t, "tmp/*\nvar/log/*/*\netc/*.gz\nsrv")
	for dir, want := range map[string]bool{
		"tmp": true, "var/log/apt": true, "srv": true, "srv/x": true,
		"var/log": false, "etc": false, ".": false, "": false,
	} {
		if got := e.Empties(dir); got != want {
			t.Errorf("Empties(%q) = %v, want %v", dir, got, want)
		}
	}
	if !mustParse(t, "*").Empties(".") {
		t.Error(`"*" does not empty the root`)
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		"/etc/shadow":  "slash",
		"... /etc":     "slash",
		"./etc":        `"."`,
		"etc/../x":     `".."`,
		"... ":         "names nothing",
		"a ":           "white space",
		"a\r":          "white space",
		"etc/[a":       `\[`,
		"etc/[a/b]":    "never closed",
		"[":            "never closed",
		"[]":           "never closed",
		"[!]":          "never closed",
		"[a-":          "never closed",
		`[\`:           "never closed",
		"[[:alpha:]":   "never closed",
		"[[:alhpa:]]":  "[:alhpa:]",
		"[z-a]":        "z-a",
		"@(a/b)":       "@( is never closed",
		"?(":           "never closed",
		"x*(a|!(b)|":   "never closed",
		`a\`:           `\`,
		`!(a\)`:        "never closed",
		tooDeepPattern: "deep",
	} {
		_, err := Parse([]string{"fine", pattern})
		if err == nil {
			t.Errorf("%q: no error", pattern)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %q does not say %q", pattern, err, want)
		}
	}
	_, err := Parse([]string{"/a", "b", "[c"})
	if err == nil || strings.Count(err.Error(), "\n") != 1 ||
		!strings.Contains(err.Error(), `"/a"`) || !strings.Contains(err.Error(), `"[c"`) {
		t.Errorf("not both mistakes are named: %v", err)
	}
}

var tooDeepPattern = strings.Repeat("*(", 1000) + strings.Repeat(")", 1000)

func TestDefaults(t *testing.T) {
	t.Parallel()
	e, err := Parse(Defaults())
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"dev/null", "proc/1", "sys/kernel", "run/lock", "tmp/x", "tmp/.X0-lock", "mnt/x", "media/x",
		"home/user", "root/.ssh", "root/x", "srv/ltsp", "opt/ltsp", "swapfile",
		"etc/ssh/ssh_host_rsa_key", "etc/ssh/ssh_host_ed25519_key.pub", "etc/ssl/private/ssl-cert-snakeoil.key",
		"etc/shadow-", "etc/gshadow-", "etc/.pwd.lock", "etc/epoptes/server.key", "etc/mysql/debian.cnf",
		"etc/NetworkManager/system-connections/lab.nmconnection", "etc/udev/rules.d/70-persistent-net.rules",
		"var/backups/shadow.bak", "var/cache/apt/archives/a.deb", "var/cache/apt/archives/partial/a.deb",
		"var/lib/apt/lists/deb.debian.org", "var/lib/mysql/ibdata1", "var/lib/sudo/ts",
		"var/log/syslog.1", "var/log/syslog.2.gz", "var/log/apt/history.log", "var/log/x.old",
		"var/mail/user", "var/spool/cron/crontabs/user", "var/spool/cups/c00001", "var/tmp/x",
	} {
		if !e.Match(path) {
			t.Errorf("%s is in", path)
		}
	}
	for _, path := range []string{
		"dev", "proc", "sys", "run", "tmp", "root", "home", "srv", "mnt", "media", "boot/vmlinuz",
		"etc/ssh", "etc/ssh/ssh_config", "etc/ssh/ssh_known_hosts", "etc/shadow", "etc/passwd", "etc/group",
		"etc/.java", "etc/.java/.systemPrefs", "etc/lts.conf", "etc/ssl/certs/ca.pem", "etc/ssl/private",
		"etc/NetworkManager/system-connections", "var/log", "var/log/apt", "var/log/journal", "var/log/lastlog",
		"var/lib/dpkg/status", "var/spool/cron/crontabs", "var/cache/apt/archives", "usr/share/doc/x.gz",
	} {
		if e.Match(path) {
			t.Errorf("%s is out", path)
		}
	}
}

// mksquashfs itself agrees with excludeTests.
func TestMksquashfsAgrees(t *testing.T) {
	t.Parallel()
	testkit.NeedPrograms(t, "mksquashfs", "unsquashfs")
	for _, test := range excludeTests {
		root := t.TempDir()
		for _, path := range strings.Split(test.out+","+test.in, ",") {
			if err := os.MkdirAll(filepath.Join(root, path), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		kept := mksquashfsKeeps(t, root, test.list)
		for _, path := range strings.Split(test.out, ",") {
			if kept[path] {
				t.Errorf("mksquashfs: %q leaves %q in", test.list, path)
			}
		}
		for _, path := range strings.Split(test.in, ",") {
			if !kept[path] {
				t.Errorf("mksquashfs: %q takes %q out", test.list, path)
			}
		}
	}
}

// Random patterns leave out what mksquashfs leaves out.
func TestMatchAsMksquashfs(t *testing.T) {
	t.Parallel()
	testkit.NeedPrograms(t, "mksquashfs", "unsquashfs")
	root := t.TempDir()
	random := rand.New(rand.NewPCG(1, 2))
	var paths []string
	for range 300 {
		path := randomName(random)
		for random.IntN(2) == 0 {
			path += "/" + randomName(random)
		}
		if err := os.MkdirAll(filepath.Join(root, path), 0o755); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	for range 200 {
		pattern := randomPattern(random, 0)
		if random.IntN(5) == 0 {
			pattern = "... " + pattern
		} else if random.IntN(3) == 0 {
			pattern += "/" + randomPattern(random, 0)
		}
		e, err := Parse([]string{pattern})
		if err != nil || fnmatchDiffers.MatchString(pattern) {
			continue
		}
		kept := mksquashfsKeeps(t, root, pattern)
		for _, path := range paths {
			if e.Match(path) == kept[path] {
				t.Errorf("%q: Match(%q) = %v, and mksquashfs differs", pattern, path, e.Match(path))
			}
		}
	}
}

// fnmatchDiffers are patterns that glibc takes other than it says: behind a * it lets no group
// match nothing, and in !( ) a * matches an empty beginning even in front of a leading period.
var fnmatchDiffers = regexp.MustCompile(`\*\)*(\|[^)]*\))?[?*+@!]\(|!\((.*\|)?\*\)*`)

func randomName(random *rand.Rand) string {
	const bytes = "aaabb.-"
	name := make([]byte, random.IntN(4)+1)
	for i := range name {
		name[i] = bytes[random.IntN(len(bytes))]
	}
	if strings.Trim(string(name), ".") == "" {
		return "a"
	}
	return string(name)
}

func randomPattern(random *rand.Rand, depth int) string {
	atoms := []string{"a", "b", ".", "-", "*", "?", "[ab]", "[!a]", "[^.]", "[a-c]", "[[:punct:]b]", "[]a-]", `\a`}
	var b strings.Builder
	for range random.IntN(4) + 1 {
		if depth == 3 || random.IntN(3) > 0 {
			b.WriteString(atoms[random.IntN(len(atoms))])
			continue
		}
		b.WriteByte("?@*+!"[random.IntN(5)])
		b.WriteString("(" + randomPattern(random, depth+1))
		for random.IntN(2) == 0 {
			b.WriteString("|" + randomPattern(random, depth+1))
		}
		b.WriteString(")")
	}
	return b.String()
}

// mksquashfsKeeps returns which paths below root are in an image that mksquashfs makes with an
// exclude file of the given contents.
func mksquashfsKeeps(t *testing.T, root, list string) map[string]bool {
	t.Helper()
	dir := t.TempDir()
	file, image := filepath.Join(dir, "list"), filepath.Join(dir, "image")
	if err := os.WriteFile(file, []byte(list), 0o644); err != nil {
		t.Fatal(err)
	}
	testkit.Run(t, "mksquashfs", root, image, "-no-progress", "-quiet", "-wildcards", "-ef", file)
	kept := make(map[string]bool)
	for line := range strings.Lines(testkit.Run(t, "unsquashfs", "-l", "-dest", "", image)) {
		kept[strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "/")] = true
	}
	return kept
}

func mustParse(t testing.TB, list string) *Patterns {
	t.Helper()
	e, err := Parse(strings.Split(list, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// No pattern, however hostile, takes long or panics, and every match has the pattern's prefix.
func FuzzMatch(f *testing.F) {
	for _, test := range excludeTests {
		f.Add(test.list, strings.Split(test.out, ",")[0])
	}
	for _, pattern := range Defaults() {
		f.Add(pattern, "var/log/x")
	}
	f.Add("*(*(*(*(a))))b", strings.Repeat("a", 255))
	f.Add("!(!(!(*a)*)*)*!(*a*a*a*a*)b", strings.Repeat("a", 255))
	f.Add(strings.Repeat("*a", 100)+"b", strings.Repeat("a", 255))
	f.Add("... "+strings.Repeat("*/", 100)+"b", strings.Repeat("a/", 1000))
	f.Fuzz(func(t *testing.T, list, path string) {
		e, err := Parse(strings.Split(list, "\n"))
		if err != nil {
			return
		}
		if e.Match(path) && !e.Match(path+"/x") {
			t.Errorf("%q takes out %q, but not what is in it", list, path)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	e, err := Parse(Defaults())
	if err != nil {
		b.Fatal(err)
	}
	paths := []string{"usr/share/doc/libc6/changelog.Debian.gz", "etc/ssh/ssh_config", "var/log/apt/history.log"}
	for b.Loop() {
		for _, path := range paths {
			e.Match(path)
		}
	}
}
