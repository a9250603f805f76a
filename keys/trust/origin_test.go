package trust

import (
	"os"
	"path/filepath"
	"testing"

	"ltskeeper/internal/testkit/keytest"
	"ltskeeper/keys"
)

// A file of the store keeps the lines that a decision is not about, whatever their comments are.
func TestStoreKeepsCommentsWrittenByHand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	byHand := []keys.Stored{
		keytest.Stored("c1", "accepted  by root  2026-01-01T13:00:00.25+01:00")[0],
		keytest.Stored("r1", "root@app01 gone fishing")[0],
	}
	put(t, dir, "app01.pub", byHand...)
	put(t, dir, "app01.pending",
		append(keytest.Stored("e2", "listed 2026-11-20T12:00:00+00:00"),
			keytest.Stored("r2", "rejected  for now")...)...)
	if _, _, err := openStore(t, dir).Accept(app01, []string{keytest.Key("e2").Fingerprint()},
		keytest.Noon); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"app01.pub": keytest.Key("c1").FormatLine() + " accepted  by root  2026-01-01T13:00:00.25+01:00\n" +
			keytest.Key("e2").FormatLine() + " accepted 2026-11-20T12:00:00Z\n" + keytest.Key("r1").FormatLine() +
			" root@app01 gone fishing\n",
		"app01.pending": keytest.Key("r2").FormatLine() + " rejected  for now\n",
	} {
		if got, err := os.ReadFile(filepath.Join(dir, file)); err != nil || string(got) != want {
			t.Errorf("%s:\n got %q, %v\nwant %q", file, got, err, want)
		}
	}
}

// A key from elsewhere that is refused is shown with the comment that it came with.
func TestLinesKeepTheirComments(t *testing.T) {
	t.Parallel()
	lines, _ := keys.ReadLines([]byte(keytest.Key("w1").FormatLine() + " root@app01\napp01 " +
		keytest.Key("e1").FormatLine() +
		" adopted 2026-11-20T12:00:00Z\n"))
	if len(lines) != 2 || lines[0].KeyWithOrigin().Origin.Comment() != "root@app01" {
		t.Fatalf("%+v", lines)
	}
	done, err := openStore(t, t.TempDir()).Import(app01,
		[]keys.Stored{lines[0].KeyWithOrigin(), lines[1].KeyWithOrigin()},
		keytest.Noon)
	if err != nil || len(done.Refused) != 1 || done.Refused[0].Origin.Comment() != "root@app01" {
		t.Errorf("refused %+v, %v", done.Refused, err)
	}
	if len(done.New) != 1 || done.New[0].Origin != done.New[0].Stamp(keys.HowImported, keytest.Noon).Origin {
		t.Errorf("new %+v", done.New)
	}
}
