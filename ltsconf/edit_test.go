package ltsconf

import (
	"strings"
	"testing"
)

func TestSet(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ why, src, section, key, value, want string }{
		{"a bare value", "[x]\n A\t= 1  # one\nB = 2", "x", "A", "3", "[x]\n A\t= 3  # one\nB = 2"},
		{"a quoted one keeps its quotes", "[x]\nA=\"1\" # one\n", "X", "a", "3", "[x]\nA=\"3\" # one\n"},
		{"the last of equal keys, in the first of equal sections", "[x]\nA=1\na=2\nB=3\n[X]\nA=4\n", "x", "A", "5",
			"[x]\nA=1\na=5\nB=3\n[X]\nA=4\n"},
		{"the same value", "[x]\nA =  1 \n", "x", "A", "1", "[x]\nA =  1 \n"},
		{"the same value, which would get quotes", "[x]\nA = 1 2\n", "x", "A", "1 2", "[x]\nA = 1 2\n"},
		{"a value with a blank", "[x]\nA = 1 # one\n", "x", "A", "1 2", "[x]\nA = \"1 2\" # one\n"},
		{"a value with a #", "[x]\nA = 1\n", "x", "A", "#1", "[x]\nA = \"#1\"\n"},
		{"a value with a single quote", "[x]\nA = 1\n", "x", "A", "it's", "[x]\nA = \"it's\"\n"},
		{"no value", "[x]\nA = 1\n", "x", "A", "", "[x]\nA = \"\"\n"},
		{"what would be an include line", "[x]\nA =\n1 \n", "x", "A", "include", "[x]\nA =\n\"include\" \n"},
		{"quotes behind a value that gets some", "[x]\nA = 1 # \"one\"\n", "x", "A", "1 2",
			"[x]\nA = \"1 2\"\n # \"one\"\n"},
		{"quotes behind one that does not", "[x]\nA = 1 # \"one\"\n", "x", "A", "2", "[x]\nA = 2 # \"one\"\n"},
		{"quotes around the key", "[x]\n\"A\" = 1 # one\n", "x", "A", "1 2", "[x]\n\"A\" = \n\"1 2\" # one\n"},
		{"a stray quote", "[x]\nA = \"1\n", "x", "A", "1 2", "[x]\nA = \"\n\"1 2\"\n"},
		{"a stray quote, which a bare value does not mind", "[x]\nA = \"1\n", "x", "A", "2", "[x]\nA = \"2\n"},
		{"a carriage return behind a bare value", "[x]\nA = 1\r\nB = 2\r\n", "x", "A", "2", "[x]\nA = 2\r\nB = 2\r\n"},
		{"one behind a value that gets quotes", "[x]\nA = 1\r\nB = 2\r\n", "x", "A", "1 2",
			"[x]\nA = \"1 2\"\nB = 2\r\n"},
		{"one in front of it", "[x]\nA = \r1\n", "x", "A", "1 2", "[x]\nA =\"1 2\"\n"},
		{"one that is the value", "[x]\nA =\r\nB = 2\r\n", "x", "A", "1", "[x]\nA =1\r\nB = 2\r\n"},

		{"a new key", "[x]\nA = 1\n\n# y\n[y]\nB = 2\n", "x", "C", "3", "[x]\nA = 1\nC = 3\n\n# y\n[y]\nB = 2\n"},
		{"its style", "[x]\n\tA=1 # one\n\n", "x", "C", "3", "[x]\n\tA=1 # one\n\tC=3\n\n"},
		{"its column", "[x]\n  LDM_SERVER  = \"a b\"\n", "x", "SOUND", "c d",
			"[x]\n  LDM_SERVER  = \"a b\"\n  SOUND       = \"c d\"\n"},
		{"a longer one", "[x]\nA  = 1\n", "x", "LDM_SERVER", "a", "[x]\nA  = 1\nLDM_SERVER = a\n"},
		{"a last line without an end", "[x]\nA = 1", "x", "C", "3", "[x]\nA = 1\nC = 3\n"},
		{"a last line with a carriage return", "[x]\nA = 1\r", "x", "C", "3", "[x]\nA = 1\r\nC = 3\n"},
		{"another section on the line", "[x] A = 1 [y] B = 2\n", "x", "C", "3", "[x] A = 1 \nC = 3\n[y] B = 2\n"},
		{"a layout that is no style", "[x]\nA\n=\n1\n", "x", "C", "3", "[x]\nA\n=\n1\nC = 3\n"},

		{"an empty file", "", "default", "A", "1", "[default]\nA = 1\n"},
		{"a new section", "[x]\n  A=1\n", "y", "B", "2", "[x]\n  A=1\n\n[y]\n  B=2\n"},
		{"after an empty line", "[x]\nA = 1\n\n", "y", "B", "2", "[x]\nA = 1\n\n[y]\nB = 2\n"},
		{"after a last line without an end", "[x]\nA = 1", "y", "B", "2", "[x]\nA = 1\n\n[y]\nB = 2\n"},
		{"after comments", "# none\n", "y", "B", "2", "# none\n\n[y]\nB = 2\n"},
		{"a name that needs quotes", "", "pc[0-9]", "B", "2", "[\"pc[0-9]\"]\nB = 2\n"},
		{"a MAC", "", "00:11:22:*", "B", "2", "[00:11:22:*]\nB = 2\n"},
	} {
		f := mustParse(t, test.src)
		if err := f.Set(test.section, test.key, test.value); err != nil {
			t.Errorf("%s: %v", test.why, err)
		} else if got := string(f.Bytes()); got != test.want {
			t.Errorf("%s: got\n%q, want\n%q", test.why, got, test.want)
		}
	}
}

func TestSetRefuses(t *testing.T) {
	t.Parallel()
	const src = "[x]\nA = 1\n"
	for _, test := range []struct{ section, key, value, want string }{
		{"x", "B", "$(reboot)", "holds a $"},
		{"x", "B", "`reboot`", "holds a `"},
		{"x", "B", `a\`, `holds a \`},
		{"x", "B", `"; reboot; "`, `holds a "`},
		{"x", "B", "a\nC = 2", "holds a control character"},
		{"x", "B", "a\rb", "holds a control character"},
		{"x", "B", "a\tb", "holds a control character"},
		{"x", "B", "a\x00", "holds a control character"},
		{"x", "", "1", "it is empty"},
		{"x", "1A", "1", "only letters, digits and _"},
		{"x", "A-B", "1", "only letters, digits and _"},
		{"x", "Ä", "1", "only letters, digits and _"},
		{"x", "include", "1", "takes it for an include line"},
		{"", "B", "1", "its name is empty"},
		{"a\"b", "B", "1", "holds a double quote"},
		{"a\nb", "B", "1", "holds a control character"},
	} {
		f := mustParse(t, src)
		err := f.Set(test.section, test.key, test.value)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("Set(%q, %q, %q): %v", test.section, test.key, test.value, err)
		}
		if string(f.Bytes()) != src {
			t.Errorf("Set(%q, %q, %q) failed, and made %q", test.section, test.key, test.value, f.Bytes())
		}
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ why, src, want string }{
		{"a line", "[x]\nA = 1\n  K = 2 # two\nB = 3\n", "[x]\nA = 1\nB = 3\n"},
		{"all of that key", "[x]\nK = 1\nA = 1\nk = \"2\"\n", "[x]\nA = 1\n"},
		{"the last line", "[x]\nA = 1\nK = 2", "[x]\nA = 1\n"},
		{"a setting among others", "[x] A = 1 \"K\" = 2 [y] B = 3\n", "[x] A = 1 \n[y] B = 3\n"},
		{"behind a value", "[x]\nA =\n\"\" K = 2\n", "[x]\nA =\n\"\" \n"},
		{"behind its header", "[x] K = 1 # one\nA = 1\n", "[x] # one\nA = 1\n"},
		{"single quotes around the value", "[x]\nK = 'a'\nA = 1\n", "[x]\nA = 1\n"},
		{"a section's only one", "[y]\nA = 1\n\n[x] # ex\n# why\nK = 2\n\n[z]\nB = 2\n", "[y]\nA = 1\n\n# why\n\n[z]\nB = 2\n"},
		{"that on one line", "[x] K = 2\n[z]\nB = 2\n", "[z]\nB = 2\n"},
		{"the file's only one", "[x]\nK = 2", ""},
		{"nothing", "[x]\nA = 1\n[y]\nK = 2\n", "[x]\nA = 1\n[y]\nK = 2\n"},
		{"no section", "", ""},
	} {
		f := mustParse(t, test.src)
		if err := f.Delete("x", "K"); err != nil {
			t.Errorf("%s: %v", test.why, err)
		} else if got := string(f.Bytes()); got != test.want {
			t.Errorf("%s: got\n%q, want\n%q", test.why, got, test.want)
		}
	}
}
