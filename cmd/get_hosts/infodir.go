package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ltskeeper/internal/durable"
	"ltskeeper/ldm"
)

// writeAnswers writes each server's answer into a file of its name in the folder, where LDM's
// greeter looks for it: without lines that could harm the greeter or a terminal, never longer than
// the greeter's buffer, and whole at any moment. A server that is up without an answer gets an
// empty file, and one that is down has no file, so that the greeter can tell them apart.
func writeAnswers(dir string, replies []ldm.Reply) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, r := range replies {
		path := filepath.Join(dir, r.Name)
		if r.State == ldm.Down {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			continue
		}
		text, _ := r.Answer.Encode()
		if err := durable.WriteShared(path, text, 0o644); err != nil {
			return fmt.Errorf("leave the answer of %s: %w", r.Name, err)
		}
	}
	return nil
}
