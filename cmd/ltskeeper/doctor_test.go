package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ltskeeper/doctor"
	"ltskeeper/internal/remedy"
)

// Many servers with one thing wrong are told as one; what is wrong in another way is not among
// them.
func TestDoctorTellsTheSameOnce(t *testing.T) {
	t.Parallel()
	r := &doctor.Report{Servers: 5}
	for server, cause := range map[string]string{"app01": "refused", "app02": "refused", "app03": "refused",
		"app04": "silent", "app05": "silent"} {
		r.Findings = append(r.Findings,
			doctor.Finding{Check: "ssh-closed", Cause: cause, Severity: doctor.Problem, Kind: doctor.Server,
				Subject: server, Message: cause})
	}
	for verbose, want := range map[bool]struct{ closed, refused, silent int }{false: {3, 1, 2}, true: {5, 3, 2}} {
		p := (&tool{term: &terminal{}, verbose: verbose}).newPage()
		p.explainReport(r).text(p)
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
		r    doctor.Report
		want bool
	}{
		{doctor.Report{Machine: true}, true},
		{doctor.Report{Machine: true, Servers: 1, Chroots: 1}, false},
		{doctor.Report{}, false},
		{doctor.Report{Machine: true, Findings: []doctor.Finding{{Kind: doctor.Declaration}}}, false}, // that says more
	} {
		p := (&tool{term: &terminal{}, config: "farm.toml"}).newPage()
		p.explainReport(&c.r).text(p)
		for _, line := range next {
			if strings.Contains(p.String(), line) != c.want {
				t.Errorf("%+v:\n%s", c.r, p)
			}
		}
	}
}

// Remedies are a sentence and lines to type. A line goes on with the same declaration, and what a
// file is called is not a command.
func TestExplainReport(t *testing.T) {
	t.Parallel()
	tool := &tool{config: "lab.toml"}
	for _, c := range []struct {
		remedies []remedy.Remedy
		fix      string
		commands []string
	}{
		{[]remedy.Remedy{remedy.Advice("look there"),
			remedy.Setting{File: "lab.toml", Section: "tftp", Key: "directory", Value: `"x"`}},
			`Look there, or write directory = "x" in [tftp] of lab.toml.`, nil},
		{[]remedy.Remedy{remedy.Advice("/srv is full"), remedy.Setting{Section: "alias", Key: "name", Value: `"x"`}},
			`/srv is full, or write name = "x" in a new [[alias]].`, nil},
		{[]remedy.Remedy{
			remedy.If{Condition: "it is one", Then: remedy.Setting{File: "servers.d/a.toml", Key: "port", Value: "22"}},
			remedy.Command{"keys", "list", "a b"}, remedy.Program{"mv", "$(touch x)'", ""},
			remedy.Elsewhere{On: "app01", Do: remedy.Shell("rm x* && ls")}},
			"If it is one, write port = 22 in servers.d/a.toml:",
			[]string{"ltskeeper --config lab.toml keys list 'a b'", `mv '$(touch x)'\''' ''`,
				"# on app01: rm x* && ls"}},
	} {
		f := tool.explainReport(&doctor.Report{Findings: []doctor.Finding{{Remedies: c.remedies}}}).Findings[0]
		if f.Fix != c.fix || !slices.Equal(f.Commands, c.commands) {
			t.Errorf("%s %q, want %s %q", f.Fix, f.Commands, c.fix, c.commands)
		}
	}
}

// A job for cron works as it stands: the names of the program and of the declaration may have
// blanks in them.
func TestCronCommand(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "a job")
	line := cronCommand(remedy.CronJob{File: file, Schedule: "17 3 * * *",
		Do: remedy.Command{"update-image", "--cron"}},
		"/opt/keep it/ltskeeper", "/etc/its/ltskeeper.toml")
	if out, err := exec.Command("sh", "-c", line).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := os.ReadFile(file)
	want := "17 3 * * *  root  '/opt/keep it/ltskeeper' --config /etc/its/ltskeeper.toml update-image --cron\n"
	if err != nil || string(data) != want {
		t.Errorf("%q, %v, want %q", data, err, want)
	}
}
