package keys_test

import (
	"slices"
	"strings"
	"testing"

	"ltskeeper/keys"
)

func TestTrustedIn(t *testing.T) {
	t.Parallel()
	const (
		a = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
		b = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ"
	)
	var both []keys.Key
	for _, line := range []string{a, b} {
		k, err := keys.ParseKey(line)
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, k)
	}
	for file, want := range map[string]string{
		"":                                     "",
		"# app01 " + a:                         "",
		"app01 " + a:                           "a",
		"app01,[app01]:22 " + a + " note":      "a",
		"app01 " + a + "\n  app02\t" + b:       "ab",
		"app01 " + a + "\n@revoked * " + a:     "",
		"@revoked * " + a + "\napp01 " + a:     "",
		"app01 " + a + "\n@revoked app01 " + a: "a", // under another name it is still trusted
		"@cert-authority *.example.org " + b:   "b",
		"@unknown app01 " + a:                  "",
		"app01 ssh-ed25519 AAAA":               "",
	} {
		got := ""
		for _, k := range keys.FindTrusted([]byte(file), both) {
			got += string("ab"[slices.IndexFunc(both, k.Equal)])
		}
		if got != want {
			t.Errorf("of a and b\n\t%s\ntrusts %q, want %q", strings.ReplaceAll(file, "\n", "\n\t"), got, want)
		}
	}
}
