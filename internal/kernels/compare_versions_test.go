package kernels

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// sort -V, which `ltsp kernel` uses, is the judge of which version is newer.
func TestCompareVersions(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	versions := []string{"6.1.0-9-amd64", "6.1.0-10-amd64", "6.1.0-10-amd64.old", "5.10", "6.1~rc1", "6.1", "6.01",
		"6.1.0"}
	for range 300 {
		version := strconv.Itoa(random.IntN(12))
		for range random.IntN(4) {
			version += []string{".", "-", "-amd64", "~rc", "+b", "a"}[random.IntN(6)] + strconv.Itoa(random.IntN(120))
		}
		versions = append(versions, version)
	}
	cmd := exec.Command("sort", "-V", "-s")
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdin = strings.NewReader(strings.Join(versions, "\n") + "\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	sorted := strings.Fields(string(out))
	if len(sorted) != len(versions) {
		t.Fatalf("sort -V gave %d of %d versions", len(sorted), len(versions))
	}
	for i := range sorted[1:] {
		if a, b := sorted[i], sorted[i+1]; CompareVersions(a, b) > 0 || CompareVersions(b, a) < 0 {
			t.Errorf("sort -V has %s before %s, CompareVersions does not", a, b)
		}
	}
}
