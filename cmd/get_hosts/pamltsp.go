package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"ltskeeper/internal/durable"
	"ltskeeper/internal/regular"
)

// pamltsp is the path of the file that pamltsp of LTSP since 2019 reads before it logs a user in.
// It holds assignments that a shell evaluates. The flag may have no value.
type pamltsp string

// IsBoolFlag reports that the flag may have no value.
func (p *pamltsp) IsBoolFlag() bool { return true }

// String returns the path.
func (p *pamltsp) String() string { return string(*p) }

// Set sets the path from the flag's value, which is "true" if it has none.
func (p *pamltsp) Set(value string) error {
	switch value {
	case "true":
		*p = "/etc/ltsp/pamltsp.conf"
	case "", "false":
		*p = ""
	default:
		*p = pamltsp(value)
	}
	return nil
}

// writeServer writes the server that users log in to into the file. Other lines stay.
func (p *pamltsp) writeServer(server string) error {
	// If the file is a link, its target is replaced.
	path, err := filepath.EvalSymlinks(string(*p))
	if errors.Is(err, fs.ErrNotExist) {
		path = string(*p)
	} else if err != nil {
		return err
	}
	before, err := regular.Read(path, regular.MaxRecord)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	after := setSSHServer(string(before), server)
	if after == string(before) {
		return nil
	}
	if err := durable.WriteShared(path, []byte(after), durable.ReadPerm(path, 0o644)); err != nil {
		return fmt.Errorf("set SSH_SERVER: %w", err)
	}
	return nil
}

// setSSHServer sets SSH_SERVER in a file of shell assignments, in its last line, where nothing sets
// it again. Lines that only set it are removed.
func setSSHServer(conf, server string) string {
	var b strings.Builder
	for line := range strings.Lines(conf) {
		if value, found := strings.CutPrefix(strings.TrimSpace(line), "SSH_SERVER="); found && isOneWord(value) {
			continue
		}
		b.WriteString(strings.TrimSuffix(line, "\n") + "\n")
	}
	return b.String() + "SSH_SERVER='" + server + "'\n" // a server's name holds no quote
}

// isOneWord reports whether s is one word to a shell, quoted or not, and nothing more.
func isOneWord(s string) bool {
	if n := len(s); n >= 2 && (s[0] == '\'' || s[0] == '"') && s[n-1] == s[0] {
		return !strings.ContainsRune(s[1:n-1], rune(s[0])) && !strings.Contains(s, "\\")
	}
	return !strings.ContainsAny(s, " \t'\"`$\\;&|<>()#")
}
