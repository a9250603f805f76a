package pages

import (
	"bytes"
	"errors"
	"os/exec"
	"regexp"
	"sync"
	"time"
)

// question is a line at whose end somebody types. A password does not show.
var question = regexp.MustCompile(`(?i)(?:\(yes/no(?:/\[fingerprint\])?\)\?? (\w+)|password: ?)$`)

// table is what ldmselect's table begins with, in which somebody presses Enter.
const table = "Which server do you want to work on?"

// listAnswers returns what somebody types who sees these lines on a terminal. The users of all
// pages have the same password.
func listAnswers(output []string) []string {
	var types []string
	for _, line := range output {
		if line == table {
			types = append(types, "")
		} else if m := question.FindStringSubmatch(line); m != nil && m[1] != "" {
			types = append(types, m[1])
		} else if m != nil {
			types = append(types, "secret")
		}
	}
	return types
}

// asking is how what was printed so far ends when a program waits for somebody to type.
var asking = regexp.MustCompile(`(?i)(\(yes/no(/\[fingerprint\])?\)\??|password:) $|(?s:` + regexp.QuoteMeta(table) +
	`.*> automatic)`)

// converse runs a command, types the next answer each time it asks, and returns all that was
// printed.
func converse(cmd *exec.Cmd, types []string) (string, error) {
	if len(types) == 0 {
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	var (
		mu  sync.Mutex
		out bytes.Buffer
	)
	printed := writer(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return out.Write(p)
	})
	cmd.Stdout, cmd.Stderr = printed, printed
	keyboard, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	answered := 0 // how much was printed at the last answer
	patience := time.After(time.Minute)
	for {
		select {
		case err := <-ended:
			return out.String(), err
		case <-patience:
			cmd.Process.Kill()
			<-ended
			return out.String(), errStuck
		case <-time.After(20 * time.Millisecond):
			mu.Lock()
			asks := out.Len() > answered && asking.Match(out.Bytes())
			if asks {
				answered = out.Len()
			}
			mu.Unlock()
			if asks && len(types) > 0 {
				keyboard.Write([]byte(types[0] + "\r"))
				types = types[1:]
			}
		}
	}
}

var errStuck = errors.New("it waits for an answer that the page does not have")

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }
