package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ltskeeper/internal/testkit"
)

// What is handed out beside the program, and speaks of its metrics.
const (
	rulesFile     = "../../dist/prometheus/ltskeeper.rules.yml"
	rulesTest     = "../../dist/prometheus/ltskeeper.test.yml"
	dashboardFile = "../../dist/grafana/ltskeeper.json"
	watchingPage  = "../../docs/watching.md"
)

// The page explains every metric with all its labels, and none that there is not.
func TestPageExplainsEveryMetric(t *testing.T) {
	t.Parallel()
	page := testkit.ReadFile(t, watchingPage)
	want := map[string]string{}
	for _, f := range everything() {
		labels := map[string]bool{}
		for _, m := range f.Metric {
			for _, l := range m.Label {
				labels["`"+l.GetName()+"`"] = true
			}
		}
		if len(f.Metric) == 0 {
			t.Errorf("everything() has no %s", f.GetName())
		}
		// step, chroot
		names := slices.SortedFunc(maps.Keys(labels), func(a, b string) int { return strings.Compare(b, a) })
		if slices.Contains(names, "`state`") {
			slices.Sort(names) // server, state
		}
		want[f.GetName()] = strings.Join(names, ", ")
	}
	got := map[string]string{}
	metric := regexp.MustCompile("(?m)^\\| `(ltskeeper_[a-z_]+)` \\| (.*?) ?\\| .+ \\|$")
	for _, row := range metric.FindAllStringSubmatch(page, -1) {
		got[row[1]] = row[2]
	}
	if !maps.Equal(got, want) {
		t.Errorf("docs/watching.md explains\n%v\nand there are\n%v", got, want)
	}
	for _, state := range allStates {
		if !strings.Contains(page, string(state)) {
			t.Errorf("docs/watching.md does not name the state %s", state)
		}
	}
}

// The rules are sound, do what their own tests say, and the page lists them. Each alert is seen to
// fire and not to.
func TestRules(t *testing.T) {
	t.Parallel()
	rules, tests, page := testkit.ReadFile(t, rulesFile), testkit.ReadFile(t, rulesTest), testkit.ReadFile(t,
		watchingPage)
	promtool(t, "", "check", "rules", rulesFile)
	cmd := exec.Command(unpacked(t, "promtool"), "test", "rules", filepath.Base(rulesTest))
	cmd.Dir = filepath.Dir(rulesTest)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool test rules: %v\n%s", err, out)
	}
	alerts := regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(rules, -1)
	for _, alert := range alerts {
		name := alert[1]
		if !strings.Contains(tests, "alertname: "+name+"\n        exp_alerts:\n") {
			t.Errorf("no test has seen %s fire", name)
		}
		if !strings.Contains(tests, "alertname: "+name+"}") {
			t.Errorf("no test has seen %s not fire", name)
		}
		if !strings.Contains(page, "| `"+name+"` |") {
			t.Errorf("docs/watching.md does not name %s", name)
		}
	}
	if n := strings.Count(rules, "runbook: "); len(alerts) == 0 || n != len(alerts) {
		t.Errorf("%d of %d alerts say what to do", n, len(alerts))
	}
	onlyOurs(t, rulesFile, rules)
	onlyOurs(t, rulesTest, tests)
}

// onlyOurs reports metrics that nobody writes.
func onlyOurs(t *testing.T, path, text string) {
	t.Helper()
	known := map[string]bool{}
	for _, f := range everything() {
		known[f.GetName()] = true
	}
	for _, name := range regexp.MustCompile(`ltskeeper_[a-z_]+`).FindAllString(text, -1) {
		if !known[name] {
			t.Errorf("%s speaks of %s, which is not written", path, name)
		}
	}
}

// The dashboard is JSON that any Grafana can import: its data source is a variable, no two panels
// overlap, and every expression finds something in a farm that has all there is to show.
func TestDashboard(t *testing.T) {
	t.Parallel()
	type dataSource struct{ Type, UID string }
	var dashboard struct {
		ID            *int
		UID           *string
		SchemaVersion int
		Templating    struct {
			List []struct {
				Name, Type, Query string
				Datasource        *dataSource
			}
		}
		Panels []struct {
			ID          int
			Title, Type string
			Description string
			Datasource  dataSource
			GridPos     struct{ X, Y, W, H int }
			Targets     []struct {
				Expr, RefID string
				Datasource  dataSource
			}
		}
	}
	text := testkit.ReadFile(t, dashboardFile)
	if err := json.Unmarshal([]byte(text), &dashboard); err != nil {
		t.Fatal(err)
	}
	if dashboard.ID != nil || dashboard.UID != nil || dashboard.SchemaVersion < 38 || len(dashboard.Panels) == 0 {
		t.Errorf("id %v, uid %v, schema version %d, %d panels", dashboard.ID, dashboard.UID, dashboard.SchemaVersion,
			len(dashboard.Panels))
	}
	variable := dataSource{"prometheus", "${datasource}"}
	var variables []string
	for _, v := range dashboard.Templating.List {
		if variables = append(variables, v.Name+": "+v.Query); v.Datasource != nil && *v.Datasource != variable {
			t.Errorf("the variable %s asks %v", v.Name, v.Datasource)
		}
	}
	if !slices.Equal(variables,
		[]string{"datasource: prometheus", "instance: label_values(ltskeeper_last_run_timestamp_seconds, instance)"}) {
		t.Errorf("variables are %q", variables)
	}
	taken := map[[2]int]string{}
	ids := map[int]bool{}
	var finds strings.Builder
	for _, p := range dashboard.Panels {
		if ids[p.ID] || p.Description == "" || p.Datasource != variable || len(p.Targets) == 0 {
			t.Errorf("panel %d, %s: id twice, not explained, asks %v, or asks nothing", p.ID, p.Title, p.Datasource)
		}
		ids[p.ID] = true
		g := p.GridPos
		if g.W < 1 || g.X+g.W > 24 || g.Y+g.H > 24 {
			t.Errorf("%s lies beyond the screen: %+v", p.Title, g)
		}
		for x := range g.W {
			for y := range g.H {
				at := [2]int{g.X + x, g.Y + y}
				if other := taken[at]; other != "" {
					t.Fatalf("%s lies over %s", p.Title, other)
				}
				taken[at] = p.Title
			}
		}
		for _, target := range p.Targets {
			if target.Datasource != variable || target.RefID == "" ||
				!strings.Contains(target.Expr, `instance=~"$instance"`) {
				t.Errorf("%s: %+v", p.Title, target)
			}
			fmt.Fprintf(&finds, "  - {expr: %q, exp_samples: [{labels: '{}', value: 1}]}\n",
				"count("+strings.ReplaceAll(target.Expr, "$instance", ".*")+") > bool 0")
		}
	}
	onlyOurs(t, dashboardFile, text)
	test := "tests:\n- interval: 1m\n  input_series:\n"
	for line := range strings.Lines(exposed(t, everything())) {
		if end := strings.LastIndex(line, " "); !strings.HasPrefix(line, "#") {
			test += fmt.Sprintf("  - {series: %q, values: %s}\n", line[:end], strings.TrimSpace(line[end:]))
		}
	}
	path := filepath.Join(t.TempDir(), "dashboard.test.yml")
	if err := os.WriteFile(path, []byte(test+"  promql_expr_test:\n"+finds.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "", "test", "rules", path)
}
