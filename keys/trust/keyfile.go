package trust

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"ltskeeper/keys"
)

// parseKeyFile reads a file of public key lines. Empty lines and lines that begin with # are
// comments. The last line, too, ends in a newline: a file that does not is cut off.
func parseKeyFile(data []byte) ([]keys.Stored, error) {
	var list []keys.Stored
	err := eachLine(data, func(line string) error {
		k, comment, err := keys.ParseKeyLine(line)
		if err == nil {
			list = append(list, keys.Stored{Key: k, Origin: keys.ParseOrigin(comment)})
		}
		return err
	})
	return list, err
}

// formatKeyFile is the inverse of parseKeyFile.
func formatKeyFile(list []keys.Stored) []byte {
	var b bytes.Buffer
	for _, k := range list {
		b.WriteString(k.FormatLine())
		if comment := k.Origin.Comment(); comment != "" {
			b.WriteString(" " + comment)
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// parseServerKeys reads NAME.pub or NAME.pending, nil if there is none: there is no reason for one
// without a key, or with one that is refused.
func parseServerKeys(data []byte) ([]keys.Stored, error) {
	if data == nil {
		return nil, nil
	}
	list, err := parseKeyFile(data)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errors.New("it holds no key")
	}
	for _, k := range list {
		if err := k.Weakness(); err != nil {
			return nil, fmt.Errorf("key %s: %w", k.Fingerprint(), err)
		}
	}
	return list, nil
}

// splitRejected parts the keys that wait from those that are rejected.
func splitRejected(list []keys.Stored) (pending, rejected []keys.Stored) {
	for _, k := range list {
		if k.Origin.How == keys.HowRejected {
			rejected = append(rejected, k)
		} else {
			pending = append(pending, k)
		}
	}
	return pending, rejected
}

// eachLine calls f with each line that is neither empty nor a comment.
func eachLine(data []byte, f func(line string) error) error {
	if len(data) > 0 && data[len(data)-1] != '\n' {
		return errors.New("it is cut off in the middle of a line")
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if err := f(line); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return nil
}
