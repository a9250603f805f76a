package main

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"ltskeeper/internal/testkit/manual"
	"ltskeeper/ldm"
)

// The manual page names the options, the policies, and the settings that are read, and no others.
func TestManual(t *testing.T) {
	t.Parallel()
	page := manual.Read(t, "get_hosts.1")
	page.Options(new(options).flags(), usage)
	manual.Completions(t, "get_hosts", new(options).flags())

	policies := map[string]bool{}
	for _, p := range ldm.Policies {
		policies[string(p)] = true
	}
	page.Defines("POLICIES", policies)

	serve(t, "127.95.71.120:9571", "rating:50\n")
	read := map[string]bool{}
	getenv := func(key string) string {
		read[key] = true
		return map[string]string{"LDM_SERVER": "127.95.71.120"}[key]
	}
	args := []string{ample, "--lts-conf", filepath.Join(t.TempDir(), "none")}
	if err := run(t.Context(), args, getenv, rand.New(rand.NewPCG(1, 2)), new(strings.Builder)); err != nil {
		t.Fatal(err)
	}
	page.Defines("ENVIRONMENT", read)
}
