package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"ltskeeper/ldm"
)

// A farm is application servers that clients come to, all within two minutes.
type farm struct {
	name    string
	clients int
	servers []server
}

type server struct {
	size   float64       // its capacity beside others
	weight float64       // as declared
	joins  time.Duration // when it answers for the first time
}

const (
	rush   = 2 * time.Minute // in which all clients come
	window = 30 * time.Second
)

// makeEqual returns servers of one size.
func makeEqual(n int) []server {
	return slices.Repeat([]server{{size: 1, weight: 1}}, n)
}

// makeUnequal returns servers of which a third each has the sizes 1, 2 and 4, with weights that say
// so.
func makeUnequal(n int) []server {
	servers := makeEqual(n)
	for i := range servers {
		servers[i].size = float64(int(1) << (3 * i / n))
		servers[i].weight = servers[i].size
	}
	return servers
}

// makeJoining returns servers like makeUnequal, but the last one, of size 4, is missing in the
// first quarter of the rush.
func makeJoining(n int) []server {
	servers := makeUnequal(n)
	servers[n-1].joins = rush / 4
	return servers
}

// makeUndeclared returns servers like makeUnequal without weights.
func makeUndeclared(n int) []server {
	servers := makeUnequal(n)
	for i := range servers {
		servers[i].weight = 1
	}
	return servers
}

// An outcome is what came of a rush.
type outcome struct {
	// load is the largest load of a server over the mean, both in proportion to capacity.
	load float64
	// herd is the most arrivals that a server had in 30 s over its fair share of all arrivals in
	// these 30 s.
	herd float64
}

// simulate lets the clients of a farm come at random moments, each choosing as get_hosts does, from
// ratings that ldminfod makes of sessions against capacity and gives again until they are age old.
// At the end the farm is full to that part.
func simulate(f farm, full float64, policy ldm.Policy, age time.Duration, seed uint64) outcome {
	dice := rand.New(rand.NewPCG(seed, 0))
	total := 0.0
	for _, s := range f.servers {
		total += s.size
	}
	capacity := func(i int) float64 { return f.servers[i].size / total * float64(f.clients) / full }

	arrivals := make([]time.Duration, f.clients)
	for i := range arrivals {
		arrivals[i] = time.Duration(dice.Int64N(int64(rush)))
	}
	slices.Sort(arrivals)

	candidates := make([]ldm.Candidate, len(f.servers))
	for i, s := range f.servers {
		candidates[i] = ldm.Candidate{Weight: s.weight, State: ldm.Down, Capacity: int(math.Round(capacity(i)))}
	}
	sessions := make([]int, len(f.servers)) // as the ratings know them
	rate := func(i int) {
		free := 1 - float64(sessions[i])/capacity(i)
		candidates[i].Rating = int(math.Round(100 * max(free, 0)))
	}
	for i := range candidates {
		rate(i)
	}
	chosen := make([]int, f.clients)
	var stale time.Duration // when the ratings are too old to be given again
	known := 0              // how many of the choices the ratings know
	for client, now := range arrivals {
		if now >= stale {
			stale = now + age
			for ; known < client; known++ {
				sessions[chosen[known]]++
				rate(chosen[known])
			}
		}
		for i, s := range f.servers {
			if s.joins <= now {
				candidates[i].State = ldm.Rated
			}
		}
		chosen[client] = policy.Choose(candidates, dice)
	}
	return f.judge(arrivals, chosen, total)
}

// judge measures what came of it.
func (f farm) judge(arrivals []time.Duration, chosen []int, total float64) outcome {
	var o outcome
	share := func(i int) float64 { return f.servers[i].size / total }
	load := make([]int, len(f.servers))
	for _, i := range chosen {
		load[i]++
	}
	for i := range load {
		o.load = max(o.load, float64(load[i])/share(i)/float64(f.clients))
	}
	for from := time.Duration(0); from <= rush-window; from += time.Second {
		first, _ := slices.BinarySearch(arrivals, from)
		end, _ := slices.BinarySearch(arrivals, from+window)
		clear(load)
		for _, i := range chosen[first:end] {
			load[i]++
		}
		for i := range load {
			o.herd = max(o.herd, float64(load[i])/share(i)/float64(end-first))
		}
	}
	return o
}
