package dist

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// GNU mail takes a line that begins with a tilde for a command, also where nobody types.
func TestMailHoldsNoCommands(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/usr/sbin/sendmail", "/usr/lib/sendmail", "/usr/bin/sendmail", "/bin/sendmail"} {
		if _, err := os.Lstat(path); err == nil {
			t.Skip(path + " would be used")
		}
	}
	dir := t.TempDir()
	for name, script := range map[string]string{
		"journalctl": `printf '%s\n' 'ltskeeper: ~ is fine' '~!touch pwned' '  ~ too'`,
		"mail":       `printf '%s\n' "$@"; cat`,
		"hostname":   "echo primary",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("sh", "mail-failure", "ltskeeper-update")
	cmd.Env = []string{"PATH=" + dir + ":/usr/bin:/bin", "MONITOR_SERVICE_RESULT=exit-code", "MONITOR_EXIT_STATUS=3"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text := string(out)
	if !strings.HasPrefix(text, "-s\nltskeeper-update on primary: something needs your decision or attention\nroot\n") {
		t.Errorf("%s", text)
	}
	if strings.Contains(text, "\n~") || !strings.Contains(text, "\n ~!touch pwned\n") ||
		!strings.Contains(text, "\nltskeeper: ~ is fine\n") {
		t.Errorf("%s", text)
	}
}
