package glob

import (
	"errors"
	"strings"
	"testing"
)

func TestParseSet(t *testing.T) {
	t.Parallel()
	const letters = "abcdefghijklmnopqrstuvwxyz"
	for _, test := range []struct {
		text string
		mode Mode
		want string // the printable ASCII that matches
		rest string
	}{
		{"abc]x", Strict, "abc", "x"},
		{"a-c]", Strict, "abc", ""},
		{"a-]", Strict, "-a", ""},
		{"]a]", Strict, "]a", ""},
		{"]-a]", Strict, "]^_`a", ""},
		{`\]a\-c]`, Strict, "-]ac", ""},
		{"[.-.]a]", Strict, "-a", ""},
		{"[=a=]-c]", Strict, "abc", ""},
		{"[:digit:][:upper:]x]", Strict, "0123456789" + strings.ToUpper(letters) + "x", ""},
		{"!!-~]", Strict, " ", ""},
		{"^ -~]", Strict, "", ""},
		{"a-cZ]", FoldCase, "ABCZabcz", ""},
		{"@-[]", FoldCase, "@[", ""}, // the letters between are compared in lower case
		{"Z-a]", FoldCase, "", ""},
		{"z-a]", FoldCase, "", ""},
		{"[:upper:]]", FoldCase, strings.ToUpper(letters), ""},
		{"[:none:]x]", FoldCase, "Xx", ""},
		{"[:Alpha:]", FoldCase, ":AHLP[ahlp", ""},
		{"[:alpha]", FoldCase, ":AHLP[ahlp", ""},
	} {
		set, rest, err := ParseSet(test.text, test.mode)
		if err != nil || rest != test.rest {
			t.Errorf("[%s: rest %q, %v", test.text, rest, err)
			continue
		}
		var got strings.Builder
		for c := byte(' '); c <= '~'; c++ {
			if set[c] {
				got.WriteByte(c)
			}
		}
		want := strings.Split(test.want, "")
		for _, c := range want {
			if !strings.Contains(got.String(), c) {
				t.Errorf("[%s does not match %s", test.text, c)
			}
		}
		if got.Len() != len(test.want) {
			t.Errorf("[%s matches %q, want %q", test.text, got.String(), test.want)
		}
	}
	for _, text := range []string{"", "!", "]", "a", "a-", `\`, "[:alpha:]", "[:alpha"} {
		if _, _, err := ParseSet(text, Strict); !errors.Is(err, ErrUnclosed) {
			t.Errorf("[%s: %v", text, err)
		}
	}
	for text, want := range map[string]string{"[:alhpa:]]": "[:alhpa:]", "z-a]": "z-a"} {
		if _, _, err := ParseSet(text, Strict); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("[%s: %v", text, err)
		}
	}
}

func FuzzParseSet(f *testing.F) {
	for _, text := range []string{"a-z]", "!]", "[:alpha:]x-]", `\`, "[.a.]-", "[=", "^"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, mode := range []Mode{Strict, FoldCase} {
			set, rest, err := ParseSet(text, mode)
			if (set == nil) != (err != nil) || err == nil && !strings.HasSuffix(text, "]"+rest) {
				t.Errorf("[%s: rest %q, %v", text, rest, err)
			}
		}
	})
}
