package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers are the packages of this module from the top down. A package imports what is in layers
// below its own, and in its own what peers says. "x/..." is every package below x.
var layers = [][]string{
	// tests and tools, which nothing but a test imports
	{"testscripts", "internal/testkit/...", "internal/lint", "bench/...", "dist/...", "docs/..."},
	// faces
	{"cmd/..."},
	// use cases
	{"keeper", "doctor", "adopt"},
	// derivation
	{"derive"},
	// declaration
	{"farm"},
	// engines
	{"keys", "keys/scan", "keys/trust", "image", "squashfs", "chroot", "secrets", "ltsconf", "ldm", "boot", "pair",
		"director", "internal/thinclient"},
	// ground
	{"internal/state", "internal/durable", "internal/mounts", "internal/names", "internal/glob", "internal/remedy",
		"internal/excludes", "internal/kernels", "internal/packages", "internal/host", "internal/clientfs",
		"internal/inits", "internal/spelling",
		"internal/regular"},
}

// peers says what packages import within their layer. On the ground and on top everybody may; Go
// refuses cycles.
var peers = map[string][]string{
	"doctor":              {"keeper", "adopt"}, // where nothing is declared, it looks at what would be
	"adopt":               {"keeper"},
	"image":               {"squashfs"},
	"keys/scan":           {"keys"},
	"keys/trust":          {"keys"},
	"internal/thinclient": {"ldm", "ltsconf"},
}

// testPeers says what tests import within their layer as well.
var testPeers = map[string][]string{
	"keys/trust": {"keys/scan"}, // they judge what real servers show
}

// strangers says what packages do not import though it is below them.
var strangers = map[string][]string{
	"farm": {"image", "squashfs", "chroot"}, // it is what was declared, and not whether it is so
	"keys": {"internal/state"},              // it is formats, and not where they are kept
}

// unmoved are imports that are still against these rules. Whoever makes one needless removes it.
var unmoved []edge

// An edge is an import between two packages of this module.
type edge struct{ from, to string }

func TestLayers(t *testing.T) {
	t.Parallel()
	packages, err := loadPackages("../..")
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < 40 {
		t.Errorf("there are only %d packages", len(packages))
	}
	var wrong []edge
	for _, p := range packages {
		if places := findLayers(p.path); len(places) != 1 {
			t.Errorf("%s is in %d layers", p.path, len(places))
			continue
		}
		for _, f := range p.files {
			for _, spec := range f.Imports {
				path, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					t.Fatal(err)
				}
				to, isOurs := strings.CutPrefix(path, "ltskeeper/")
				if why := judgeImport(edge{p.path, to}, f.isTest); isOurs && why != "" {
					wrong = append(wrong, edge{p.path, to})
					if !slices.Contains(unmoved, edge{p.path, to}) {
						t.Errorf("%s imports %s: %s", f.name, to, why)
					}
				}
			}
		}
	}
	for _, e := range unmoved {
		if !slices.Contains(wrong, e) {
			t.Errorf("%s does not import %s any more: remove it from unmoved", e.from, e.to)
		}
	}
}

// findLayers returns the numbers of the layers that a package is in.
func findLayers(in string) (found []int) {
	for i, layer := range layers {
		for _, p := range layer {
			if below, isAll := strings.CutSuffix(p, "/..."); in == p ||
				isAll && (in == below || strings.HasPrefix(in, below+"/")) {
				found = append(found, i)
			}
		}
	}
	return found
}

// judgeImport returns why a package, or its test, may not import another, or "".
func judgeImport(e edge, isTest bool) string {
	from, to := findLayers(e.from), findLayers(e.to)
	switch {
	case len(from) != 1 || len(to) != 1:
		return "it is in no layer"
	case e.from == e.to, isTest && (isTestKit(e.to) || slices.Contains(testPeers[e.from], e.to)):
		return ""
	case to[0] < from[0]:
		return "it is in a higher layer"
	case slices.Contains(strangers[e.from], e.to):
		return "it is none of its business"
	case to[0] > from[0], from[0] == 0, from[0] == len(layers)-1, slices.Contains(peers[e.from], e.to):
		return ""
	}
	return "it is in the same layer"
}

func TestJudgeImport(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		from, to string
		isTest   bool
		want     string
	}{
		{"cmd/ltskeeper", "keeper", false, ""},
		{"cmd/ltskeeper", "internal/state", false, ""},
		{"cmd/ltskeeper", "cmd/ldminfod", false, "same layer"},
		{"keeper", "cmd/ltskeeper", false, "higher layer"},
		{"keeper", "doctor", false, "same layer"},
		{"doctor", "keeper", false, ""},
		{"keys/scan", "keys", false, ""},
		{"keys/scan", "keys/trust", false, "same layer"},
		{"keys/trust", "keys/scan", false, "same layer"},
		{"keys/trust", "keys/scan", true, ""},
		{"keys/scan", "keys/trust", true, "same layer"},
		{"keys", "keys/scan", false, "same layer"},
		{"squashfs", "image", false, "same layer"},
		{"squashfs", "internal/glob", false, ""},
		{"farm", "derive", false, "higher layer"},
		{"farm", "ltsconf", false, ""},
		{"farm", "squashfs", false, "business"},
		{"internal/mounts", "internal/durable", false, ""},
		{"internal/mounts", "ltsconf", false, "higher layer"},
		{"keys", "internal/testkit/sshdtest", false, "higher layer"},
		{"keys", "internal/testkit/sshdtest", true, ""},
		{"keys", "testscripts", true, "higher layer"},
		{"keys", "image", true, "same layer"},
		{"bench", "internal/testkit/sshdtest", false, ""},
		{"keys", "util", false, "no layer"},
	} {
		t.Run(fmt.Sprintf("%s %s %v", test.from, test.to, test.isTest), func(t *testing.T) {
			t.Parallel()
			got := judgeImport(edge{test.from, test.to}, test.isTest)
			if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
