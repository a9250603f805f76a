package keys_test

import (
	"strings"
	"testing"

	"ltskeeper/internal/testkit/keytest"
	"ltskeeper/keys"
)

// A server's key is forgotten under each of its names, and nothing else is.
func TestForgetHost(t *testing.T) {
	t.Parallel()
	old, other := keytest.Key("e1"), keytest.Key("e2")
	fingerprints := []string{old.Fingerprint()}
	hosts := []string{"app01", "10.0.0.11"}
	text := func(lines ...string) string {
		return strings.NewReplacer("OLD", old.FormatLine(), "OTHER", other.FormatLine()).Replace(strings.Join(lines, "\n"))
	}
	hashed := strings.TrimSuffix(string(keys.RenderKnownHosts(keys.KnownHosts{Secret: []byte("a secret"),
		Hosts: []keys.Host{{Names: []string{"app01"}, Port: 2222, Keys: []keys.Key{old}}}})), "\n")
	hashed = hashed[strings.LastIndex(hashed, "\n")+1:]
	for _, c := range []struct {
		name, before, after string
		count               int
	}{
		{"nothing", text("# a", "", "app02 OLD", "app01 OTHER"), text("# a", "", "app02 OLD", "app01 OTHER"), 0},
		{"two lines", text("# a", " app01\tOLD me", "x OTHER", "[app01]:2222 OLD"), text("# a", "x OTHER", ""), 2},
		{"hashed", hashed + "\nx " + other.FormatLine(), "x " + other.FormatLine(), 1},
		{"among others", text("\tx,app01,[10.0.0.11]:2222,y  OLD # a", "z OLD"), text("\tx,y  OLD # a", "z OLD"), 1},
		{"revoked", text("@revoked app01 OLD"), text("@revoked app01 OLD"), 0},
		{"broken lines", text("app01 ssh-rsa x", "app01 OLD", "y\r"), text("app01 ssh-rsa x", "y\r"), 1},
	} {
		rest, lines, err := keys.ForgetHost([]byte(c.before), hosts, 2222, fingerprints)
		if err != nil || string(rest) != c.after || len(lines) != c.count {
			t.Errorf("%s: %q, %d lines, %v; want %q", c.name, rest, len(lines), err, c.after)
		}
	}
	for _, pattern := range []string{"app*", "x,app0?", "!y,app01"} {
		_, _, err := keys.ForgetHost([]byte(text("# a", pattern+" OLD")), hosts, 2222, fingerprints)
		if want := "line 2 has a pattern, " + pattern + ", which is for other servers as well"; err == nil ||
			err.Error() != want {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}
