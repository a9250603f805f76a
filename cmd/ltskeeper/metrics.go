package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"ltskeeper/internal/durable"
	"ltskeeper/internal/state"
	"ltskeeper/keeper"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// keepMetrics writes what an update-image did and how the farm is after it for node_exporter's
// textfile collector, if [metrics] asks for that. An error does not fail the run.
func keepMetrics(k *keeper.Keeper, r *keeper.Report, failure error, began, ended time.Time) error {
	f := k.Farm()
	path := f.MetricsFile
	if path == "" || r != nil && r.DryRun || errors.Is(failure, state.ErrLocked) {
		return nil // the run that holds the lock tells
	}
	m, unknown := k.Measure(r)
	code := exitCode(failure)
	if failure == nil {
		code = exitCode(decideOutcome(r))
	}
	err := writeMetrics(path, collectMetrics(m, r, code, began, ended))
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("write metrics: there is no folder %s: install prometheus-node-exporter, or mend textfile in [metrics] of %s",
			filepath.Dir(path), f.Path)
	case err != nil:
		return fmt.Errorf("write metrics: %w: mend that, or textfile in [metrics] of %s", err, f.Path)
	case unknown != nil && failure == nil:
		return fmt.Errorf("write metrics: some are missing: %w", unknown)
	}
	return nil // what kept the record from being read failed the run
}

// writeMetrics replaces the file, which node_exporter reads as another user and at any moment.
// Others may write in its folder, and no lock is held. What a killed run left unfinished goes after
// an hour; node_exporter passes over it.
func writeMetrics(path string, families []*dto.MetricFamily) error {
	dir, unfinished := filepath.Dir(path), "."+filepath.Base(path)
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		number, is := strings.CutPrefix(e.Name(), unfinished)
		if info, err := e.Info(); is && strings.Trim(number, "0123456789") == "" && err == nil &&
			time.Since(info.ModTime()) > time.Hour {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
	var text bytes.Buffer
	for _, family := range families {
		if len(family.Metric) > 0 {
			if _, err := expfmt.MetricFamilyToText(&text, family); err != nil {
				return err
			}
		}
	}
	return durable.WriteShared(path, text.Bytes(), 0o644)
}

// collectMetrics returns all metrics in the order of docs/watching.md. The report is nil if the run
// failed before it had one.
func collectMetrics(m *keeper.Measured, r *keeper.Report, code int, began, ended time.Time) []*dto.MetricFamily {
	var e exposition
	e.addGauge("ltskeeper_build_info", "The ltskeeper that wrote this.").
		set(1, "version", versionString())
	e.addRun(m, r, code, began, ended)
	if m.Status != nil {
		e.addServers(m)
		e.addImages(m)
	}
	if m.Size > 0 {
		e.addGauge("ltskeeper_images_filesystem_avail_bytes", "Free space of the file system that the images are on.").
			set(float64(m.Free))
		e.addGauge("ltskeeper_images_filesystem_size_bytes", "Size of that file system.").
			set(float64(m.Size))
	}
	return e.families
}

// addRun adds what is about the run itself.
func (e *exposition) addRun(m *keeper.Measured, r *keeper.Report, code int, began, ended time.Time) {
	e.addGauge("ltskeeper_last_run_timestamp_seconds", "When update-image last ended.").
		set(unixSeconds(ended))
	e.addGauge("ltskeeper_last_run_exit_code",
		"Its exit code: 0 done, 1 failed, 2 declaration wrong, 3 needs a decision, 4 a server unreachable.").
		set(float64(code))
	e.addGauge("ltskeeper_last_run_duration_seconds", "How long it took.").
		set(ended.Sub(began).Seconds())
	steps := e.addGauge("ltskeeper_last_run_step_duration_seconds",
		"How long a step of it took, of a chroot where there is one.")
	if r != nil {
		for _, s := range r.Steps {
			steps.set(s.Duration.Seconds(), "step", s.Name, "chroot", s.Chroot)
		}
	}
	e.addGauge("ltskeeper_last_success_timestamp_seconds",
		"When update-image last ended without a failure; 0 if it never did.").
		set(unixSeconds(m.Succeeded))
}

// addServers adds the counts of servers, which are always there, and a series for each server that
// is not in order.
func (e *exposition) addServers(m *keeper.Measured) {
	counts := map[keeper.ServerState]int{}
	for _, s := range m.Servers {
		counts[s.State]++
	}
	listed := countIf(m.Servers, func(s keeper.Server) bool { return s.Listed })
	quarantined := countIf(m.Servers, func(s keeper.Server) bool { return s.Quarantined != nil })
	silent := countIf(m.Servers, func(s keeper.Server) bool { return s.Unreachable })
	undecided := countIf(m.Servers, func(s keeper.Server) bool { return s.Decision })
	held := countIf(m.Images, func(i keeper.ImageStatus) bool { return i.Held != nil })
	states := e.addGauge("ltskeeper_servers", "Declared servers, by the state of their keys.")
	for _, s := range allStates {
		states.set(float64(counts[s]), "state", string(s))
	}
	e.addGauge("ltskeeper_servers_listed", "Servers in the default LDM_SERVER.").
		set(float64(listed))
	e.addGauge("ltskeeper_servers_quarantined",
		"Servers that showed what they should not, and are or should be out of the lists.").
		set(float64(quarantined))
	e.addGauge("ltskeeper_servers_unreachable", "Servers that did not answer, or not at each of their addresses.").
		set(float64(silent))
	e.addGauge("ltskeeper_decisions", "What waits for a person: servers with keys to decide about, and held images.").
		set(float64(undecided + held))

	decision := e.addGauge("ltskeeper_server_decision",
		"1 for each server with something to decide or to look at, with the state of its keys.")
	unreachable := e.addGauge("ltskeeper_server_unreachable",
		"1 for each server that did not answer, or not at each of its addresses.")
	since := e.addGauge("ltskeeper_server_quarantined_since_timestamp_seconds",
		"Since when a server is in quarantine; only those that are.")
	expiry := e.addGauge("ltskeeper_server_certificate_expiry_timestamp_seconds",
		"When the first trusted host certificate of a server ends; only those that have one that does.")
	for _, s := range m.Servers {
		if s.Decision {
			decision.set(1, "server", s.Name, "state", string(s.State))
		}
		if s.Unreachable {
			unreachable.set(1, "server", s.Name)
		}
		if s.Quarantined != nil {
			since.set(unixSeconds(*s.Quarantined), "server", s.Name)
		}
		if s.Expires != nil {
			expiry.set(unixSeconds(*s.Expires), "server", s.Name)
		}
	}
}

// addImages adds what is about the current generation of each chroot.
func (e *exposition) addImages(m *keeper.Measured) {
	generation := e.addGauge("ltskeeper_image_generation", "The current generation.")
	size := e.addGauge("ltskeeper_image_size_bytes", "Size of the current image.")
	files := e.addGauge("ltskeeper_image_files", "Files of every kind in it.")
	built := e.addGauge("ltskeeper_image_built_timestamp_seconds", "When it was built.")
	read := e.addGauge("ltskeeper_image_read_bytes", "What was read of the tree and compressed for it.")
	reused := e.addGauge("ltskeeper_image_reused_bytes", "What was taken for it, compressed, from the image before.")
	held := e.addGauge("ltskeeper_image_held_since_timestamp_seconds",
		"Since when a rollback holds it; 0 if none does.")
	kept := e.addGauge("ltskeeper_image_generations", "Generations on disk.")
	for _, i := range m.Images {
		for _, g := range i.Generations {
			if !g.Current {
				continue
			}
			generation.set(float64(g.Number), "chroot", i.Chroot)
			size.set(float64(g.Size), "chroot", i.Chroot)
			files.set(float64(g.Files), "chroot", i.Chroot)
			built.set(unixSeconds(g.Time), "chroot", i.Chroot)
			read.set(float64(g.Read), "chroot", i.Chroot)
			reused.set(float64(g.Reused), "chroot", i.Chroot)
		}
		var since time.Time
		if i.Held != nil {
			since = *i.Held
		}
		held.set(unixSeconds(since), "chroot", i.Chroot)
		kept.set(float64(len(i.Generations)), "chroot", i.Chroot)
	}
}

// An exposition is metrics in the making.
type exposition struct{ families []*dto.MetricFamily }

// A gauge is one metric with its series.
type gauge struct{ family *dto.MetricFamily }

func (e *exposition) addGauge(name, help string) gauge {
	f := &dto.MetricFamily{Name: &name, Help: &help, Type: dto.MetricType_GAUGE.Enum()}
	e.families = append(e.families, f)
	return gauge{f}
}

// set adds a series with these labels, name and value in turn. An empty value is no label.
func (g gauge) set(value float64, labels ...string) {
	series := &dto.Metric{Gauge: &dto.Gauge{Value: &value}}
	for pair := range slices.Chunk(labels, 2) {
		if pair[1] != "" {
			series.Label = append(series.Label, &dto.LabelPair{Name: &pair[0], Value: &pair[1]})
		}
	}
	g.family.Metric = append(g.family.Metric, series)
}

// unixSeconds returns a time as Prometheus counts it; the zero time is 0.
func unixSeconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
