package host

import (
	"strings"
	"testing"
)

// A hosts file and nsswitch.conf may hold anything.
func FuzzHosts(f *testing.F) {
	f.Add([]byte("127.0.0.1 localhost # me\n::1\nhosts: files [!UNAVAIL=return] dns\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file := File{"hosts", data}
		for _, line := range ParseHosts(file).Find("localhost") {
			if !line.Address.IsValid() || line.Where == "" {
				t.Errorf("%+v", line)
			}
		}
		for _, source := range ParseNameSources(file) {
			if strings.ContainsAny(source, "[]= \t") {
				t.Errorf("%q", source)
			}
		}
	})
}
