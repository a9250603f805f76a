package doctor_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ltskeeper/doctor"
	"ltskeeper/internal/testkit/machine"
	"ltskeeper/internal/testkit/programs"
)

// On a machine with systemd, timer and service are asked how they are, as the packages bring them.
func TestSystemd(t *testing.T) {
	t.Parallel()
	machine.Needed(t)
	bin := t.TempDir()
	programs.Build(t, bin, "ltskeeper")
	m := machine.NewNetwork(t).Boot(t, machine.Options{Name: "primary", Address: "192.168.67.1/24"})
	read := func(path string) string {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	m.Write("/usr/bin/ltskeeper", read(filepath.Join(bin, "ltskeeper")), 0o755)
	m.Write("/etc/ltskeeper/ltskeeper.toml", "", 0o644)
	m.Write("/etc/systemd/system/ltskeeper-update.timer", read("../dist/ltskeeper-update.timer"), 0o644)
	m.Write("/etc/systemd/system/ltskeeper-update.service",
		strings.ReplaceAll(read("../dist/ltskeeper-update.service.in"), "@prefix@", "/usr"), 0o644)
	m.MustRun("systemctl daemon-reload")

	look := func(want ...string) {
		t.Helper()
		out, err := m.Command(context.Background(), "ltskeeper", "doctor", "--json").Output()
		var r doctor.Report
		if err := json.Unmarshal(out, &r); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		found := map[string]bool{}
		for _, f := range r.Findings {
			found[f.Check] = true
		}
		for _, check := range want {
			check, absent := strings.CutPrefix(check, "no ")
			if found[check] == absent {
				t.Errorf("%s found: %t, of %+v (%v)", check, found[check], r.Findings, err)
			}
		}
	}
	look("no-schedule", "no run-failed", "no clock-future")
	m.MustRun("systemctl enable --now ltskeeper-update.timer")
	look("no no-schedule", "no run-failed")
	m.Write("/etc/ltskeeper/ltskeeper.toml", "nonsense = 1\n", 0o644)
	if out, err := m.Run(context.Background(), "systemctl start ltskeeper-update.service"); err == nil {
		t.Fatalf("it did not fail: %s", out)
	}
	look("declaration", "run-failed", "no no-schedule")
	m.Write("/etc/ltskeeper/ltskeeper.toml", "", 0o644)
	m.MustRun("systemctl start ltskeeper-update.service")
	look("no declaration", "no run-failed", "no no-schedule", "no record")
}
