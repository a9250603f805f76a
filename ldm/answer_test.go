package ldm

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	t.Parallel()
	silent := Answer{Rating: Unrated, Logins: -1}
	rated := func(rating int) Answer { return Answer{Rating: rating, Logins: -1} }
	for _, test := range []struct {
		name, text string
		want       Answer
	}{
		{"nothing", "", silent},
		{"all there is",
			"rating:87\nstate:draining\nlogins:12\ncapacity:40\nxsession:/etc/X11/Xsession\nallow-guest:true\n" +
				"session:/usr/bin/startxfce4\nsession-with-name:Xfce Session:startxfce4 --x a:b\nlanguage:en_US.UTF-8\nlanguage:de_DE.UTF-8\n",
			Answer{
				Rating: 87, Draining: true, Logins: 12, Capacity: 40, XSession: "/etc/X11/Xsession", Guests: true,
				Sessions:  []Session{{"", "/usr/bin/startxfce4"}, {"Xfce Session", "startxfce4 --x a:b"}},
				Languages: []string{"en_US.UTF-8", "de_DE.UTF-8"},
			}},
		{"another system's line ends", "rating:87\r\n", rated(87)},
		{"no line end", "rating:87", rated(87)},
		{"idle", "rating:100\n", rated(100)},
		{"full", "rating:0\n", rated(0)},
		{"a blank", "rating: 7 \n", rated(7)},
		{"unknown lines", "server:app01\nload:3\nnonsense\n:\nrating:3\n", rated(3)},
		{"the last one counts", "rating:3\nrating:4\n", rated(4)},
		{"the last one counts, also a broken one", "rating:3\nrating:\n", silent},
		{"too much", "rating:101\n", silent},
		{"negative", "rating:-1\n", silent},
		{"signed", "rating:+1\n", silent},
		{"no number", "rating:high\n", silent},
		{"a fraction", "rating:87.5\n", silent},
		{"hexadecimal", "rating:0x10\n", silent},
		{"more than an int", "rating:99999999999999999999\n", silent},
		{"an escape sequence", "rating:9\x1b[2J\n", silent},
		{"NUL", "rating:9\x00\n", silent},
		{"control characters elsewhere", "language:en\x07\nxsession:\x9b\nsession:a\u202eb\nrating:5\n", rated(5)},
		{"another server's name", "rating:5\napp02 app03\n127.0.0.1 rating:100\n", rated(5)},
		{"a session without a command",
			"session-with-name:Xfce\nsession-with-name:Xfce:\nsession-with-name::startxfce4\n", silent},
		{"a time", "time:1795219200\n", Answer{Rating: Unrated, Logins: -1, Time: time.Unix(1795219200, 0)}},
		{"times that are none", "time:0\ntime:-1\ntime:noon\ntime:1795219200.5\ntime:253402300800\n", silent},
		{"counts that are none", "logins:-3\ncapacity:0\n", silent},
	} {
		if got := Parse([]byte(test.text)); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: Parse(%q)\n= %+v, want\n  %+v", test.name, test.text, got, test.want)
		}
	}
}

// What is encoded comes back, but for what does not fit.
func TestEncodeAndParse(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	word := func(letters string) string {
		b := make([]byte, 1+r.IntN(20))
		for i := range b {
			b[i] = letters[r.IntN(len(letters))]
		}
		return string(b)
	}
	for range 1000 {
		a := Answer{Rating: r.IntN(102) - 1, Draining: r.IntN(2) == 0, Logins: r.IntN(100) - 1, Capacity: r.IntN(3)}
		if r.IntN(2) == 0 {
			a.Time = time.Unix(1+r.Int64N(1<<36), 0)
		}
		if r.IntN(2) == 0 {
			a.XSession, a.Guests = word("abc/:é"[:5]), true
		}
		for range r.IntN(8) {
			a.Sessions = append(a.Sessions, Session{Command: word("abc-/: ")})
			a.Sessions = append(a.Sessions, Session{word("ABC"), word("abc-/: ")})
		}
		for range r.IntN(250) {
			a.Languages = append(a.Languages, word("abcdef_.UTF-8"))
		}
		text, left := a.Encode()
		if len(text) > MaxEncoded {
			t.Fatalf("%d bytes", len(text))
		}
		want := a
		if want.Languages = a.Languages[:len(a.Languages)-left]; len(want.Languages) == 0 {
			want.Languages = nil
		}
		got := Parse(text)
		if left > 0 { // a shorter one may have found a place behind the first that did not
			want.Languages, got.Languages = nil, nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v comes back as\n%+v", want, got)
		}
	}
}

func TestEncodeIsForTheGreeter(t *testing.T) {
	t.Parallel()
	a := Answer{Rating: 50, Logins: 3,
		Sessions: []Session{{"Xfce: the desktop", "startxfce4"}, {"bad\nrating:100", "x"}, {"", "\x1b"}}}
	for i := range 1000 {
		a.Languages = append(a.Languages, "xx_"+strconv.Itoa(i)+".UTF-8")
	}
	text, left := a.Encode()
	if !bytes.HasPrefix(text, []byte("rating:50\n")) {
		t.Errorf("the rating is not in front: %q", text[:40])
	}
	if !bytes.Contains(text, []byte("\nsession-with-name:Xfce  the desktop:startxfce4\n")) {
		t.Errorf("a colon in a session's name: %q", text[:100])
	}
	const all = 2 + 3 + 1000 // rating and logins, sessions, languages
	if lines := bytes.Count(text, []byte("\n")); left < 100 || lines+left != all {
		t.Errorf("%d lines and %d left out of %d", lines, left, all)
	}
	if bytes.Contains(text, []byte("\nrating:100")) {
		t.Errorf("a line end in a session's name makes a line: %q", text[:100])
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("rating:87\nlanguage:en_US.UTF-8\nsession-with-name:Xfce Session:startxfce4\n"))
	f.Add([]byte("rating:\xff\nsession:\x1b[2J\r\nlogins:1\ncapacity:2\nstate:draining\n"))
	f.Add([]byte(strings.Repeat("language:xx\n", 500)))
	f.Fuzz(func(t *testing.T, text []byte) {
		a := Parse(text)
		if a.Rating < Unrated || a.Rating > 100 {
			t.Errorf("rating %d", a.Rating)
		}
		clean, _ := a.Encode()
		if len(clean) > MaxEncoded {
			t.Errorf("%d bytes", len(clean))
		}
		for _, c := range clean {
			if c < ' ' && c != '\n' || c == 0x7f {
				t.Errorf("control character %#x", c)
			}
		}
		if b := Parse(clean); b.Rating != a.Rating || b.Draining != a.Draining || b.Logins != a.Logins {
			t.Errorf("%+v comes back as %+v", a, b)
		}
	})
}

func TestNames(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{
		"":                              "",
		"app01 app02":                   "app01 app02",
		" app01  app02\n":               "app01 app02",
		"app01 app02 app01":             "app01 app02",
		"10.0.0.1 fd00::1 ::1 a_b.c-d":  "10.0.0.1 fd00::1 ::1 a_b.c-d",
		"-oProxyCommand .. ../x a/b .a": "",
		"$(reboot) `x` a;b a'b \"a\"":   "",
		strings.Repeat("a", 254):        "",
	} {
		if got := strings.Join(SplitNames(list), " "); got != want {
			t.Errorf("SplitNames(%q) = %q, want %q", list, got, want)
		}
	}
}
