package farm

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The manual page names every key of the declaration, with its type, and whether it is required,
// and names no other. Neither side is a list kept for this test: what Load takes, it is asked, with
// declarations that are wrong.
func TestManualKeys(t *testing.T) {
	t.Parallel()
	documented := map[string]manualKey{}
	for _, k := range readManual(t) {
		documented[k.String()] = k
	}
	for _, section := range sections(t) {
		keys, _ := keysOf(t, section)
		for _, name := range keys {
			k := manualKey{section: section, name: name}
			if section == "" && isSection(t, name) { // that its heading tells of
				continue
			}
			there, ok := documented[k.String()]
			if !ok {
				t.Errorf("%s is a key of the declaration; the manual page does not name it", k)
				continue
			}
			delete(documented, k.String())
			if is := typeOf(t, k); is != there.kind {
				t.Errorf("%s is a %s; the manual page says %s", k, is, there.kind)
			}
			if is := required(t, k); is != there.required {
				t.Errorf("%s is required: %t; the manual page says %t", k, is, there.required)
			}
			if slices.Contains([]string{"boolean", "number", "whole number", "time span", "word"}, there.kind) &&
				there.byDefault == "" {
				t.Errorf("%s: the manual page does not say its default", k)
			}
			for _, word := range wordsOf(t, k) {
				if !strings.Contains(there.text, "*"+word+"*") {
					t.Errorf("%s: the manual page does not say what %s means", k, word)
				}
			}
		}
	}
	for k := range documented {
		t.Errorf("the manual page names %s, which is no key of the declaration", k)
	}
}

// Whoever sets a key to what the manual page calls its default changes nothing.
func TestManualDefaults(t *testing.T) {
	t.Parallel()
	for _, k := range readManual(t) {
		if k.byDefault == "" {
			continue
		}
		before := map[string]string{"lts.conf": BuiltinLTSConf, "servers.d/app01.toml": ""}
		set := maps.Clone(before)
		if file := k.file(); file == "ltskeeper.toml" {
			before[file] = header(k.section) + examples[k.section]
			set[file] = before[file] + k.name + " = " + k.byDefault + "\n"
		} else {
			before["ltskeeper.toml"] = ""
			set["ltskeeper.toml"] = ""
			set[file] = k.name + " = " + k.byDefault + "\n"
		}
		dir := t.TempDir()
		load := func(files map[string]string) *Farm {
			for name, text := range files {
				path := filepath.Join(dir, name)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755),
					os.WriteFile(path, []byte(text), 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			f, err := Load(filepath.Join(dir, "ltskeeper.toml"))
			if err != nil {
				t.Fatalf("%s: %v", k, err)
			}
			return f
		}
		if without, with := load(before), load(set); !reflect.DeepEqual(without, with) {
			t.Errorf("%s = %s is not the default that the manual page says it is:\n%+v\n%+v", k, k.byDefault, without,
				with)
		}
	}
}

// examples are what sections need to be sound.
var examples = map[string]string{
	"[[chroot]]": "name = \"x86_64\"\npath = \"/srv/ltsp/x86_64\"\n",
	"[[client]]": "match = \"ws17\"\n",
	"[[alias]]":  "name = \"server\"\n",
}

// Load takes every example of the manual page.
func TestManualExamples(t *testing.T) {
	t.Parallel()
	n := 0
	for block := range strings.SplitSeq(manualText(t), "\n```\n") {
		if n++; n%2 == 1 {
			continue
		}
		files := map[string]string{"ltskeeper.toml": block}
		if name, ok := strings.CutPrefix(block, "# servers.d/"); ok {
			name, _, _ = strings.Cut(name, "\n")
			files = map[string]string{"ltskeeper.toml": "", "servers.d/" + name: block}
		}
		if m := findMistakes(t, write(t, files)); m != nil {
			t.Errorf("%s\n\n%s", block, strings.Join(m, "\n"))
		}
	}
	if n < 20 {
		t.Errorf("%d examples", n/2)
	}
}

// A manualKey is a key as the manual page describes it.
type manualKey struct {
	section   string // like [collect], [[chroot]], the empty one, or that of a server's file
	name      string
	kind      string
	required  bool
	byDefault string // as TOML
	text      string
}

const serverFile = "servers.d/NAME.toml"

func (k manualKey) String() string { return strings.TrimSpace(k.section + " " + k.name) }

func (k manualKey) file() string {
	if k.section == serverFile {
		return "servers.d/app01.toml"
	}
	return "ltskeeper.toml"
}

func manualText(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/man/ltskeeper.toml.5.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// manualLine is how the page says what a key is.
var manualLine = regexp.MustCompile("^\\*\\*([a-z-]+)\\*\\* = \\*([a-z ]+)\\*(?:, default `(.+)`|, (required)|, optional)$")

func readManual(t *testing.T) []manualKey {
	t.Helper()
	_, text, _ := strings.Cut(manualText(t), "\n## LTSKEEPER.TOML\n")
	text, _, _ = strings.Cut(text, "\n## EXAMPLES\n")
	var keys []manualKey
	section := "none"
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if heading, ok := strings.CutPrefix(line, "### "); ok {
			section = strings.TrimPrefix(heading, "At the top")
		}
		if m := manualLine.FindStringSubmatch(line); m != nil {
			keys = append(keys, manualKey{section: section, name: m[1], kind: m[2], byDefault: m[3], required: m[4] != ""})
		} else if strings.HasPrefix(line, "**") && strings.Contains(line, "** = ") {
			t.Errorf("the manual page says otherwise than for the other keys what this one is: %s", line)
		} else if len(keys) > 0 {
			keys[len(keys)-1].text += line + "\n"
		}
	}
	return keys
}

// header begins a section.
func header(section string) string {
	if section == "" || section == serverFile {
		return ""
	}
	return section + "\n"
}

// try returns what Load finds wrong with a section of that text.
func try(t *testing.T, section, text string) Mistakes {
	t.Helper()
	files := map[string]string{"ltskeeper.toml": header(section) + text}
	if section == serverFile {
		files = map[string]string{"ltskeeper.toml": "", "servers.d/app01.toml": text}
	}
	_, err := Load(filepath.Join(write(t, files), "ltskeeper.toml"))
	var ms Mistakes
	if err != nil && !errors.As(err, &ms) {
		t.Fatal(err)
	}
	return ms
}

// keysOf returns the keys of a section; ok tells whether there is such a section.
func keysOf(t *testing.T, section string) (keys []string, ok bool) {
	t.Helper()
	for _, m := range try(t, section, "\"?\" = 1\n") {
		list, found := strings.CutPrefix(adviceOf(m), "; use one of these: ")
		if found && strings.HasSuffix("."+m.Key, ".?") {
			list, _, _ = strings.Cut(list, ";")
			return strings.Split(list, ", "), true
		}
	}
	return nil, false
}

// sections returns the sections that Load knows.
func sections(t *testing.T) []string {
	t.Helper()
	found := []string{"", serverFile}
	var look func(above string, keys []string)
	look = func(above string, keys []string) {
		for _, key := range keys {
			for _, section := range []string{"[" + above + key + "]", "[[" + above + key + "]]"} {
				if below, ok := keysOf(t, section); ok {
					found = append(found, section)
					if section[1] != '[' {
						look(above+key+".", below)
					}
				}
			}
		}
	}
	top, ok := keysOf(t, "")
	if !ok || len(top) < 5 {
		t.Fatalf("the keys at the top are %q", top)
	}
	look("", top)
	return found
}

func isSection(t *testing.T, name string) bool {
	_, table := keysOf(t, "["+name+"]")
	_, array := keysOf(t, "[["+name+"]]")
	return table || array
}

// about returns what is wrong with a key that has this value.
func about(t *testing.T, k manualKey, value string) []Mistake {
	t.Helper()
	path := strings.Trim(k.section, "[]") + "." + k.name
	if k.section == "" || k.section == serverFile {
		path = k.name
	}
	return slices.DeleteFunc(try(t, k.section, k.name+" = "+value+"\n"), func(m Mistake) bool { return m.Key != path })
}

// typeOf is the type of a key, in the words of the manual page.
func typeOf(t *testing.T, k manualKey) string {
	t.Helper()
	var kinds []string
	for _, kind := range []struct{ name, value, refused string }{
		{"string", `"?"`, `"?" is a string`},
		{"integer", "1", "1 is a number"},
		{"float", "1.5", "1.5 is a number"},
		{"boolean", "true", "true is true or false"},
		{"list of strings", "[1]", "it is a list"},
		{"table", "{ A = \"?\" }", "it is a table"},
	} {
		if !slices.ContainsFunc(about(t, k, kind.value), func(m Mistake) bool { return m.Msg == kind.refused }) {
			kinds = append(kinds, kind.name)
		}
	}
	says := func(value, msg string) bool {
		return slices.ContainsFunc(about(t, k, value), func(m Mistake) bool { return strings.Contains(m.Msg, msg) })
	}
	switch is := strings.Join(kinds, " or "); {
	case is == "integer or float":
		return "number"
	case is == "integer":
		return "whole number"
	case is == "string" && says(`"?"`, "is no time span"):
		return "time span"
	case is == "string" && says(`""`, "the path is empty"):
		return "path"
	case is == "string" && says(`"?"`, "means nothing here"):
		return "word"
	default:
		return is
	}
}

// wordsOf returns the words that a key may have as its value.
func wordsOf(t *testing.T, k manualKey) []string {
	t.Helper()
	for _, m := range about(t, k, `"?"`) {
		if list, ok := strings.CutPrefix(adviceOf(m), "; write "); ok && strings.Contains(m.Msg, "means nothing here") {
			return strings.Split(list, " or ")
		}
	}
	return nil
}

func required(t *testing.T, k manualKey) bool {
	t.Helper()
	return slices.ContainsFunc(try(t, k.section, ""), func(m Mistake) bool {
		return m.Msg == fmt.Sprintf("there is no %s in it", k.name)
	})
}
