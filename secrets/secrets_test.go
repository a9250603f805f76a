package secrets

import (
	"bytes"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"ltskeeper/internal/packages"
	"ltskeeper/internal/testkit"
)

// testKey is what a package may hold for its tests, and testSum is its MD5.
const testKey = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIB5VwOVkEJpq0oh98vz4/LdBy6+enYjmfb7qQqeM65UB
-----END PRIVATE KEY-----
`

const testSum = "c5e0abd703576ab2e1a749a673e80d62"

// writeSplit writes text in pieces of random length.
func writeSplit(w io.Writer, text []byte, random *rand.Rand) {
	longest := 1 << random.IntN(18)
	for len(text) > 0 {
		n := min(len(text), 1+random.IntN(longest))
		w.Write(text[:n])
		text = text[n:]
	}
}

// noise is what may stand around a key: bytes of any kind, and pieces of keys.
func noise(random *rand.Rand, length int) []byte {
	pieces := []string{pemMark, puttyMark, "-----BEGIN RSA PRIVATE KEY-----\n", "-----", "-", "P", "PuTTY-User-", "\n",
		`\n`, `"`,
		"2: ssh-rsa\n", "Private-Lines: 1\n", "TUlJRXBBSUJBQUtDQVFFQTdW\n", "Proc-Type: 4,ENCRYPTED\n", "\x00"}
	text := make([]byte, 0, length)
	for len(text) < length {
		if random.IntN(4) == 0 {
			text = append(text, pieces[random.IntN(len(pieces))]...)
		} else {
			text = append(text, byte(random.Uint32()))
		}
	}
	return text
}

// TestAnywhere hides keys at random places in random content, and writes that in random pieces.
func TestAnywhere(t *testing.T) {
	t.Parallel()
	keys := mustSamples(t)
	var s Scanner
	for seed := range uint64(3000) {
		random := rand.New(rand.NewPCG(seed, 4))
		key := keys[random.IntN(len(keys))]
		text := append(noise(random, random.IntN(4*reach)), '\n')
		before := len(text)
		text = append(append(text, key.text...), noise(random, random.IntN(reach))...)
		s.Reset("")
		writeSplit(&s, text, random)
		got, ok := s.Result()
		if !ok || got.What != key.what {
			t.Fatalf("seed %d: %s at %d: found %+v", seed, key.name, before, got)
		}
		if got.Offset < int64(before) || got.Offset > int64(before+len(key.text)) {
			t.Fatalf("seed %d: %s at %d: found it at %d", seed, key.name, before, got.Offset)
		}
	}
}

// TestPieces writes the same content whole and in pieces: the finding is the same.
func TestPieces(t *testing.T) {
	t.Parallel()
	keys := mustSamples(t)
	var whole, pieces Scanner
	found := 0
	for seed := range uint64(3000) {
		random := rand.New(rand.NewPCG(seed, 5))
		text := noise(random, random.IntN(4*reach))
		key := keys[random.IntN(len(keys))]
		text = append(append(text, key.text...), noise(random, random.IntN(100))...)
		whole.Reset("")
		whole.Write(text)
		pieces.Reset("")
		writeSplit(&pieces, text, random)
		want, ok1 := whole.Result()
		got, ok2 := pieces.Result()
		if got != want || ok1 != ok2 {
			t.Fatalf("seed %d: %+v whole, %+v in pieces", seed, want, got)
		}
		if ok1 {
			found++
		}
	}
	if found < 100 || found == 3000 {
		t.Errorf("found %d of 3000: that compares little", found)
	}
}

// TestWriteZeros has runs of zeros at random places in content, some of them in the middle of keys
// and of tar archives: as a run they lead to the same finding, at the same offset, as written out.
func TestWriteZeros(t *testing.T) {
	t.Parallel()
	keys := mustSamples(t)
	paths := []string{"", "etc/ssl/private/a", "etc/fstab", "etc/sssd/a.conf"}
	lengths := []int{1, reach - 1, reach, tarBlock, maxLine - 1, maxLine, maxLine + 1, maxLine + reach, maxHeld - 1,
		maxHeld, maxHeld + 1, 2*maxHeld + 3}
	findings := map[string]int{}
	for seed := range uint64(250) {
		random := rand.New(rand.NewPCG(seed, 6))
		path := paths[random.IntN(len(paths))]
		var runs, written Scanner
		runs.Reset(path)
		written.Reset(path)
		size := 0
		write := func(text []byte) {
			runs.Write(text)
			written.Write(text)
			size += len(text)
		}
		writeZeros := func(n int) {
			runs.WriteZeros(int64(n))
			written.Write(make([]byte, n))
			size += n
		}
		for range 1 + random.IntN(4) {
			write(noise(random, random.IntN(2)*random.IntN(2*reach)))
			if random.IntN(2) == 0 {
				writeZeros(-size & (tarBlock - 1)) // so that a header may follow
			}
			switch n := lengths[random.IntN(len(lengths))]; random.IntN(3) {
			case 0:
				writeZeros(n)
			case 1:
				writeZeros(n + random.IntN(3) - 1)
			default:
				writeZeros(random.IntN(3 * maxHeld))
			}
			if size%tarBlock == 0 && random.IntN(2) == 0 {
				header := make([]byte, tarBlock)
				copy(header[257:], "ustar")
				write(header)
			} else {
				write([]byte("\n"))
			}
			if random.IntN(4) == 0 { // a header in front of a body may hold anything, up to a line's length
				write([]byte("-----BEGIN RSA PRIVATE KEY-----\nComment: "))
				writeZeros(lengths[random.IntN(len(lengths))])
				write([]byte("\n"))
			}
			key := keys[random.IntN(len(keys))].text
			if cut := random.IntN(2 * len(key)); cut < len(key) {
				write([]byte(key[:cut]))
				writeZeros(lengths[random.IntN(len(lengths))])
				write([]byte(key[cut:]))
			} else {
				write([]byte(key))
			}
			if !reflect.DeepEqual(runs, written) {
				t.Fatalf("seed %d: a run of zeros leaves the scanner in another state than the same zeros written out",
					seed)
			}
		}
		got, ok := runs.Result()
		want, wanted := written.Result()
		if got != want || ok != wanted {
			t.Fatalf("seed %d, %q: %+v (%v) of runs, %+v (%v) written out", seed, path, got, ok, want, wanted)
		}
		findings[want.What]++
	}
	if len(findings) < 5 {
		t.Errorf("found only %v: that compares little", findings)
	}
}

// TestManyZeros has more zeros than anybody could write out, and finds the key behind them.
func TestManyZeros(t *testing.T) {
	t.Parallel()
	key := mustSamples(t)[0]
	var s Scanner
	s.Reset("var/lib/disk.img")
	const hole = 1 << 62
	s.WriteZeros(hole)
	header := make([]byte, tarBlock)
	copy(header[257:], "ustar")
	s.Write(header)
	io.WriteString(&s, key.text)
	at := int64(hole + tarBlock + strings.Index(key.text, beginning(key)))
	if got, ok := s.Result(); !ok || got.What != key.what || got.Offset != at {
		t.Errorf("found %+v, want %s at %d", got, key.what, at)
	}
	if held := cap(s.held) + cap(s.recent); held > 4*reach {
		t.Errorf("it holds %d bytes", held)
	}
}

// TestEachSplit writes a key in two pieces, cut everywhere.
func TestEachSplit(t *testing.T) {
	t.Parallel()
	for _, key := range mustSamples(t) {
		text := []byte("x\n" + key.text)
		for i := range text {
			var s Scanner
			s.Write(text[:i])
			s.Write(nil)
			s.Write(text[i:])
			if got, _ := s.Result(); got.What != key.what ||
				got.Offset != int64(strings.Index(string(text), beginning(key))) {
				t.Fatalf("%s, cut at %d: found %+v", key.name, i, got)
			}
		}
	}
}

// beginning is the mark that a key begins with, behind parameters and certificates.
func beginning(key sample) string {
	if strings.HasPrefix(key.what, "PuTTY") {
		return puttyMark
	}
	last := strings.LastIndex(key.text, pemMark)
	return key.text[last : last+20]
}

func TestReset(t *testing.T) {
	t.Parallel()
	var s Scanner
	s.Reset("etc/ssl/private/a")
	io.WriteString(&s, "x\n-----BEGIN PRIV")
	s.Reset("a")
	io.WriteString(&s, "ATE KEY-----\nTUlJRXBBSUJBQUtDQVFFQTdWTUlJRXBBSUJBQUtDQVFF\n-----END PRIVATE KEY-----\n")
	if got, ok := s.Result(); ok {
		t.Errorf("found %+v in what the last file left", got)
	}
}

// TestMemory scans much, and what makes a Scanner keep as much as it ever does.
func TestMemory(t *testing.T) {
	t.Parallel()
	var s Scanner
	s.Reset("etc/shadow.old")
	block := bytes.Repeat([]byte("-----BEGIN PRIVATE KEY-----\n"+strings.Repeat("TUlJ", 4000)+"\n"), 10)
	for range 100 {
		s.Write(block)
	}
	if cap(s.held) > 2*maxHeld || cap(s.recent) > 4*reach || s.key != nil && cap(s.key.line) > 2*maxLine {
		t.Errorf("it holds %d, %d bytes", cap(s.held), cap(s.recent))
	}
}

// scanTree returns the findings below dir, without what packages installed.
func scanTree(t *testing.T, dir string) map[string]string {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	files, err := packages.ReadFiles(root.FS())
	if err != nil {
		t.Fatal(err)
	}
	var s Scanner
	found := make(map[string]string)
	err = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := fs.ReadFile(root.FS(), path)
		if err != nil {
			return err
		}
		content, _ = RedactFile(path, content)
		s.Reset(path)
		s.Write(content)
		if finding, ok := s.Result(); ok {
			if installed, err := files.IsAsInstalled(path, func() (io.ReadCloser, error) {
				return io.NopCloser(bytes.NewReader(content)), nil
			}); installed || err != nil {
				return err
			}
			found[path] = finding.What
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestTree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put := func(path, content string) {
		t.Helper()
		file := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	programs, _ := filepath.Glob("/usr/lib/*/libgnutls.so.*.*")
	ssh := testkit.FindProgram(t, "ssh-keygen")
	for _, program := range append(programs, ssh) {
		if content, err := os.ReadFile(program); err == nil {
			put(program[1:], string(content))
		}
	}
	key := mustSamples(t)[0].text
	put("etc/key", key)
	put("etc/shadow",
		"root:$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7:19000:0:99999:7:::\n")
	put("etc/machine-id", "d41d8cd98f00b204e9800998ecf8427e\n")
	put("etc/conffile.pem", testKey)
	put("usr/lib/tests/a.pem", testKey)
	put("usr/share/tests/b.pem", testKey)
	put("usr/share/tests/changed.pem", testKey+"\n")
	put("var/lib/dpkg/info/tests.md5sums",
		testSum+"  lib/tests/a.pem\n"+testSum+"  usr/share/tests/b.pem\n"+testSum+"  usr/share/tests/changed.pem\n")
	put("var/lib/dpkg/status", "Package: tests\nConffiles:\n /etc/conffile.pem "+testSum+"\nDescription: tests\n")
	want := map[string]string{"etc/key": "OpenSSH private key", "usr/share/tests/changed.pem": "private key"}
	if got := scanTree(t, dir); !maps.Equal(got, want) {
		t.Errorf("found %v, not %v", got, want)
	}
}

// FuzzScanner: nothing panics, and how the content is cut does not matter.
func FuzzScanner(f *testing.F) {
	f.Add("", []byte(testKey), 0)
	f.Add("etc/passwd.old", []byte("root:$1$a$b:0\n"), 3)
	f.Add("root/.netrc", []byte("machine a password b"), 8)
	f.Add("a", []byte(puttyKey()), 40)
	f.Add("a", []byte(openVPNKey()), 70)
	f.Add("a", []byte(placeholder+`"-----BEGIN PRIVATE KEY-----\nTUlJ\r\n`), 60)
	f.Add("a",
		[]byte("-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: 1\n\nlIYE\n=abcd\n-----END PGP PRIVATE KEY BLOCK-----"),
		60)
	f.Fuzz(func(t *testing.T, path string, content []byte, cut int) {
		var whole, pieces Scanner
		whole.Reset(path)
		whole.Write(content)
		cut = max(0, min(cut, len(content)))
		pieces.Reset(path)
		pieces.Write(content[:cut])
		for _, c := range content[cut:] {
			pieces.Write([]byte{c})
		}
		want, ok1 := whole.Result()
		got, ok2 := pieces.Result()
		if got != want || ok1 != ok2 {
			t.Errorf("%+v whole, %+v in pieces", want, got)
		}
		if ok1 && (want.What == "" || want.Offset < 0 || want.Offset >= int64(len(content))) {
			t.Errorf("found %+v in %d bytes", want, len(content))
		}
		again := slices.Clone(content)
		if redacted, changed := RedactFile(path, again); changed == bytes.Equal(redacted, content) ||
			!bytes.Equal(again, content) {
			t.Errorf("%q became %q, changed: %v", content, redacted, changed)
		}
	})
}

// BenchmarkScanner scans what most of a root is: programs.
func BenchmarkScanner(b *testing.B) {
	program, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	content, err := os.ReadFile(program)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(content)))
	var s Scanner
	for b.Loop() {
		s.Reset("usr/lib/program")
		for rest := range slices.Chunk(content, 128<<10) {
			s.Write(rest)
		}
	}
}
