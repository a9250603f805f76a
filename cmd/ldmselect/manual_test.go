package main

import (
	"path/filepath"
	"testing"

	"ltskeeper/internal/testkit/manual"
	"ltskeeper/internal/thinclient"
)

// The manual page names the options and the settings that are read, and no others.
func TestManual(t *testing.T) {
	t.Parallel()
	page := manual.Read(t, "ldmselect.1")
	page.Options(new(options).flags(), usage)
	manual.Completions(t, "ldmselect", new(options).flags())

	read := map[string]bool{"NO_COLOR": true} // which the library of the table reads
	getenv := func(key string) string {
		read[key] = true
		return ""
	}
	none := filepath.Join(t.TempDir(), "none")
	if _, err := run([]string{"--lts-conf", none}, getenv); err == nil {
		t.Fatal("it runs without servers")
	}
	openTable(t.Context(), []string{"app01"}, thinclient.NewSettings(getenv, none))
	isUTF8(getenv)
	page.Defines("ENVIRONMENT", read)
}
