package pages

import (
	"os/exec"
	"slices"
	"testing"
)

func TestConverse(t *testing.T) {
	if got := listAnswers([]string{"a", "Right? (yes/no) yes", "alice@app01's password:", "no",
		table}); !slices.Equal(got,
		[]string{"yes", "secret", ""}) {
		t.Errorf("types %q", got)
	}
	cmd := exec.Command("script", "--quiet", "--return", "--command",
		`printf 'Right? (yes/no) '; read a; echo "$a it is"; exit 3`, "/dev/null")
	out, err := converse(cmd, []string{"no"})
	if out != "Right? (yes/no) no\r\nno it is\r\n" || err == nil || err.Error() != "exit status 3" {
		t.Errorf("printed %q, %v", out, err)
	}
}
