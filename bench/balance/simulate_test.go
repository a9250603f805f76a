package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"ltskeeper/ldm"
)

// The default policy, with the code that clients run: nobody is loaded more than 1.10 times the
// mean, but for a rare run, and nobody gets a herd: more than three times its fair share of the
// arrivals in any 30 s, or than random's own most where that is larger.
func TestDefaultIsEven(t *testing.T) {
	t.Parallel()
	for _, f := range farms {
		runs := 10
		if f.clients > 2000 {
			runs = 2
		}
		results := simulateAll([]farm{f}, runs)
		of := func(full float64, policy ldm.Policy) result {
			for _, r := range results {
				if r.full == full && r.policy == policy {
					return r
				}
			}
			t.Fatalf("%s: no result", f.name)
			return result{}
		}
		for _, full := range fulls {
			two, random, best := of(full, ldm.Two), of(full, ldm.Random), of(full, ldm.Best)
			t.Logf("%s, %.0f %%: load %.3f, at worst %.3f; herd at worst %.2f", f.name, 100*full, two.mean.load,
				two.worst.load, two.worst.herd)
			if strings.Contains(f.name, "no weights") {
				continue // the admin's part
			}
			if two.mean.load > bar || two.within < 0.9 {
				t.Errorf("%s, %.0f %%: %.3f in the mean, %.3f at worst", f.name, 100*full, two.mean.load,
					two.worst.load)
			}
			if two.worst.herd > max(3, random.worst.herd) {
				t.Errorf("%s, %.0f %%: a herd of %.2f", f.name, 100*full, two.worst.herd)
			}
			if two.mean.load > random.mean.load || two.mean.load > best.mean.load {
				t.Errorf("%s, %.0f %%: %.3f, random %.3f, best %.3f", f.name, 100*full, two.mean.load, random.mean.load,
					best.mean.load)
			}
		}
	}
}

// The simulation itself, where the outcome is known.
func TestSimulate(t *testing.T) {
	t.Parallel()
	if o := simulate(farm{"", 100, makeEqual(1)}, 0.5, ldm.Two, time.Second, 1); o.load != 1 || o.herd != 1 {
		t.Errorf("one server: %+v", o)
	}
	if o := simulate(farm{"", 100, makeEqual(10)}, 0.5, ldm.Fixed, time.Second, 1); o.load != 10 || o.herd != 10 {
		t.Errorf("all to the first of ten: %+v", o)
	}
	if o := simulate(farm{"", 1000, makeEqual(10)}, 0.5, ldm.Best, 0, 1); o.load > 1.02 {
		t.Errorf("the best, of ratings that are never old: %+v", o)
	}
	if a, b := simulate(farms[2], 0.5, ldm.Two, time.Second, 7), simulate(farms[2], 0.5, ldm.Two, time.Second,
		7); a != b {
		t.Errorf("the same seed: %+v and %+v", a, b)
	}
}

func TestDraw(t *testing.T) {
	t.Parallel()
	small := []farm{{"a < b & c", 50, makeEqual(5)}}
	plot := drawPlot(simulateAll(small, 2))
	if !bytes.Equal(plot, drawPlot(simulateAll(small, 2))) {
		t.Error("the same runs give another plot")
	}
	for d := xml.NewDecoder(bytes.NewReader(plot)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	var table strings.Builder
	if printTable(&table, simulateAll(small, 1)); strings.Count(table.String(), "\n") != 2+len(fulls)*len(compared) {
		t.Error(table.String())
	}
}
