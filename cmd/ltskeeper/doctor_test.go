package main

import (
	"strings"
	"testing"

	"ltskeeper/doctor"
)

// Many servers with one thing wrong are told as one; what is wrong in another way is not among
// them.
func TestDoctorTellsTheSameOnce(t *testing.T) {
	t.Parallel()
	d := doctorDocument{&doctor.Report{Servers: 5}}
	for server, cause := range map[string]string{"app01": "refused", "app02": "refused", "app03": "refused",
		"app04": "silent", "app05": "silent"} {
		d.Findings = append(d.Findings,
			doctor.Finding{Check: "ssh-closed", Cause: cause, Severity: doctor.Problem, Kind: doctor.Server,
				Subject: server, Message: cause})
	}
	for verbose, want := range map[bool]struct{ closed, refused, silent int }{false: {3, 1, 2}, true: {5, 3, 2}} {
		p := (&tool{term: &terminal{}, verbose: verbose}).newPage()
		d.text(p)
		text := p.String()
		closed, refused, silent := strings.Count(text, "ssh-closed:"), strings.Count(text,
			"refused"), strings.Count(text, "silent")
		if closed != want.closed || refused != want.refused || silent != want.silent ||
			strings.Contains(text, "and 1 more server") == verbose {
			t.Errorf("verbose %t:\n%s", verbose, text)
		}
	}
}

// A farm of nothing is in order, and says how to make it one.
func TestDoctorOfNothing(t *testing.T) {
	t.Parallel()
	next := []string{"No client root is declared. Put one into farm.toml",
		"ltskeeper --config farm.toml server add NAME"}
	for _, c := range []struct {
		d    doctor.Report
		want bool
	}{
		{doctor.Report{Machine: true}, true},
		{doctor.Report{Machine: true, Servers: 1, Chroots: 1}, false},
		{doctor.Report{}, false},
		{doctor.Report{Machine: true, Findings: []doctor.Finding{{Kind: doctor.Declaration}}}, false}, // that says more
	} {
		p := (&tool{term: &terminal{}, config: "farm.toml"}).newPage()
		doctorDocument{&c.d}.text(p)
		for _, line := range next {
			if strings.Contains(p.String(), line) != c.want {
				t.Errorf("%+v:\n%s", c.d, p)
			}
		}
	}
}
