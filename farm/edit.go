package farm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"ltskeeper/internal/durable"
	"ltskeeper/internal/remedy"
)

// AddServer declares s in a file of its own, and adds it to f. A zero Port or Weight is left to its
// default.
//
// The declaration is read again and checked with the new server in it. If that shows mistakes, or
// if there is such a server or file already, nothing is written and the error is Mistakes.
func (f *Farm) AddServer(s Server) error {
	if problem := nameProblem(s.Name); problem != "" {
		return Mistakes{{File: f.ServersDir(), Msg: fmt.Sprintf("%q cannot name a server: %s", s.Name, problem),
			Remedies: []remedy.Remedy{remedy.Advice("choose another name")}}}
	}
	path := f.ServerPath(s.Name)
	if other, err := f.FindServer(s.Name); err == nil {
		path = f.ServerPath(other.Name)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return Mistakes{{File: path, Msg: "the server is declared already",
			Remedies: []remedy.Remedy{remedy.Advice("edit this file, or remove the server first")}}}
	}
	text := s.format()
	changed, err := loadChanged(f.Path, path, text)
	if err != nil {
		return err
	}
	if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
		err = durable.CreateFile(path, text, 0o644)
	}
	if err != nil {
		return fmt.Errorf("add server %s: %w", s.Name, err)
	}
	*f = *changed
	return nil
}

// RemoveServer removes the file that declares the server, and the server from f. If no server has
// that name, the error wraps an *UnknownError.
//
// The declaration is read again and checked without the server. If that shows mistakes, nothing is
// removed and the error is Mistakes.
func (f *Farm) RemoveServer(name string) error {
	s, err := f.FindServer(name)
	if err != nil {
		return err
	}
	path := f.ServerPath(s.Name)
	changed, err := loadChanged(f.Path, path, nil)
	if err != nil {
		return err
	}
	if err := errors.Join(os.Remove(path), durable.SyncFolder(filepath.Dir(path))); err != nil {
		return fmt.Errorf("remove server %s: %w", s.Name, err)
	}
	*f = *changed
	return nil
}

// format returns the file that declares the server: what was given, and nothing else.
func (s Server) format() []byte {
	var b bytes.Buffer
	list := func(key string, values []string) {
		if len(values) > 0 {
			quoted := make([]string, len(values))
			for i, v := range values {
				quoted[i] = QuoteTOML(v)
			}
			fmt.Fprintf(&b, "%s = [%s]\n", key, strings.Join(quoted, ", "))
		}
	}
	list("addresses", s.Addresses)
	if s.Port != 0 {
		fmt.Fprintf(&b, "port = %d\n", s.Port)
	}
	list("aliases", s.Aliases)
	list("groups", s.Groups)
	if s.Weight != 0 {
		fmt.Fprintf(&b, "weight = %v\n", s.Weight)
	}
	list("pins", s.Pins)
	if b.Len() == 0 {
		b.WriteString("# Nothing needs to be said: the name resolves, and the rest is as usual.\n")
	}
	return b.Bytes()
}

// QuoteTOML returns s as a TOML string. Those of JSON are a subset.
func QuoteTOML(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err) // strings have an encoding
	}
	return strings.TrimSuffix(b.String(), "\n")
}
