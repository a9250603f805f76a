package trust

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"ltskeeper/internal/testkit/disktest"
	"ltskeeper/internal/testkit/keytest"
)

// story is what the log says, in short.
func story(t *testing.T, dir string) []string {
	t.Helper()
	entries, unreadable, err := openStore(t, dir).Log()
	if err != nil || len(unreadable) > 0 {
		t.Fatalf("lines %v, %v", unreadable, err)
	}
	var told []string
	for _, e := range entries {
		name := "?"
		for _, candidate := range []string{"e1", "e2", "e3", "r1", "r2", "c1"} {
			if keytest.Key(candidate).Fingerprint() == e.Key && keytest.Key(candidate).Type == e.Type {
				name = candidate
			}
		}
		told = append(told, strings.Join([]string{e.Server, name, string(e.From), string(e.To), e.By}, " "))
	}
	return told
}

// Every change of trust leaves a line, and nothing else does.
func TestLogTellsEveryChangeOfTrust(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	known := 0
	tell := func(what string, want ...string) {
		t.Helper()
		told := story(t, dir)
		if got := told[known:]; !slices.Equal(got, want) {
			t.Errorf("%s: the log says\n%q\nwant\n%q", what, got, want)
		}
		known = len(told)
	}
	collect(t, dir, app01, "e1 r1")
	tell("first use", "app01 e1 unknown trusted first-use", "app01 r1 unknown trusted first-use")
	collect(t, dir, app01, "e1 r1")
	tell("nothing new")
	collect(t, dir, app01, "e2 r1")
	tell("a key waits")
	if _, err := openStore(t, dir).Reject("app01", nil, keytest.Noon); err != nil {
		t.Fatal(err)
	}
	tell("rejected", "app01 e2 pending rejected rejected")
	if _, _, err := openStore(t, dir).Accept(app01, []string{keytest.Key("e2").Fingerprint()},
		keytest.Noon); err != nil {
		t.Fatal(err)
	}
	tell("accepted", "app01 e2 rejected trusted accepted", "app01 e1 trusted unknown replaced")
	if _, err := openStore(t, dir).Revoke("app01", keytest.Keys("r1"), keytest.Noon); err != nil {
		t.Fatal(err)
	}
	tell("revoked", "* r1 unknown revoked revoked", "app01 r1 trusted revoked revoked")
	pins := app01
	pins.Pins = []string{keytest.Key("c1").Fingerprint()}
	collect(t, dir, pins, "c1 e2")
	tell("a pin", "app01 c1 unknown trusted pinned", "app01 e2 trusted pending scan")
	if err := openStore(t, dir).Retire("app01", keytest.Noon); err != nil {
		t.Fatal(err)
	}
	tell("retired", "app01 c1 trusted unknown retired")
}

func TestLogSaysOnWhoseOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	collect(t, dir, app01, "e1")
	s := openStore(t, dir)
	s.OnOrderOf("alice")
	if _, err := s.Revoke("app01", keytest.Keys("e1"), keytest.Noon); err != nil {
		t.Fatal(err)
	}
	entries, _, err := s.Log()
	if err != nil || len(entries) != 3 || entries[0].Order != "" || entries[2].Order != "alice" ||
		!entries[2].Time.Equal(keytest.Noon) {
		t.Errorf("%+v, %v", entries, err)
	}
}

// A crash may leave half a line: what follows it is still read.
func TestLogAfterACrash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	collect(t, dir, app01, "e1")
	path := filepath.Join(dir, logFile)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"time":"2026-`); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := openStore(t, dir).Revoke("app01", keytest.Keys("e1"), keytest.Noon); err != nil {
		t.Fatal(err)
	}
	entries, unreadable, err := openStore(t, dir).Log()
	if err != nil || len(entries) != 3 || !slices.Equal(unreadable, []int{2}) {
		t.Errorf("%+v, lines %v, %v", entries, unreadable, err)
	}
}

// What cannot be logged does not happen.
func TestNoChangeWithoutItsLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	collect(t, dir, app01, "e1")
	disk := disktest.Failing(t, dir)
	for _, op := range []string{"write", "sync"} {
		disk.FailAt(op, logFile, syscall.EIO)
		if _, err := openStore(t, dir).Revoke("app01", keytest.Keys("e1"), keytest.Noon); !errors.Is(err,
			syscall.EIO) ||
			!strings.Contains(err.Error(), filepath.Join(dir, logFile)) {
			t.Errorf("%s: %v", op, err)
		}
		disk.Mend()
		s := openStore(t, dir)
		if list, err := s.Trusted("app01", nil); err != nil || keytest.Names(list) != "e1" || len(s.Lost()) > 0 {
			t.Errorf("%s: trusts %q, lost %v, %v", op, keytest.Names(list), s.Lost(), err)
		}
		if entries, unreadable, err := s.Log(); err != nil || len(entries) != 1 || len(unreadable) > 0 {
			t.Errorf("%s: %+v, lines %v, %v", op, entries, unreadable, err)
		}
	}
}

// Without its log a store does not know what was rejected, nor whether it lacks a revocation.
func TestUnreadableLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	collect(t, dir, app01, "e1")
	disk := disktest.Failing(t, dir)
	disk.FailAt("read", logFile, syscall.EIO)
	for _, open := range []func(string) (*Store, error){Open, OpenReadOnly} {
		if _, err := open(dir); !errors.Is(err, syscall.EIO) ||
			!strings.Contains(err.Error(), filepath.Join(dir, logFile)) {
			t.Error(err)
		}
	}
	disk.Mend()
	openStore(t, dir)
}

func FuzzLog(f *testing.F) {
	f.Add([]byte(`{"time":"2026-11-20T12:00:00Z","server":"app01","type":"ssh-ed25519","key":"SHA256:x",` +
		`"from":"unknown","to":"trusted","by":"first-use"}` + "\n"))
	f.Add([]byte("{}\nnull\n\n{\"server\":1}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, unreadable, err := parseLog(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(data), "\n"); len(entries)+len(unreadable) < n {
			t.Errorf("%d lines became %d entries and %d others", n, len(entries), len(unreadable))
		}
		for _, e := range entries {
			if _, err := json.Marshal(e); err != nil {
				t.Error(err)
			}
		}
	})
}
