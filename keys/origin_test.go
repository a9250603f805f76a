package keys

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestOrigin(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		comment string
		want    Origin
		what    string
	}{
		{"", Origin{}, ""},
		{"root@app01", Origin{Note: "root@app01"}, "root@app01"},
		{"first-use 2026-11-20T12:00:00Z", Origin{How: HowFirstUse, At: noon}, "first-use"},
		{"adopted 2026-11-20T12:00:00Z", Origin{How: HowAdopted, At: noon}, "adopted"},
		{"pinned 2026-11-20T12:00:00Z", Origin{How: HowPinned, At: noon}, "pinned"},
		{"imported 2026-11-20T12:00:00Z", Origin{How: HowImported, At: noon}, "imported"},
		{"certified 2026-11-20T12:00:00Z", Origin{How: HowCertified, At: noon}, "certified"},
		{"shown 2026-11-20T12:00:00Z", Origin{How: HowShown, At: noon}, "shown"},
		{"listed 2026-11-20T12:00:00Z", Origin{How: HowListed, At: noon}, "listed"},
		{"rejected 2026-11-20T12:00:00Z", Origin{How: HowRejected, At: noon}, "rejected"},
		{"revoked 2026-11-20T12:00:00Z", Origin{How: HowRevoked, At: noon}, "revoked"},
		{"proven by SHA256:abc 2026-11-20T12:00:00Z", Origin{How: HowProven, At: noon, VouchedBy: "SHA256:abc"},
			"proven by SHA256:abc"},
		{"accepted 2026-11-20T12:00:00Z gone 2026-11-21T12:00:00Z",
			Origin{How: HowAccepted, At: noon, Gone: noon.AddDate(0, 0, 1)}, "accepted"},
		{"root@app01 gone 2026-11-21T12:00:00Z", Origin{Note: "root@app01", Gone: noon.AddDate(0, 0, 1)}, "root@app01"},
		{"the one that is gone fishing", Origin{Note: "the one that is gone fishing"}, "the one that is gone fishing"},
		{"rejected", Origin{How: HowRejected}, "rejected"},
		{"rejected by root on a Monday", Origin{How: HowRejected, Note: "by root on a Monday"},
			"rejected by root on a Monday"},
		{"rejectedly", Origin{Note: "rejectedly"}, "rejectedly"},
		{"listed", Origin{Note: "listed"}, "listed"},
		{"proven by", Origin{Note: "proven by"}, "proven by"},
	} {
		o := parseOrigin(test.comment)
		if o != test.want || o.What() != test.what {
			t.Errorf("%q: %+v, %q, want %+v, %q", test.comment, o, o.What(), test.want, test.what)
		}
		later := noon.AddDate(1, 0, 0)
		gone := o.withGone(later)
		if again := parseOrigin(gone.Comment()); again.Comment() != gone.Comment() || !again.Gone.Equal(later) ||
			!again.At.Equal(gone.At) ||
			!gone.Gone.Equal(later) || gone.How != test.want.How || !gone.At.Equal(test.want.At) {
			t.Errorf("%q gone is %q", test.comment, gone.Comment())
		}
		if back := gone.withGone(time.Time{}); test.want.Gone.IsZero() && back.Comment() != test.comment {
			t.Errorf("%q back is %q", test.comment, back.Comment())
		}
	}
}

// What a person has written is kept as it is, times included, also when the server gives up the key
// and takes it back.
func TestOriginWrittenByHand(t *testing.T) {
	t.Parallel()
	for comment, at := range map[string]time.Time{
		"accepted  2026-11-20T12:00:00Z":                noon,
		"accepted 2026-11-20T13:00:00+01:00":            noon,
		"accepted 2026-11-20T12:00:00.5Z":               noon.Add(time.Second / 2),
		"accepted\t2026-11-20T12:00:00Z":                {},
		"rejected by  root   2026-11-20T12:00:00+00:00": noon,
	} {
		o := parseOrigin(comment)
		if o.Comment() != comment || !o.At.Equal(at) {
			t.Errorf("%q: %q, %v", comment, o.Comment(), o.At)
		}
		gone := o.withGone(noon)
		if want := comment + " gone 2026-11-20T12:00:00Z"; gone.Comment() != want {
			t.Errorf("%q gone is %q", comment, gone.Comment())
		}
		if again := parseOrigin(gone.Comment()); !again.Gone.Equal(noon) || again.How != o.How ||
			again.Comment() != gone.Comment() {
			t.Errorf("%q: %+v", gone.Comment(), again)
		}
		if back := gone.withGone(time.Time{}); back.Comment() != comment {
			t.Errorf("%q back is %q", comment, back.Comment())
		}
	}
}

// Whatever is in a file of keys is written back byte for byte, and read as it always was.
func FuzzOrigin(f *testing.F) {
	const when, later = "2026-11-20T12:00:00Z", "2027-02-01T03:17:00+02:00"
	for _, word := range []string{"", "first-use", "adopted", "proven by SHA256:abc", "proven by", "rejected", "listed",
		"root@app01", "gone"} {
		for _, end := range []string{"", " " + when, " by me " + when, "  " + when, " gone " + when,
			" " + when + " gone " + later, " gone " + when + " gone " + when} {
			f.Add(word + end)
		}
	}
	f.Fuzz(func(t *testing.T, comment string) {
		o := parseOrigin(comment)
		if o.Comment() != comment {
			t.Fatalf("%q became %q", comment, o.Comment())
		}
		old := readComment(comment)
		if o.VouchedBy != old.vouchedBy || !o.At.Equal(old.at) || !o.Gone.Equal(old.gone) {
			t.Errorf("%q: %+v, want %+v", comment, o, old)
		}
		for how, want := range map[How]bool{HowRejected: old.rejected, HowListed: old.listed, HowAdopted: old.adopted} {
			if got := o.How == how; got != want {
				t.Errorf("%q is %s: %v, want %v", comment, how, got, want)
			}
		}

		line := key("e1").Line() + " " + comment + "\n"
		k, read, err := ParseKeyLine(line)
		if err != nil {
			return
		}
		file := formatKeyFile([]Stored{{k, parseOrigin(read)}})
		if want := strings.TrimRight(key("e1").Line()+" "+read, " ") + "\n"; string(file) != want {
			t.Errorf("%q was written as %q", want, file)
		}
		again, err := parseKeyFile(file)
		if err != nil || !bytes.Equal(formatKeyFile(again), file) {
			t.Errorf("%q was read and written as %q, %v", file, formatKeyFile(again), err)
		}
	})
}

// An oldOrigin is what a comment meant where the program still asked the text of it.
type oldOrigin struct {
	vouchedBy                 string
	at, gone                  time.Time
	rejected, listed, adopted bool
}

func readComment(comment string) (o oldOrigin) {
	rest := comment
	if i := strings.LastIndex(rest, " gone "); i >= 0 {
		if at, err := time.Parse(time.RFC3339, rest[i+len(" gone "):]); err == nil {
			rest, o.gone = rest[:i], at
		}
	}
	if i := strings.LastIndexByte(rest, ' '); i >= 0 {
		if at, err := time.Parse(time.RFC3339, rest[i+1:]); err == nil {
			rest, o.at = rest[:i], at
		}
	}
	o.vouchedBy, _ = strings.CutPrefix(rest, "proven by ")
	if o.vouchedBy == rest {
		o.vouchedBy = ""
	}
	o.rejected = comment == "rejected" || strings.HasPrefix(comment, "rejected ")
	o.listed = strings.HasPrefix(comment, "listed ")
	o.adopted = strings.HasPrefix(comment, "adopted ")
	return o
}

func ExampleOrigin() {
	const line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9tLyIqx6HTYuGkeVzBNHQ7YTtFnA4mAuS2BXuNcW3o " +
		"proven by SHA256:8Xk 2026-11-20T12:00:00Z\n"
	stored, _ := parseKeyFile([]byte(line))
	fmt.Println(stored[0].Origin.How, stored[0].Origin.VouchedBy)
	// Output: proven SHA256:8Xk
}

// A file of the store keeps the lines that a decision is not about, whatever their comments are.
func TestStoreKeepsCommentsWrittenByHand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	byHand := []Stored{
		storedKeys("c1", "accepted  by root  2026-01-01T13:00:00.25+01:00")[0],
		storedKeys("r1", "root@app01 gone fishing")[0],
	}
	put(t, dir, "app01.pub", byHand...)
	put(t, dir, "app01.pending",
		append(storedKeys("e2", "listed 2026-11-20T12:00:00+00:00"), storedKeys("r2", "rejected  for now")...)...)
	if _, _, err := open(t, dir).Accept(app01, []string{key("e2").Fingerprint()}, noon); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"app01.pub": key("c1").Line() + " accepted  by root  2026-01-01T13:00:00.25+01:00\n" +
			key("e2").Line() + " accepted 2026-11-20T12:00:00Z\n" + key("r1").Line() + " root@app01 gone fishing\n",
		"app01.pending": key("r2").Line() + " rejected  for now\n",
	} {
		if got, err := os.ReadFile(filepath.Join(dir, file)); err != nil || string(got) != want {
			t.Errorf("%s:\n got %q, %v\nwant %q", file, got, err, want)
		}
	}
}

// A key from elsewhere that is refused is shown with the comment that it came with.
func TestLinesKeepTheirComments(t *testing.T) {
	t.Parallel()
	lines, _ := ReadLines([]byte(key("w1").Line() + " root@app01\napp01 " + key("e1").Line() +
		" adopted 2026-11-20T12:00:00Z\n"))
	if len(lines) != 2 || lines[0].KeyWithOrigin().Origin.Comment() != "root@app01" {
		t.Fatalf("%+v", lines)
	}
	done, err := open(t, t.TempDir()).Import(app01, []Stored{lines[0].KeyWithOrigin(), lines[1].KeyWithOrigin()}, noon)
	if err != nil || len(done.Refused) != 1 || done.Refused[0].Origin.Comment() != "root@app01" {
		t.Errorf("refused %+v, %v", done.Refused, err)
	}
	if len(done.New) != 1 || done.New[0].Origin != stampOrigin(HowImported, noon) {
		t.Errorf("new %+v", done.New)
	}
}
