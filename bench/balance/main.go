// Command balance shows how evenly clients spread over servers: it lets a farm's clients all come
// within two minutes, in a simulation, each choosing with the code that get_hosts has (package
// ldm), and compares the policies.
//
//	go run ./bench/balance -svg docs/balancing.svg
//
// It prints a table and draws the plot of docs/balancing.md. The same seeds give the same bytes.
// Nothing is asked over a network.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"ltskeeper/ldm"
)

func main() {
	svg := flag.String("svg", "", "draw a plot into this file")
	runs := flag.Int("runs", 20, "simulate everything this often")
	flag.Parse()
	results := simulateAll(farms, *runs)
	printTable(os.Stdout, results)
	if *svg == "" {
		return
	}
	if err := os.WriteFile(*svg, drawPlot(results), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "balance:", err)
		os.Exit(1)
	}
}

var farms = []farm{
	{"1,400 clients, 30 equal servers", 1400, makeEqual(30)},
	{"1,400 clients, 30 servers of sizes 1, 2 and 4", 1400, makeUnequal(30)},
	{"the same, one joins late", 1400, makeJoining(30)},
	{"the same, no weights declared", 1400, makeUndeclared(30)},
	{"10,000 clients, 200 servers of sizes 1, 2 and 4, one joins late", 10_000, makeJoining(200)},
}

// fulls are how full the farms are in the end.
var fulls = []float64{0.5, 0.9}

// compared are the policies that there is something to say about: fixed sends everybody to one
// server.
var compared = []ldm.Policy{ldm.Two, ldm.Weighted, ldm.Random, ldm.Best}

// A result is what came of a farm's rush, again and again.
type result struct {
	farm   string
	full   float64
	policy ldm.Policy
	mean   outcome
	worst  outcome
	within float64 // the part of the runs that ended within the bar
}

// bar is what the default policy is held to: the largest load over the mean.
const bar = 1.10

func simulateAll(farms []farm, runs int) []result {
	var results []result
	for _, f := range farms {
		for _, full := range fulls {
			for _, policy := range compared {
				r := result{farm: f.name, full: full, policy: policy}
				for seed := range runs {
					o := simulate(f, full, policy, time.Second, uint64(seed))
					r.worst = outcome{max(r.worst.load, o.load), max(r.worst.herd, o.herd)}
					r.mean.load += o.load / float64(runs)
					r.mean.herd += o.herd / float64(runs)
					if o.load <= bar {
						r.within += 1 / float64(runs)
					}
				}
				results = append(results, r)
			}
		}
	}
	return results
}
