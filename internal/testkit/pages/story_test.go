package pages

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// A stage prints what is written for a command. Without that it fails.
type stage struct {
	prints map[string]string
	did    []string
}

func (s *stage) do(step Step, command string) ([]string, error) {
	s.did = append(s.did, command)
	switch printed, is := s.prints[command]; {
	case step.boots != "" || step.keeps:
		return nil, nil
	case !is || printed == "fail":
		return nil, errors.New("it breaks")
	case printed == "":
		return nil, nil
	default:
		return strings.Split(printed, "\n"), nil
	}
}

// Steps are done in their order, and compared with what the page shows.
func TestFollow(t *testing.T) {
	t.Parallel()
	old, today := "SHA256:"+strings.Repeat("a", 43), "SHA256:"+strings.Repeat("b", 43)
	page := "```console\n# show\nkey " + old + "\n# accept " + old + "\ndone in 2 s\n```\n" +
		"<!-- run:\n# hidden\n-->\n<!-- boot: client -->\n<!-- farm: here -->\n```console\n# status\n1 server\n# end\n```\n"
	all := []string{"show", "accept " + today, "hidden", "", "", "status", "end"}
	for name, test := range map[string]struct {
		prints map[string]string // besides what the page shows
		did    int               // how many steps
		want   string            // the beginning of the error
		update string            // what an update writes instead of "1 server"
	}{
		"as the page shows": {nil, 7, "", "1 server"},
		"another output": {map[string]string{"status": "2 servers"}, 7,
			"page.md:13: status\nthe page shows \"1 server\", printed is \"2 servers\"; all of it:\n2 servers",
			"2 servers"},
		"another exit code": {map[string]string{"status": "1 server\n(exit code 3)"}, 7,
			"page.md:13: status\nby the page it ends with \"(exit code 0)\", and it ended with \"(exit code 3)\"",
			"1 server\n(exit code 3)"},
		"a step that cannot be done": {map[string]string{"show": "fail"}, 1, "page.md:2: show: it breaks", ""},
		"hidden failure": {map[string]string{"hidden": "no\n(exit code 1)"}, 3,
			"page.md:8: hidden\nno\n(exit code 1)", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, update := range []bool{false, true} {
				s := &stage{prints: map[string]string{"show": "key " + today, "accept " + today: "done in 9 s",
					"hidden": "any",
					"status": "1 server", "end": ""}}
				for command, text := range test.prints {
					s.prints[command] = text
				}
				p, err := Parse("page.md", page)
				if err != nil {
					t.Fatal(err)
				}
				outdated, err := p.follow(s.do, update)
				if !slices.Equal(s.did, all[:test.did]) {
					t.Errorf("did %q, want %q", s.did, all[:test.did])
				}
				want, wantPage := test.want, page
				if update && test.update != "" {
					want, wantPage = "", strings.Replace(page, "1 server", test.update, 1)
				}
				if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
					t.Errorf("it fails with\n%v, want\n%s", err, want)
				}
				if p.Text() != wantPage || (outdated > 0) != (page != wantPage) {
					t.Errorf("%d outputs are outdated; the page is\n%s, want\n%s", outdated, p.Text(), wantPage)
				}
			}
		})
	}
}
