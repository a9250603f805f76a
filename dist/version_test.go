package dist

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Versions sort as time went by.
func TestVersion(t *testing.T) {
	history := []struct{ git, when, want string }{
		{"ae12c7f00d11", "1795000000", "0~20261118.110640.gae12c7f00d11"},
		{"0123456789ab", "1795000001", "0~20261118.110641.g0123456789ab"},
		{"v0.9", "", "0.9"},
		{"v1.0-rc1", "", "1.0~rc1"},
		{"v1.0-rc1-9-gffff", "", "1.0~rc1+9.gffff"},
		{"v1.0-rc2", "", "1.0~rc2"},
		{"v1.0", "", "1.0"},
		{"v1.0-dirty", "", "1.0+dirty"},
		{"v1.0.1", "", "1.0.1"},
		{"v1.0.1-5-gabcdef", "", "1.0.1+5.gabcdef"},
		{"v1.0.1-10-gabcdef", "", "1.0.1+10.gabcdef"},
		{"v1.0.1-10-gabcdef-dirty", "", "1.0.1+10.gabcdef+dirty"},
		{"1.1", "", "1.1"},
	}
	before := ""
	for _, test := range history {
		cmd := exec.Command("deb/version", test.git)
		cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH="+test.when, "TZ=Asia/Kolkata")
		out, err := cmd.CombinedOutput()
		got := strings.TrimSpace(string(out))
		if err != nil || got != test.want {
			t.Errorf("%s is %q, %v, want %s", test.git, got, err, test.want)
		}
		if before != "" && exec.Command("dpkg", "--compare-versions", before+"-1", "lt", got+"-1").Run() != nil {
			t.Errorf("%s does not come after %s", got, before)
		}
		before = got
	}
	if out, err := exec.Command("deb/version", "v1 0").CombinedOutput(); err == nil {
		t.Errorf("a version with a blank is taken: %s", out)
	}
}
