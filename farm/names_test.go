package farm

import (
	"strings"
	"testing"
)

func TestNameChroot(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/srv/ltsp/x86_64":             "x86_64",
		"/srv/ltsp/x86_64/":            "x86_64",
		"/":                            "client",
		"..":                           "client",
		"/srv/.hidden":                 "hidden",
		"/srv/my root":                 "my-root",
		"/srv/a.img":                   "client",
		"/" + strings.Repeat("a", 255): strings.Repeat("a", 200),
	} {
		if got := NameChroot(path); got != want || chrootNameProblem(got) != "" {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}
