package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A document is what a command found or did. Its JSON form is its fields; its text form it writes
// itself.
type document interface {
	text(p *page)
}

// print puts a document on standard output.
func (t *tool) print(d document) error {
	if t.json {
		data, err := encode(d)
		if err != nil {
			return err
		}
		return t.write(data)
	}
	p := t.page()
	d.text(p)
	return t.write(p.Bytes())
}

func (t *tool) write(data []byte) error {
	_, err := t.out.Write(data)
	return err
}

func (t *tool) page() *page {
	return &page{tool: t, color: t.term.color, quiet: t.quiet, verbose: t.verbose, now: time.Now()}
}

// command is a line that a person can type to go on with the same declaration: a command of
// ltskeeper's, like "keys accept", and its arguments.
func (t *tool) command(command string, arguments ...string) string {
	words := []string{"ltskeeper"}
	if t.config != "" && t.config != defaultConfig && t.config != os.Getenv("LTSKEEPER_CONFIG") {
		words = append(words, "--config", t.config)
	}
	words = append(append(words, strings.Fields(command)...), arguments...)
	for i, w := range words {
		if strings.ContainsFunc(w, func(r rune) bool { return !strings.ContainsRune(unquoted, r) }) {
			words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

// unquoted is the characters that mean nothing to a shell.
const unquoted = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./:+=,@%"

// A page is text for people in the making. What printf and table are given as string, error or
// Stringer comes from files and servers: it is made visible, so that none of it reaches a terminal
// as a command.
type page struct {
	bytes.Buffer
	*tool
	color, quiet, verbose bool
	now                   time.Time
}

func (p *page) printf(format string, args ...any) {
	for i, arg := range args {
		switch arg := arg.(type) {
		case styled: // made by styled, visible already
		case string:
			args[i] = visible(arg)
		case error:
			args[i] = visible(arg.Error())
		case fmt.Stringer:
			args[i] = visible(arg.String())
		}
	}
	fmt.Fprintf(p, format, args...)
}

// raw writes the text of a file as it is, for it may be redirected into one; on a terminal, control
// characters are made visible.
func (p *page) raw(text string) {
	if !p.term.output {
		p.WriteString(text)
		return
	}
	for line := range strings.Lines(text) {
		body, ended := strings.CutSuffix(line, "\n")
		p.WriteString(visible(body))
		if ended {
			p.WriteByte('\n')
		}
	}
}

// A style is an SGR parameter.
type style string

const (
	plain  style = ""
	bold   style = "1"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
)

// styled text is visible and may hold colours of our own.
type styled string

func (p *page) styled(s style, text string) styled {
	text = visible(text)
	if !p.color || s == plain || text == "" {
		return styled(text)
	}
	return styled("\x1b[" + string(s) + "m" + text + "\x1b[0m")
}

// heading begins a part of the page.
func (p *page) heading(text string) {
	if p.Len() > 0 {
		p.printf("\n")
	}
	p.printf("%s\n", p.styled(bold, text))
}

// table writes rows in columns as wide as they need to be. A cell is a string or styled.
func (p *page) table(indent int, rows [][]any) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			_, width := render(cell)
			widths[i] = max(widths[i], width)
		}
	}
	for _, row := range rows {
		line := strings.Repeat(" ", indent)
		for i, cell := range row {
			text, width := render(cell)
			line += text + strings.Repeat(" ", widths[i]-width+2)
		}
		p.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

// wrapped writes a sentence in lines that fit a terminal, the second and further ones a little
// indented. A word that is too long for a line, such as a fingerprint, is not broken: people copy
// it.
func (p *page) wrapped(indent int, sentence string) {
	const columns = 100
	line := strings.Repeat(" ", indent)
	empty := true
	for _, word := range strings.Fields(visible(sentence)) {
		if !empty && len(line)+1+len(word) > columns {
			p.WriteString(line + "\n")
			line, empty = strings.Repeat(" ", indent+2), true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	p.WriteString(line + "\n")
}

// head is the first row of a table.
func (p *page) head(names ...string) []any {
	var row []any
	for _, name := range names {
		row = append(row, p.styled(bold, name))
	}
	return row
}

// render is a cell's text and the columns that it takes on a terminal.
func render(cell any) (text string, width int) {
	switch cell := cell.(type) {
	case styled:
		text = string(cell)
		if body, ok := strings.CutSuffix(text, "\x1b[0m"); ok {
			_, body, _ = strings.Cut(body, "m")
			return text, len(body)
		}
	case string:
		text = visible(cell)
	default:
		text = visible(fmt.Sprint(cell))
	}
	return text, len(text)
}

// visible replaces whatever is not printable ASCII by an escape of Go's. A tab is kept as a blank.
func visible(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\t':
			b.WriteByte(' ')
		case r >= ' ' && r <= '~':
			b.WriteByte(byte(r))
		case r == utf8.RuneError && s[i] != "\uFFFD"[0]:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}

// size is a number of bytes for people, in units of a thousand, as disks and images are sold.
func size(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f, units := float64(n), "kMGTPE"
	for f /= 1000; f >= 999.5 && len(units) > 1; f /= 1000 {
		units = units[1:]
	}
	if f < 9.95 {
		return fmt.Sprintf("%.1f %cB", f, units[0])
	}
	return fmt.Sprintf("%.0f %cB", f, units[0])
}

// count is a number and its noun: "1 server", "34,913 entries".
func count(n int, one, many string) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if n == 1 {
		return digits + " " + one
	}
	return digits + " " + many
}

// ago is how long before now something was.
func ago(now, then time.Time) string {
	d := now.Sub(then)
	switch {
	case d < -time.Minute:
		return "in the future" // the clock was wrong then, or is now
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", d/time.Hour)
	}
	return fmt.Sprintf("%d days ago", d/(24*time.Hour))
}

// stamp is a time on this machine's clock, to the minute.
func stamp(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

// lasted is a duration for people.
func lasted(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}
