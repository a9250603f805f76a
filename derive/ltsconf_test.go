package derive

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ltskeeper/farm"
	"ltskeeper/ldm"
)

// loadFarm loads a declaration with these files.
func loadFarm(t *testing.T, files map[string]string) *farm.Farm {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f, err := farm.Load(filepath.Join(dir, "ltskeeper.toml"))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// makeServers returns n servers.
func makeServers(n int) []farm.Server {
	var list []farm.Server
	for i := range n {
		list = append(list, farm.Server{Name: fmt.Sprintf("app%03d", i)})
	}
	return list
}

// listNames returns the names of the servers that clients get of a list, where those for which
// isTrusted is true have a key.
func listNames(list []farm.Server, quarantined []string, isTrusted func(string) bool) []string {
	r := Record{Certified: map[string]bool{}, Quarantined: quarantined}
	for _, s := range list {
		r.Certified[s.Name] = isTrusted(s.Name)
	}
	var names []string
	for _, s := range r.ListServers(farm.List{Servers: list}) {
		names = append(names, s.Name)
	}
	return names
}

func trustAll(string) bool { return true }

func TestNoMoreThanAQuarterOfAListIsOut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ declared, out int }{
		{1, 0}, // never the last server
		{2, 1}, // at least one
		{3, 1}, {4, 1}, {7, 1},
		{8, 2}, {11, 2}, {12, 3}, {1000, 250},
	} {
		list := makeServers(c.declared)
		var all []string
		for _, s := range list {
			all = append(all, s.Name)
		}
		if got := len(list) - len(listNames(list, all, trustAll)); got != c.out {
			t.Errorf("of %d servers that are all suspect, %d are out, want %d", c.declared, got, c.out)
		}
	}
}

func TestThoseInQuarantineLongestAreOutFirst(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ quarantined, want string }{
		{"app002 app000 app003", "app000 app001 app003"},
		{"app000 app003", "app001 app002 app003"}, // one that leaves makes room for the next
	} {
		got := strings.Join(listNames(makeServers(4), strings.Fields(test.quarantined), trustAll), " ")
		if got != test.want {
			t.Errorf("with %s in quarantine, %q are listed, want %q", test.quarantined, got, test.want)
		}
	}
}

func TestAServerWithoutTrustedKeysTakesNoPlace(t *testing.T) {
	t.Parallel()
	quarantined := []string{"app000", "app001"}
	// app000 has no key: it is not listed anyway, and the quarter is there for app001.
	got := listNames(makeServers(4), quarantined, func(name string) bool { return name != "app000" })
	if want := []string{"app002", "app003"}; !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}
	// The last server with a key stays, suspect or not.
	got = listNames(makeServers(4), quarantined, func(name string) bool { return name == "app001" })
	if want := []string{"app001"}; !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}
}

// Whatever is in quarantine and whoever has keys: a list is never emptied, never loses more than
// the bound, and holds no server without a key.
func TestListedProperties(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		list := makeServers(1 + rng.IntN(30))
		trusted, usable := map[string]bool{}, 0
		var quarantined []string
		for _, i := range rng.Perm(len(list)) {
			name := list[i].Name
			if trusted[name] = rng.IntN(4) > 0; trusted[name] {
				usable++
			}
			if rng.IntN(2) == 0 {
				quarantined = append(quarantined, name)
			}
		}
		listed := listNames(list, quarantined, func(name string) bool { return trusted[name] })
		out := usable - len(listed)
		if usable > 0 && len(listed) == 0 {
			t.Fatalf("seed %d: nobody is left of %d usable servers", seed, usable)
		}
		if out > max(1, len(list)/4) {
			t.Fatalf("seed %d: %d of %d servers are out", seed, out, len(list))
		}
		for _, name := range listed {
			if !trusted[name] {
				t.Fatalf("seed %d: %s is listed without a key", seed, name)
			}
		}
	}
}

func TestBalanceSettings(t *testing.T) {
	t.Parallel()
	servers := map[string]string{
		"ltskeeper.toml":       "",
		"servers.d/app01.toml": "weight = 2\naddresses = [\"10.0.0.11\"]\ngroups = [\"cad\", \"office\"]\n",
		"servers.d/app02.toml": "weight = 1.0\naddresses = [\"10.0.0.12\"]\n",
		"servers.d/app07.toml": "weight = 0.5\naddresses = [\"10.0.0.17\"]\ngroups = [\"cad\"]\n",
	}
	for toml, want := range map[string][]farm.Setting{
		"": {
			{Key: "LDM_SERVER_WEIGHTS", Value: "app01=2 app07=0.5"},
			{Key: "LDM_SERVER_GROUPS", Value: "app01=cad,office app07=cad"},
		},
		"[balance]\npolicy = \"best\"\n[lts-conf]\nlist = \"address\"\n": {
			{Key: "LDM_BALANCE", Value: "best"},
			{Key: "LDM_SERVER_WEIGHTS", Value: "10.0.0.11=2 10.0.0.17=0.5"},
			{Key: "LDM_SERVER_GROUPS", Value: "10.0.0.11=cad,office 10.0.0.17=cad"},
		},
	} {
		servers["ltskeeper.toml"] = toml
		f := loadFarm(t, servers)
		if got := balanceSettings(f, slices.Concat(f.Servers, f.Servers[:1])); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", toml, got, want)
		}
		weights := ldm.ParseWeights(want[len(want)-2].Value)
		if len(weights) != 2 || weights[f.ListEntry(f.Servers[2])] != 0.5 {
			t.Errorf("clients read %v", weights)
		}
	}
	plain := loadFarm(t, map[string]string{"ltskeeper.toml": "", "servers.d/app01.toml": ""})
	if got := balanceSettings(plain, plain.Servers); got != nil {
		t.Errorf("where all is as usual: %q", got)
	}
}
