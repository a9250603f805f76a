package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// The rating is the free part of what is scarcest, in percent:
//
//	100 x min(load, pressure, memory, sessions), rounded
//
//	load      1 - (load average of the last minute) / (number of cores)
//	pressure  1 - (share of the last 10 s in which some task waited for a CPU; cpu pressure, "some avg10")
//	memory    MemAvailable / MemTotal
//	sessions  1 - (sessions there are) / --capacity
//
// each from 0 to 1. What the machine does not tell is left out: pressure where the kernel keeps
// none, sessions without a
// --capacity or without logind.

// A term is the free part of a resource.
type term struct {
	name string
	free float64 // 0 to 1
	from string  // for people
}

// terms returns what the machine tells of its resources.
func (m *machine) terms() []term {
	var terms []term
	add := func(name string, used float64, from string, args ...any) {
		if !math.IsNaN(used) {
			terms = append(terms, term{name, 1 - min(max(used, 0), 1), fmt.Sprintf(from, args...)})
		}
	}
	if load, cores := m.load(), m.cores(); cores > 0 {
		add("load", load/float64(cores), "load %.2f, cores %d", load, cores)
	}
	pressure := m.pressure()
	add("pressure", pressure/100, "some task waited for a CPU in %.1f %% of the last 10 s", pressure)
	if total, available := m.memory(); total > 0 {
		add("memory", 1-available/total, "%.1f of %.1f GiB available", available/(1<<20), total/(1<<20))
	}
	if logins := m.logins(); m.capacity > 0 && logins >= 0 {
		add("sessions", float64(logins)/float64(m.capacity), "%d of %d", logins, m.capacity)
	}
	return terms
}

// rating returns 0 if nothing is known: then others should be tried first.
func rating(terms []term) int {
	if len(terms) == 0 {
		return 0
	}
	free := 1.0
	for _, t := range terms {
		free = min(free, t.free)
	}
	return int(math.Round(100 * free))
}

// load returns the load average of the last minute, NaN if there is none (proc(5), /proc/loadavg).
func (m *machine) load() float64 {
	for line := range m.lines("proc/loadavg") {
		first, _, _ := strings.Cut(line, " ")
		return decimal(first)
	}
	return math.NaN()
}

// cores counts the processors that are on line (proc(5), /proc/stat).
func (m *machine) cores() int {
	n := 0
	for line := range m.lines("proc/stat") {
		if len(line) > 3 && strings.HasPrefix(line, "cpu") && line[3] != ' ' {
			n++
		}
	}
	return n
}

// pressure returns the percentage of the last 10 s in which some task waited for a CPU, averaged
// over the processors; NaN if the kernel does not tell (Documentation/accounting/psi.rst).
func (m *machine) pressure() float64 {
	for line := range m.lines("proc/pressure/cpu") {
		if rest, found := strings.CutPrefix(line, "some avg10="); found {
			first, _, _ := strings.Cut(rest, " ")
			return decimal(first)
		}
	}
	return math.NaN()
}

// memory returns kilobytes (proc(5), /proc/meminfo).
func (m *machine) memory() (total, available float64) {
	for line := range m.lines("proc/meminfo") {
		key, value, _ := strings.Cut(line, ":")
		number, _, _ := strings.Cut(strings.TrimSpace(value), " ")
		switch key {
		case "MemTotal":
			total = decimal(number)
		case "MemAvailable":
			available = decimal(number)
		}
	}
	return total, available
}

// decimal returns NaN for what is no number.
func decimal(s string) float64 {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return math.NaN()
	}
	return x
}
