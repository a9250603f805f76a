package keys_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ltskeeper/internal/testkit/keytest"
	"ltskeeper/keys"
)

func TestOrigin(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		comment string
		want    keys.Origin
		what    string
	}{
		{"", keys.Origin{}, ""},
		{"root@app01", keys.Origin{Note: "root@app01"}, "root@app01"},
		{"first-use 2026-11-20T12:00:00Z", keys.Origin{How: keys.HowFirstUse, At: keytest.Noon}, "first-use"},
		{"adopted 2026-11-20T12:00:00Z", keys.Origin{How: keys.HowAdopted, At: keytest.Noon}, "adopted"},
		{"pinned 2026-11-20T12:00:00Z", keys.Origin{How: keys.HowPinned, At: keytest.Noon}, "pinned"},
		{"imported 2026-11-20T12:00:00Z", keys.Origin{How: keys.HowImported, At: keytest.Noon}, "imported"},
		{"certified 2026-11-20T12:00:00Z", keys.Origin{How: keys.HowCertified, At: keytest.Noon}, "certified"},
		{"shown 2026-11-20T12:00:00Z", keys.Origin{How: keys.HowShown, At: keytest.Noon}, "shown"},
		{"listed 2026-11-20T12:00:00Z", keys.Origin{How: keys.HowListed, At: keytest.Noon}, "listed"},
		{"rejected 2026-11-20T12:00:00Z", keys.Origin{How: keys.HowRejected, At: keytest.Noon}, "rejected"},
		{"revoked 2026-11-20T12:00:00Z", keys.Origin{How: keys.HowRevoked, At: keytest.Noon}, "revoked"},
		{"proven by SHA256:abc 2026-11-20T12:00:00Z",
			keys.Origin{How: keys.HowProven, At: keytest.Noon, VouchedBy: "SHA256:abc"},
			"proven by SHA256:abc"},
		{"accepted 2026-11-20T12:00:00Z gone 2026-11-21T12:00:00Z",
			keys.Origin{How: keys.HowAccepted, At: keytest.Noon, Gone: keytest.Noon.AddDate(0, 0, 1)}, "accepted"},
		{"root@app01 gone 2026-11-21T12:00:00Z", keys.Origin{Note: "root@app01", Gone: keytest.Noon.AddDate(0, 0, 1)},
			"root@app01"},
		{"the one that is gone fishing", keys.Origin{Note: "the one that is gone fishing"},
			"the one that is gone fishing"},
		{"rejected", keys.Origin{How: keys.HowRejected}, "rejected"},
		{"rejected by root on a Monday", keys.Origin{How: keys.HowRejected, Note: "by root on a Monday"},
			"rejected by root on a Monday"},
		{"rejectedly", keys.Origin{Note: "rejectedly"}, "rejectedly"},
		{"listed", keys.Origin{Note: "listed"}, "listed"},
		{"proven by", keys.Origin{Note: "proven by"}, "proven by"},
	} {
		o := keys.ParseOrigin(test.comment)
		if o != test.want || o.What() != test.what {
			t.Errorf("%q: %+v, %q, want %+v, %q", test.comment, o, o.What(), test.want, test.what)
		}
		later := keytest.Noon.AddDate(1, 0, 0)
		gone := o.WithGone(later)
		if again := keys.ParseOrigin(gone.Comment()); again.Comment() != gone.Comment() || !again.Gone.Equal(later) ||
			!again.At.Equal(gone.At) ||
			!gone.Gone.Equal(later) || gone.How != test.want.How || !gone.At.Equal(test.want.At) {
			t.Errorf("%q gone is %q", test.comment, gone.Comment())
		}
		if back := gone.WithGone(time.Time{}); test.want.Gone.IsZero() && back.Comment() != test.comment {
			t.Errorf("%q back is %q", test.comment, back.Comment())
		}
	}
}

// What a person has written is kept as it is, times included, also when the server gives up the key
// and takes it back.
func TestOriginWrittenByHand(t *testing.T) {
	t.Parallel()
	for comment, at := range map[string]time.Time{
		"accepted  2026-11-20T12:00:00Z":                keytest.Noon,
		"accepted 2026-11-20T13:00:00+01:00":            keytest.Noon,
		"accepted 2026-11-20T12:00:00.5Z":               keytest.Noon.Add(time.Second / 2),
		"accepted\t2026-11-20T12:00:00Z":                {},
		"rejected by  root   2026-11-20T12:00:00+00:00": keytest.Noon,
	} {
		o := keys.ParseOrigin(comment)
		if o.Comment() != comment || !o.At.Equal(at) {
			t.Errorf("%q: %q, %v", comment, o.Comment(), o.At)
		}
		gone := o.WithGone(keytest.Noon)
		if want := comment + " gone 2026-11-20T12:00:00Z"; gone.Comment() != want {
			t.Errorf("%q gone is %q", comment, gone.Comment())
		}
		if again := keys.ParseOrigin(gone.Comment()); !again.Gone.Equal(keytest.Noon) || again.How != o.How ||
			again.Comment() != gone.Comment() {
			t.Errorf("%q: %+v", gone.Comment(), again)
		}
		if back := gone.WithGone(time.Time{}); back.Comment() != comment {
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
		o := keys.ParseOrigin(comment)
		if o.Comment() != comment {
			t.Fatalf("%q became %q", comment, o.Comment())
		}
		old := readComment(comment)
		if o.VouchedBy != old.vouchedBy || !o.At.Equal(old.at) || !o.Gone.Equal(old.gone) {
			t.Errorf("%q: %+v, want %+v", comment, o, old)
		}
		for how, want := range map[keys.How]bool{keys.HowRejected: old.rejected, keys.HowListed: old.listed,
			keys.HowAdopted: old.adopted} {
			if got := o.How == how; got != want {
				t.Errorf("%q is %s: %v, want %v", comment, how, got, want)
			}
		}

		line := keytest.Key("e1").FormatLine() + " " + comment + "\n"
		k, read, err := keys.ParseKeyLine(line)
		if err != nil {
			return
		}
		if !k.Equal(keytest.Key("e1")) || keys.ParseOrigin(read).Comment() != read {
			t.Errorf("%q was read as %q %q", line, k.FormatLine(), keys.ParseOrigin(read).Comment())
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
	lines, _ := keys.ReadLines([]byte(line))
	fmt.Println(lines[0].Origin.How, lines[0].Origin.VouchedBy)
	// Output: proven SHA256:8Xk
}
