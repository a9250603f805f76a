package spelling

import "testing"

func TestFindNearest(t *testing.T) {
	t.Parallel()
	commands := []string{"image", "init", "keys", "known-hosts", "lts-conf", "server", "status", "update-image"}
	for word, want := range map[string]string{
		"server":      "server",
		"SERVER":      "server",
		"sever":       "server",
		"sevrer":      "server",
		"servers":     "server",
		"stauts":      "status",
		"upate-image": "update-image",
		"update":      "",
		"knownhosts":  "known-hosts",
		"ltsconf":     "lts-conf",
		"key":         "keys",
		"edit":        "", // init, by half its letters
		"frobnicate":  "",
		"":            "",
	} {
		if got := FindNearest(word, commands); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
	if got := FindNearest("app", nil); got != "" {
		t.Errorf("got %q of none", got)
	}
	if got := FindNearest("app01", []string{"app02", "app11", "app01.lan"}); got != "app02" {
		t.Errorf("got %q: the first of equals is meant", got)
	}
}

func TestCountSlips(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "abd", 1}, {"abc", "ab", 1}, {"abc", "acb", 1},
		{"abcd", "badc", 2}, {"kitten", "sitting", 3}, {"ca", "abc", 3},
	} {
		if got, back := countSlips(c.a, c.b), countSlips(c.b, c.a); got != c.want || back != c.want {
			t.Errorf("%q and %q: got %d and %d, want %d", c.a, c.b, got, back, c.want)
		}
	}
}
