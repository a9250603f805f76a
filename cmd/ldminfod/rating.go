package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// The rating is the free part of what is scarcest, in percent:
//
//	100 x min(load, pressure, memory, sessions), rounded
//
//	load      1 - (load average of the last minute) / (number of cores)
//	pressure  1 - (share of the last 10 s in which some task waited for a CPU: "some avg10")
//	memory    MemAvailable / MemTotal
//	sessions  1 - (number of sessions) / --capacity
//
// each from 0 to 1. What is not known is left out: pressure if the kernel does not have it,
// sessions without --capacity or without logind.

// A term is the free part of a resource.
type term struct {
	name string
	free float64 // 0 to 1
	from string  // where it comes from, for --explain
}

// terms returns what is known of the server's resources.
func (s *server) terms() []term {
	var terms []term
	add := func(name string, used float64, from string, args ...any) {
		if !math.IsNaN(used) {
			terms = append(terms, term{name, 1 - min(max(used, 0), 1), fmt.Sprintf(from, args...)})
		}
	}
	if load, cores := s.load(), s.cores(); cores > 0 {
		add("load", load/float64(cores), "load %.2f, cores %d", load, cores)
	}
	pressure := s.pressure()
	add("pressure", pressure/100, "some task waited for a CPU in %.1f %% of the last 10 s", pressure)
	if total, available := s.memory(); total > 0 {
		add("memory", 1-available/total, "%.1f of %.1f GiB available", available/(1<<20), total/(1<<20))
	}
	if logins := s.logins(); s.capacity > 0 && logins >= 0 {
		add("sessions", float64(logins)/float64(s.capacity), "%d of %d", logins, s.capacity)
	}
	return terms
}

// computeRating returns 0 if nothing is known, so that other servers are tried first.
func computeRating(terms []term) int {
	if len(terms) == 0 {
		return 0
	}
	return int(math.Round(100 * findScarcest(terms).free))
}

func findScarcest(terms []term) term {
	return slices.MinFunc(terms, func(a, b term) int { return cmp.Compare(a.free, b.free) })
}

// load returns the load average of the last minute, NaN if it is not known (proc(5),
// /proc/loadavg).
func (s *server) load() float64 {
	for line := range s.lines("proc/loadavg") {
		first, _, _ := strings.Cut(line, " ")
		return parseDecimal(first)
	}
	return math.NaN()
}

// cores counts the processors that are on line (proc(5), /proc/stat).
func (s *server) cores() int {
	n := 0
	for line := range s.lines("proc/stat") {
		if len(line) > 3 && strings.HasPrefix(line, "cpu") && line[3] != ' ' {
			n++
		}
	}
	return n
}

// pressure returns the percentage of the last 10 s in which some task waited for a CPU, averaged
// over the processors; NaN if the kernel does not tell (Documentation/accounting/psi.rst).
func (s *server) pressure() float64 {
	for line := range s.lines("proc/pressure/cpu") {
		if rest, found := strings.CutPrefix(line, "some avg10="); found {
			first, _, _ := strings.Cut(rest, " ")
			return parseDecimal(first)
		}
	}
	return math.NaN()
}

// memory returns kilobytes (proc(5), /proc/meminfo).
func (s *server) memory() (total, available float64) {
	for line := range s.lines("proc/meminfo") {
		key, value, _ := strings.Cut(line, ":")
		number, _, _ := strings.Cut(strings.TrimSpace(value), " ")
		switch key {
		case "MemTotal":
			total = parseDecimal(number)
		case "MemAvailable":
			available = parseDecimal(number)
		}
	}
	return total, available
}

// parseDecimal returns NaN for what is not a number.
func parseDecimal(s string) float64 {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return math.NaN()
	}
	return x
}
