package main

import "testing"

// What init says to type is what server add takes for two servers.
func TestNextAddsServers(t *testing.T) {
	t.Parallel()
	d := initDocument{InUse: []string{"app01", "10.0.0.12"}}
	if got, want := d.next((&tool{config: defaultConfig}).newPage()),
		"ltskeeper server add 10.0.0.12 app01"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
