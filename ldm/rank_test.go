package ldm

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"ltskeeper/internal/names"
)

func dice(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

func order(candidates []Candidate) string {
	var all []string
	for _, c := range candidates {
		all = append(all, c.Name)
	}
	return strings.Join(all, " ")
}

func TestRank(t *testing.T) {
	t.Parallel()
	mixed := []Candidate{
		{"down1", 1, Down, 100, 0}, {"drained", 1, Draining, 0, 0}, {"slow", 1, Rated, 10, 0}, {"quiet", 1, Alive,
			Unrated, 0},
		{"down2", 1, Down, Unrated, 0}, {"quick", 1, Rated, 90, 0}, {"full", 1, Rated, 0, 0},
	}
	for _, test := range []struct {
		policy     Policy
		candidates []Candidate
		want       string // for every seed
	}{
		{Two, nil, ""},
		{Best, mixed[2:4], "slow quiet"},
		{Fixed, mixed, "slow quick full quiet drained down1 down2"},
		{Two, []Candidate{{"slow", 1, Rated, 10, 0}, {"quick", 1, Rated, 11, 0}}, "quick slow"},
		{Two, []Candidate{{"slow", 1000, Rated, 10, 0}, {"quick", 0.001, Rated, 11, 0}}, "quick slow"},
		{Two, []Candidate{{"small", 1, Rated, 50, 10}, {"large", 1, Rated, 45, 100}}, "large small"},
		{Two, []Candidate{{"small", 1, Rated, 70, 10}, {"large", 1, Rated, 45, 100}}, "small large"},
		{Best, []Candidate{{"a", 1, Rated, 1, 0}, {"b", 1, Rated, 3, 0}, {"c", 1, Rated, 2, 0}, {"d", 1, Rated, 0, 0}},
			"b c a d"},
		{Weighted, []Candidate{{"full", 1000, Rated, 0, 0}, {"quick", 0.001, Rated, 1, 0}}, "quick full"},
	} {
		for seed := range uint64(20) {
			if got := order(test.policy.Rank(test.candidates, dice(seed))); got != test.want {
				t.Errorf("%s: %s, want %s", test.policy, got, test.want)
			}
		}
	}
}

// Whatever the policy: nobody is lost, nobody passes one of a better state, the same dice give the
// same order, and the candidates stay as they were.
func TestRankProperties(t *testing.T) {
	t.Parallel()
	r := dice(1)
	for range 500 {
		candidates := make([]Candidate, 1+r.IntN(20))
		for i := range candidates {
			candidates[i] = Candidate{fmt.Sprint("app", i),
				[]float64{0, 1, 0.5, 7, math.NaN(), math.Inf(1),
					-1}[r.IntN(7)], State(r.IntN(4)), r.IntN(102) - 1, r.IntN(50)}
		}
		for _, policy := range Policies {
			before, seed := order(candidates), r.Uint64()
			ranked := policy.Rank(candidates, dice(seed))
			if !slices.IsSortedFunc(ranked, func(a, b Candidate) int { return int(b.State) - int(a.State) }) {
				t.Fatalf("%s: a worse state before a better one: %v", policy, ranked)
			}
			all := strings.Fields(order(ranked))
			slices.Sort(all)
			if len(slices.Compact(all)) != len(candidates) {
				t.Fatalf("%s: %v of %v", policy, ranked, candidates)
			}
			if again := policy.Rank(candidates, dice(seed)); order(again) != order(ranked) {
				t.Fatalf("%s: %v and %v", policy, ranked, again)
			}
			if order(candidates) != before {
				t.Fatalf("%s: the candidates were %s and are %s", policy, before, order(candidates))
			}
			if first := candidates[policy.Choose(candidates, dice(seed))]; first.Name != ranked[0].Name {
				t.Fatalf("%s: Choose says %s, Rank %s", policy, first.Name, ranked[0].Name)
			}
		}
	}
}

// The chances of being first, by arithmetic and by 20,000 draws.
func TestChances(t *testing.T) {
	t.Parallel()
	const draws = 20_000
	rated := func(weight float64, rating int) Candidate { return Candidate{"", weight, Rated, rating, 0} }
	for _, test := range []struct {
		name       string
		policy     Policy
		candidates []Candidate
		want       []float64
	}{
		{"random", Random, []Candidate{rated(1, 90), rated(2, 10), rated(1, 50)}, []float64{.25, .5, .25}},
		{"weighted", Weighted, []Candidate{rated(1, 90), rated(2, 10), rated(1, 50)},
			[]float64{9. / 16, 2. / 16, 5. / 16}},
		{"weighted, all full", Weighted, []Candidate{rated(1, 0), rated(3, 0)}, []float64{.25, .75}},
		// First 1 of 4 with 1/4 or 2/4 or 1/4; the pairs are {0,1}, {0,2}, {1,2}, and 0 wins both
		// of its own.
		{"two", Two, []Candidate{rated(1, 90), rated(2, 10), rated(1, 50)},
			[]float64{.25 + .5*.5 + .25/3, 0, .25*2/3 + .5*.5}},
		{"two, all equal", Two, []Candidate{rated(1, 50), rated(2, 50), rated(1, 50)}, []float64{.25, .5, .25}},
		{"best of equals", Best, []Candidate{rated(1, 50), rated(3, 50), rated(9, 10)}, []float64{.25, .75, 0}},
		{"alive", Best, []Candidate{{"", 1, Alive, Unrated, 0}, {"", 3, Alive, Unrated, 0}}, []float64{.25, .75}},
		{"no sound weight counts as 1", Random,
			[]Candidate{rated(0, 1), rated(math.NaN(), 1), rated(math.Inf(1), 1), rated(1e9, 1)}, []float64{.25, .25,
				.25, .25}},
	} {
		r := dice(7)
		got := make([]float64, len(test.candidates))
		for range draws {
			got[test.policy.Choose(test.candidates, r)] += 1. / draws
		}
		for i := range got {
			if math.Abs(got[i]-test.want[i]) > 0.015 {
				t.Errorf("%s: %.3f, want %.3f", test.name, got, test.want)
				break
			}
		}
	}
}

func TestParsePolicy(t *testing.T) {
	t.Parallel()
	for _, p := range Policies {
		if got := ParsePolicy(string(p)); got != p {
			t.Errorf("%s: %s", p, got)
		}
	}
	for _, none := range []string{"", "tow"} {
		if got := ParsePolicy(none); got != Two {
			t.Errorf("%q: %s", none, got)
		}
	}
}

func TestWeights(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]map[string]float64{
		"":                     {},
		"app01=2 app07=0.5":    {"app01": 2, "app07": 0.5},
		" app01=2  app01=3 ":   {"app01": 3},
		"fd00::1=2":            {"fd00::1": 2},
		"a=0 b=-1 c=NaN d=Inf": {},
		"a=x b= c =1 -d=1 e=2": {"e": 2},
	} {
		if got := ParseWeights(list); !maps.Equal(got, want) {
			t.Errorf("Weights(%q) = %v, want %v", list, got, want)
		}
	}
}

func FuzzWeights(f *testing.F) {
	f.Add("app01=2 app07=0.5")
	f.Add("a=1e400 b=0x1p-2 =3")
	f.Fuzz(func(t *testing.T, list string) {
		for name, w := range ParseWeights(list) {
			if !names.IsValid(name) || !(w >= minWeight && w <= maxWeight) {
				t.Errorf("%q: %v", name, w)
			}
		}
		for _, name := range SplitNames(list) {
			if !names.IsValid(name) {
				t.Errorf("name %q", name)
			}
		}
	})
}
