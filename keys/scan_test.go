package keys

import (
	"testing"

	"ltskeeper/internal/sshdtest"
)

func TestScanShowsEveryHostKey(t *testing.T) {
	t.Parallel()
	s := sshdtest.Start(t, sshdtest.Options{KeyTypes: []string{"ed25519", "ecdsa", "ecdsa384", "ecdsa521", "rsa"}})
	sightings, err := new(Scanner).Scan(t.Context(), []Target{{Name: "app01", Addresses: []string{s.Address}, Port: s.Port}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", sightings)
	for _, k := range sightings[0].Addresses[0].Keys {
		t.Log(k.Line())
	}
}
