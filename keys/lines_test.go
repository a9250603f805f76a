package keys_test

import (
	"strings"
	"testing"

	"ltskeeper/internal/testkit/keytest"
	"ltskeeper/keys"
)

func TestReadLines(t *testing.T) {
	t.Parallel()
	e1, x1 := keytest.Key("e1").FormatLine(), keytest.Key("x1").FormatLine()
	for _, test := range []struct {
		text, marker, hosts, key, mistake string
	}{
		{e1, "", "", "e1", ""},
		{e1 + " root@app01", "", "", "e1", ""},
		{x1, "", "", "x1", ""},
		{"app01 " + e1, "", "app01", "e1", ""},
		{"\t[app01]:2222,10.0.0.1  " + x1 + " a comment\r", "", "[app01]:2222,10.0.0.1", "x1", ""},
		{"@revoked * " + e1, "@revoked", "*", "e1", ""},
		{"@cert-authority *.example.org " + e1, "@cert-authority", "*.example.org", "e1", ""},
		{hashed("app01") + " " + e1, "", hashed("app01"), "e1", ""},
		{"# app01:22 SSH-2.0-OpenSSH_9.2", "", "", "", ""},
		{e1[:50], "", "", "", "not base64"},
		{"app01 " + e1[:50], "", "", "", "not base64"},
		{"app01", "", "", "", "is empty"},
		{"@unknown * " + e1, "", "", "", "not a marker"},
		{`command="/bin/false" ` + e1[:20], "", "", "", "parse key"},
	} {
		lines, mistakes := keys.ReadLines([]byte("\n" + test.text + "\n"))
		switch {
		case test.mistake != "":
			if len(lines) > 0 || len(mistakes) != 1 || mistakes[0].Line != 2 ||
				!strings.Contains(mistakes[0].Msg, test.mistake) {
				t.Errorf("%q: %+v, %v; want %q", test.text, lines, mistakes, test.mistake)
			}
		case len(mistakes) > 0:
			t.Errorf("%q: %v", test.text, mistakes)
		case test.key == "":
			if len(lines) > 0 {
				t.Errorf("%q: %+v", test.text, lines)
			}
		case len(lines) != 1 || lines[0].Number != 2 || lines[0].Marker != test.marker ||
			lines[0].Hosts != test.hosts || !lines[0].Key.Equal(keytest.Key(test.key)):
			t.Errorf("%q: %+v", test.text, lines)
		}
	}
}

func FuzzReadLines(f *testing.F) {
	f.Add([]byte("# a comment\napp01 " + keytest.Key("e1").FormatLine() + "\n" + keytest.Key("x1").FormatLine() + "\n"))
	f.Add([]byte("@revoked * ssh-rsa AAAA\n|1|x|y ssh-rsa\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		lines, _ := keys.ReadLines(data)
		for _, l := range lines {
			if again, err := keys.ParseKey(l.Key.FormatLine()); err != nil || !again.Equal(l.Key) {
				t.Errorf("%q became %q: %v", data, l.Key.FormatLine(), err)
			}
		}
	})
}

func TestLineFor(t *testing.T) {
	t.Parallel()
	names := []string{"App01", "app01.example.org", "10.0.0.1", "fd00::1"}
	for hosts, want := range map[string]bool{
		"": true, "app01": true, "APP01": true, "[app01]:2222": true, "[app01]:22": false, "app02": false,
		"10.0.0.1": true,
		"fd00::1":  true, "[fd00::1]:2222": true, "x,app01": true, "*.example.org": true,
		"*.example.org,!app01.*": false, "*": true,
		hashed("app01"): true, hashed("[app01]:2222"): true, hashed("app02"): false, "|1|x|y": false,
	} {
		if got := (keys.Line{Hosts: hosts}).For(names, 2222); got != want {
			t.Errorf("%q: %v", hosts, got)
		}
	}
}
