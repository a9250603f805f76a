package ltsconf

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"b":     "[b]\nX = $(y)\n",
		"c":     "[b]\nX = 2\n",
		"like":  "[c]\nLIKE = x\n",
		"empty": "",
	}
	readFile := func(path string) ([]byte, error) {
		if content, ok := files[path]; ok {
			return []byte(content), nil
		}
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	for _, test := range []struct{ src, want string }{
		{"", ""},
		{"# fine\n[default]\nLDM_SERVER = \"a b\" # two\n[pc1]\nLIKE = lab\n[lab]\nX = it\n[pc*]\nX = \"it's\"\n" +
			"[*]\nX = y\n", ""},

		{"[x]\nA =\nB = 1\n[y]\n", "2:1: error: A has no value\n4:1: error: section [y] has no setting"},
		{"[x]\nA = 'a'\n", "2:5: error: a stray '\n2:7: error: a stray '"},
		{"[x]\nA = \"a\n", "2:5: error: a stray \""},
		{"[x]\nA = a #", "2:7: error: a comment without a line end"},
		{"[x]\nA = a\r\nB = b\r\n", "2:6: warning: a carriage return"},
		{"[x]\r\nA = a\r\n", "1:4: error: a carriage return"},
		{"[x]\nA = \"a\rb\"\n", "2:5: warning: control character\n2:7: warning: a carriage return"},
		{"[x]\nA-B = a\n\"\" = b\n1 = c\n",
			"2:1: error: \"A-B\" is no name\n3:1: error: \"\" is no name\n4:1: error: \"1\" is no name"},
		{"[x]\nA =\nB\n", "2:1: warning: \"B\", stands on another line"},
		{"[x]\nA = \"a\" # \"b\"\n", "2:5: error: runs to the last double quote"},
		{"[x]\nA = \"$(a)\"\nB = $HOME\nC = `a`\nD = a\\\nE = ${A}\nF = \\$A\n",
			"2:5: error: is code\n3:5: error: is code\n4:5: error: is code\n5:5: error: is code\n6:5: error: is code\n7:5: error: is code"},
		{"[x]\nA = 5$\nB = DOM\\user\n", "2:5: warning: leaves alone\n3:5: warning: leaves alone"},
		{"[x]\nLIKE = \"$(a)\"\n[$(a)]\nA = 1\n", ""},
		{"[x]\nLDM_SERVER = \"a  b\"\nA = \"a  b\"\nldm_server = \" a\"\nB = \" a\"\n",
			"2:14: warning: a space too many\n3:5: warning: spaces in a row\n4:1: warning: ldm_server again in [x], which overrides line 2\n4:14: warning: a space too many"},
		{"[x]\nA = \"a * b\"\nB = \"* a?\"\n", "2:5: warning: a pattern between spaces"},
		{"[x]\nA = 1\n[y]\nB = 1\n[X]\nA = 2\n",
			"5:1: warning: a second section [X], which getltscfg ignores; the first is at f:1"},
		{"[x]\nA = 1\n[x]\nLIKE = nobody\n[?]\nA = 1\n[?]\nA = 1\n",
			"3:1: warning: a second section [x]\n7:1: warning: a second section [?]"},
		{"[x]\nA = a [1]\nB = 1\n", "2:7: error: section [1] begins in the middle of a line"},
		{"[x]\nLIKE = nobody\n", "2:8: warning: LIKE names [nobody], which is not there"},
		{"[x]\nLIKE = X\n", "2:8: error: in a circle"},
		{"[x]\nLIKE = y\n[y]\nLIKE = z\n[z]\nLIKE = a\nLIKE = y\n[a]\nB = 1\n",
			"7:8: error: LIKE leads back to [y] in a circle"},
		{"[default]\nLIKE = x\n[x]\nA = 1\n", "2:8: warning: does not follow LIKE in [default]"},
		{"[default]\nLIKE = x\n[x]\nA = 1\n[y]\nLIKE = default\n", ""},
		{"[pc*]\nA = 1\n[pc]\nA = 1\n[PC?]\nA = 1\n[*]\nA = 1\n[x*]\nA = 1\n",
			"5:1: warning: [PC?] never counts, since [pc*] at f:1\n9:1: warning: [x*] never counts, since [*] at f:7"},
		{"[a?b*]\nA = 1\n[a*bb]\nA = 1\n[a*b]\nA = 1\n", ""},

		{"include none\n", "1:1: error: cannot include a file: open none: file does not exist"},
		{"include b\n", "b:2:5: error: is code"},
		{"include c\n[b]\nX = 1\n",
			"c:1:1: warning: a second section [b], which getltscfg ignores; the first is at f:2"},
		{"include like\n[x]\nLIKE = c\n", "c=like:2:8: error: LIKE leads back to [x]"},
		{"include b\ninclude c\n", "1:1: error: drops this include for that of c"},
		{"include c\ninclude \"c\"\ninclude f\n", "2:1: warning: a second time\n3:1: warning: a second time"},
		{"include c", "1:1: error: is not read"},
		{"include c\n[x]\nA = 1", "1:1: error: the last line here has no end"},
		{"include c\n" + strings.Repeat("#", chunk-11) + "\n# more\n", "1:1: error: reads only 8192 bytes"},
		{"include empty\n", ""},
	} {
		var got []string
		for _, p := range Check("f", []byte(test.src), readFile) {
			got = append(got, p.String())
		}
		var want []string
		if test.want != "" {
			want = strings.Split(test.want, "\n")
		}
		ok := len(got) == len(want)
		for i := range min(len(got), len(want)) {
			place, rest, _ := strings.Cut(strings.TrimPrefix(want[i], "c="), ": ")
			severity, msg, _ := strings.Cut(rest, ": ")
			if strings.Count(place, ":") == 1 {
				place = "f:" + place
			}
			ok = ok && strings.HasPrefix(got[i], fmt.Sprintf("%s: %s: ", place, severity)) &&
				strings.Contains(got[i], msg)
		}
		if !ok {
			t.Errorf("%.100q: got\n%s\nwant\n%s", test.src, strings.Join(got, "\n"), test.want)
		}
	}
}

func TestCheckWithoutIncludes(t *testing.T) {
	t.Parallel()
	if problems := Check("f", []byte("include none\n[x]\nA = 1\n"), nil); len(problems) != 0 {
		t.Error(problems)
	}
}

func TestCheckOpensTenFiles(t *testing.T) {
	t.Parallel()
	n := 0
	problems := Check("f", []byte("include 0\n"), func(string) ([]byte, error) {
		n++
		return fmt.Appendf(nil, "include %d\n", n), nil
	})
	if n != maxFiles-1 || len(problems) != 1 || !strings.Contains(problems[0].Msg, "no more than 10 files") {
		t.Errorf("%d files, %v", n, problems)
	}
}
