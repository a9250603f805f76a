package keys

import (
	"strings"
	"testing"
)

func TestReadLines(t *testing.T) {
	t.Parallel()
	e1, x1 := key("e1").Line(), key("x1").Line()
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
		lines, mistakes := ReadLines([]byte("\n" + test.text + "\n"))
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
			lines[0].Hosts != test.hosts || !lines[0].Key.Equal(key(test.key)):
			t.Errorf("%q: %+v", test.text, lines)
		}
	}
}

func FuzzReadLines(f *testing.F) {
	f.Add([]byte("# a comment\napp01 " + key("e1").Line() + "\n" + key("x1").Line() + "\n"))
	f.Add([]byte("@revoked * ssh-rsa AAAA\n|1|x|y ssh-rsa\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		lines, _ := ReadLines(data)
		for _, l := range lines {
			if again, err := ParseKey(l.Key.Line()); err != nil || !again.Equal(l.Key) {
				t.Errorf("%q became %q: %v", data, l.Key.Line(), err)
			}
		}
	})
}
