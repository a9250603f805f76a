package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ltskeeper/image"
	"ltskeeper/internal/testkit"
	"ltskeeper/keeper"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// everything is a farm with all that metrics can tell.
func everything() []*dto.MetricFamily {
	certified := keeper.Server{Name: "app09", State: keeper.Trusted, Listed: true, Expires: &noon}
	m := &keeper.Measured{
		Status: &keeper.Status{
			Servers: []keeper.Server{fine, silent, changed, extra, certified},
			Images: []keeper.ImageStatus{
				{Chroot: "x86_64", Current: 12, Held: &noon, Generations: []image.Generation{
					{Number: 11, Size: 7},
					{Number: 12, Current: true, Time: noon, Size: 598_000_000, Files: 34913, Read: 1_200_000,
						Reused: 590_000_000},
				}},
				{Chroot: "i386", Current: keeper.NoGeneration},
			},
		},
		Succeeded: noon, Free: 10_000_000_000, Size: 100_000_000_000,
	}
	r := &keeper.Report{Steps: []keeper.Step{{Name: "scan", Duration: time.Second},
		{Name: "build", Chroot: "x86_64", Duration: time.Minute}}}
	return collectMetrics(m, r, exitDecision, noon, noon.Add(90*time.Second))
}

func exposed(t *testing.T, families []*dto.MetricFamily) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ltskeeper.prom")
	if err := writeMetrics(path, families); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	got := exposed(t, everything())
	for _, want := range []string{
		"ltskeeper_last_run_timestamp_seconds 1.79517609e+09", "ltskeeper_last_run_exit_code 3",
		"ltskeeper_last_run_duration_seconds 90",
		`ltskeeper_last_run_step_duration_seconds{step="scan"} 1`,
		`ltskeeper_last_run_step_duration_seconds{step="build",chroot="x86_64"} 60`,
		"ltskeeper_last_success_timestamp_seconds 1.795176e+09",
		`ltskeeper_servers{state="trusted"} 3`, `ltskeeper_servers{state="changed"} 1`,
		`ltskeeper_servers{state="revoked"} 0`,
		"ltskeeper_servers_listed 4", "ltskeeper_servers_quarantined 1", "ltskeeper_servers_unreachable 1",
		"ltskeeper_decisions 2",
		`ltskeeper_server_decision{server="app03",state="changed"} 1`, `ltskeeper_server_unreachable{server="app02"} 1`,
		`ltskeeper_server_quarantined_since_timestamp_seconds{server="app03"} 1.795176e+09`,
		`ltskeeper_server_certificate_expiry_timestamp_seconds{server="app09"} 1.795176e+09`,
		`ltskeeper_image_generation{chroot="x86_64"} 12`, `ltskeeper_image_size_bytes{chroot="x86_64"} 5.98e+08`,
		`ltskeeper_image_files{chroot="x86_64"} 34913`,
		`ltskeeper_image_built_timestamp_seconds{chroot="x86_64"} 1.795176e+09`,
		`ltskeeper_image_read_bytes{chroot="x86_64"} 1.2e+06`, `ltskeeper_image_reused_bytes{chroot="x86_64"} 5.9e+08`,
		`ltskeeper_image_held_since_timestamp_seconds{chroot="x86_64"} 1.795176e+09`,
		`ltskeeper_image_held_since_timestamp_seconds{chroot="i386"} 0`,
		`ltskeeper_image_generations{chroot="x86_64"} 2`, `ltskeeper_image_generations{chroot="i386"} 0`,
		"ltskeeper_images_filesystem_avail_bytes 1e+10", "ltskeeper_images_filesystem_size_bytes 1e+11",
	} {
		if !strings.Contains(got, "\n"+want+"\n") {
			t.Errorf("%s is missing", want)
		}
	}
	for _, never := range []string{`generation{chroot="i386"`, `server="app01"`, `""`} {
		if strings.Contains(got, never) {
			t.Errorf("there is %s", never)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

// A run that failed before it had a report still tells that it did.
func TestMetricsWithoutReport(t *testing.T) {
	t.Parallel()
	got := exposed(t, collectMetrics(&keeper.Measured{}, nil, exitFailed, noon, noon))
	for _, want := range []string{"ltskeeper_last_run_exit_code 1", "ltskeeper_last_success_timestamp_seconds 0"} {
		if !strings.Contains(got, "\n"+want+"\n") {
			t.Errorf("%s is missing in\n%s", want, got)
		}
	}
	if strings.Contains(got, "ltskeeper_servers") {
		t.Error("there are servers, of which nothing is known")
	}
	promtool(t, got, "check", "metrics")
}

// Whatever names hold is escaped, and 1,000 servers in trouble are no trouble for promtool.
func TestPromtool(t *testing.T) {
	t.Parallel()
	promtool(t, exposed(t, everything()), "check", "metrics")
	m := &keeper.Measured{Status: &keeper.Status{}}
	for i := range 1000 {
		s := changed
		s.Name, s.Unreachable, s.Expires = fmt.Sprintf("s\"\\\n%d", i), true, &noon
		m.Servers = append(m.Servers, s)
	}
	promtool(t, exposed(t, collectMetrics(m, nil, exitDecision, noon, noon)), "check", "metrics")
}

// unpacked is a program that scripts/need unpacked.
func unpacked(t *testing.T, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	return testkit.FindProgram(t, testkit.Cached("prometheus/usr/bin/"+name))
}

// promtool runs it on an input. It must have nothing to say against it.
func promtool(t *testing.T, input string, args ...string) {
	t.Helper()
	cmd := exec.Command(unpacked(t, "promtool"), args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil || args[1] == "metrics" && len(out) > 0 {
		t.Errorf("promtool %s: %v\n%.5000s", strings.Join(args, " "), err, out)
	}
}

// Whoever reads the file while it is replaced sees all of it, old or new.
func TestMetricsAreNeverHalf(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ltskeeper.prom")
	families := everything()
	done := make(chan error)
	go func() {
		var err error
		for i := 0; i < 50 && err == nil; i++ {
			err = writeMetrics(path, families)
		}
		done <- err
	}()
	whole := exposed(t, families)
	for reads := 0; ; {
		select {
		case err := <-done:
			if err != nil || reads == 0 {
				t.Errorf("%d reads, %v", reads, err)
			}
			return
		default:
		}
		data, err := os.ReadFile(path)
		if err == nil {
			reads++
		}
		if err == nil && string(data) != whole {
			t.Fatalf("read %d: %d bytes of %d", reads, len(data), len(whole))
		}
	}
}

// node_exporter, as another user, takes the file as it is, and gives Prometheus every one of its
// series.
func TestNodeExporter(t *testing.T) {
	t.Parallel()
	program := unpacked(t, "prometheus-node-exporter")
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	families := everything()
	if err := writeMetrics(filepath.Join(dir, "ltskeeper.prom"), families); err != nil {
		t.Fatal(err)
	}
	// of a killed run
	if err := os.WriteFile(filepath.Join(dir, ".ltskeeper.prom123"), []byte("half of a li"), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	var log bytes.Buffer
	cmd := exec.Command(program, "--web.listen-address="+address, "--collector.disable-defaults",
		"--collector.textfile", "--collector.textfile.directory="+dir)
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	var text string
	for range 100 {
		if response, err := http.Get("http://" + address + "/metrics"); err == nil {
			data, _ := io.ReadAll(response.Body)
			response.Body.Close()
			text = string(data)
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if !strings.Contains(text, "\nnode_textfile_scrape_error 0\n") ||
		!strings.Contains(text, "\nnode_textfile_mtime_seconds{file=\""+dir+"/ltskeeper.prom\"}") {
		t.Fatalf("node_exporter does not take the file:\n%.3000s\n%s", text, &log)
	}
	for _, f := range families {
		var b bytes.Buffer
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if name, _, _ := strings.Cut(line, "{"); strings.HasPrefix(line, "ltskeeper_") &&
				!strings.Contains(text, "\n"+strings.Fields(name)[0]) {
				t.Errorf("%s is not among what node_exporter tells", name)
			}
		}
	}
}
