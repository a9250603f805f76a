package ldm

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"ltskeeper/internal/names"
)

// State says what is known of a server. A server with a greater state is tried first, whatever the
// ratings.
type State int

const (
	Down     State = iota // neither its info service nor its SSH answers
	Draining              // it takes no new logins, but is better than nothing
	Alive                 // its SSH answers, its info service does not
	Rated                 // it answers, with a rating
)

func (s State) String() string { return [...]string{"down", "draining", "alive", "up"}[s] }

// A Candidate is a server that a login could use.
type Candidate struct {
	Name   string
	Weight float64 // how much it can take compared with others; 1 if it is not valid
	State  State
	Rating int // 0 to 100; counts only if the state is Rated
	// Capacity is how many sessions it is meant for; 0 if it does not say.
	Capacity int
}

// soonRating returns the rating that a server will have when it has taken this login, and another
// that came since it was asked. On a small server each weighs more than on a large one.
func (c Candidate) soonRating() float64 {
	if c.Capacity <= 0 {
		return float64(c.Rating)
	}
	return float64(c.Rating) - 2*100/float64(c.Capacity)
}

// A Policy says in which order servers of the same state are tried.
type Policy string

const (
	Two      Policy = "two"      // the better rated of two that are drawn in proportion to weight
	Weighted Policy = "weighted" // chance in proportion to rating times weight
	Best     Policy = "best"     // highest rating first; every client that asks at the same time gets the same one
	Random   Policy = "random"   // chance in proportion to weight, whatever the ratings
	Fixed    Policy = "fixed"    // as listed
)

// Policies are all policies, the default one first.
var Policies = []Policy{Two, Weighted, Best, Random, Fixed}

// ParsePolicy returns the policy of that name. If there is none, it is the default, Two: a wrong
// name does not keep users from logging in.
func ParsePolicy(name string) Policy {
	if p := Policy(name); slices.Contains(Policies, p) {
		return p
	}
	return Two
}

// Rank returns all candidates in the order in which to try them. Those that are down come last.
func (p Policy) Rank(candidates []Candidate, r *rand.Rand) []Candidate {
	rest := slices.Clone(candidates)
	ranked := make([]Candidate, 0, len(rest))
	for len(rest) > 0 {
		i := p.Choose(rest, r)
		ranked = append(ranked, rest[i])
		rest = slices.Delete(rest, i, i+1)
	}
	return ranked
}

// Choose returns the index of the candidate to try first, of at least one. Rank chooses repeatedly
// from those that are left.
func (p Policy) Choose(candidates []Candidate, r *rand.Rand) int {
	top := slices.MaxFunc(candidates, func(a, b Candidate) int { return int(a.State) - int(b.State) }).State
	weight := func(i int) float64 {
		if c := candidates[i]; c.State == top {
			return correctWeight(c.Weight)
		}
		return 0
	}
	if p == Fixed {
		return slices.IndexFunc(candidates, func(c Candidate) bool { return c.State == top })
	}
	first := drawOne(len(candidates), r, weight)
	if top != Rated {
		return first
	}
	rating := func(i int) int { return max(0, candidates[i].Rating) }
	switch p {
	case Two:
		second := drawOne(len(candidates), r, func(i int) float64 {
			if i == first {
				return 0
			}
			return weight(i)
		})
		if second >= 0 && candidates[second].soonRating() > candidates[first].soonRating() {
			return second
		}
	case Weighted:
		if i := drawOne(len(candidates), r, func(i int) float64 { return weight(i) * float64(rating(i)) }); i >= 0 {
			return i
		}
	case Best:
		best := 0
		for i := range candidates {
			if weight(i) > 0 {
				best = max(best, rating(i))
			}
		}
		return drawOne(len(candidates), r, func(i int) float64 {
			if rating(i) != best {
				return 0
			}
			return weight(i)
		})
	}
	return first
}

// drawOne returns one of n, each with a chance in proportion to its weight, or -1 if none has any.
func drawOne(n int, r *rand.Rand, weight func(int) float64) int {
	total := 0.0
	for i := range n {
		total += weight(i)
	}
	last := -1
	for x, i := r.Float64()*total, 0; i < n; i++ {
		w := weight(i)
		if w <= 0 {
			continue
		}
		last = i // what rounding leaves of x goes to the last one
		if x -= w; x < 0 {
			break
		}
	}
	return last
}

// The limits of weights that count.
const minWeight, maxWeight = 1e-6, 1e6

// IsValidWeight reports whether a weight counts: one from a millionth to a million.
func IsValidWeight(weight float64) bool { return weight >= minWeight && weight <= maxWeight }

// correctWeight returns 1 for a weight that does not count.
func correctWeight(weight float64) float64 {
	if IsValidWeight(weight) {
		return weight
	}
	return 1
}

// ParseWeights reads LDM_SERVER_WEIGHTS, like "app01=2 app07=0.5". It ignores what is not a valid
// weight: a mistake there must not keep anybody from logging in.
func ParseWeights(list string) map[string]float64 {
	weights := map[string]float64{}
	for _, field := range strings.Fields(list) {
		name, value, _ := strings.Cut(field, "=")
		w, err := strconv.ParseFloat(value, 64)
		if err == nil && IsValidWeight(w) && names.IsValid(name) {
			weights[name] = w
		}
	}
	return weights
}
