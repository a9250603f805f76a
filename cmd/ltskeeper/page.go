package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"
)

// A document is what a command found or did. Its JSON form is its fields; its text form it writes
// itself.
type document interface {
	text(p *page)
}

// print puts a document on standard output.
func (t *tool) print(d document) error { return t.printFields(d, d.text) }

// printFields puts fields on standard output, as JSON, or otherwise what text writes.
func (t *tool) printFields(fields any, text func(*page)) error {
	if t.json {
		data, err := encodeJSON(fields)
		if err != nil {
			return err
		}
		return t.write(data)
	}
	p := t.newPage()
	text(p)
	return t.write(p.Bytes())
}

// announce prints what was done, which --quiet leaves out.
func (t *tool) announce(d document) error { return t.announceFields(d, d.text) }

// announceFields is announce for what is said in one place only.
func (t *tool) announceFields(fields any, text func(*page)) error {
	if t.quiet && !t.json {
		return nil
	}
	return t.printFields(fields, text)
}

func (t *tool) write(data []byte) error {
	_, err := t.out.Write(data)
	return err
}

func (t *tool) newPage() *page { return &page{tool: t, now: time.Now()} }

// A rawDocument is the text of a file, under the name that it has in JSON.
type rawDocument map[string]string

func (d rawDocument) text(p *page) {
	for _, text := range d {
		p.raw(text)
	}
}

// commandLine returns a line that can be typed to go on with the same declaration: a command such
// as "keys accept" and its arguments.
func (t *tool) commandLine(command string, arguments ...string) string {
	words := []string{"ltskeeper"}
	if t.config != "" && t.config != defaultConfig && t.config != os.Getenv("LTSKEEPER_CONFIG") {
		words = append(words, "--config", t.config)
	}
	words = append(append(words, strings.Fields(command)...), arguments...)
	for i, w := range words {
		words[i] = quoteWord(w)
	}
	return strings.Join(words, " ")
}

// A page is text for people in the making. What printf and table are given as string, error or
// Stringer comes from files and servers: it is made visible, so that none of it reaches a terminal
// as a command.
type page struct {
	bytes.Buffer
	*tool
	now time.Time
}

func (p *page) printf(format string, args ...any) {
	for i, arg := range args {
		switch arg := arg.(type) {
		case styled: // made by paint, visible already
		case string:
			args[i] = makeVisible(arg)
		case error:
			args[i] = makeVisible(arg.Error())
		case fmt.Stringer:
			args[i] = makeVisible(arg.String())
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
	p.WriteString(strings.Join(mapEach(strings.Split(text, "\n"), makeVisible), "\n"))
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

func (p *page) paint(s style, text string) styled {
	text = makeVisible(text)
	if !p.term.color || s == plain || text == "" {
		return styled(text)
	}
	return styled("\x1b[" + string(s) + "m" + text + "\x1b[0m")
}

// heading begins a part of the page.
func (p *page) heading(text string) {
	if p.Len() > 0 {
		p.printf("\n")
	}
	p.printf("%s\n", p.paint(bold, text))
}

func (p *page) printWarning(text string) { p.printf("%s %s\n", p.paint(yellow, "Warning:"), text) }

// nextUpdate says how to make the clients know, or forget, what was decided.
func (p *page) nextUpdate(what string) {
	p.printf("To make the clients %s: %s\n", what, p.commandLine("update-image"))
}

// rows are those of a table. A cell is anything that can be printed, or styled.
type rows [][]any

func (r *rows) add(cells ...any) { *r = append(*r, cells) }

// table writes rows in columns as wide as they need to be.
func (p *page) table(indent int, rows [][]any) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			_, width := renderCell(cell)
			widths[i] = max(widths[i], width)
		}
	}
	for _, row := range rows {
		line := strings.Repeat(" ", indent)
		for i, cell := range row {
			text, width := renderCell(cell)
			line += text + strings.Repeat(" ", widths[i]-width+2)
		}
		p.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

// wrapped writes a sentence in lines that fit a terminal, the second and further ones a little
// indented.
func (p *page) wrapped(indent int, sentence string) { p.fill(indent, indent+2, 100, "", sentence) }

// fill writes a sentence after a label, in lines of so many columns. Those after the first are
// indented by hang. A word that is too long for a line, such as a fingerprint, is not broken:
// people copy it.
func (p *page) fill(indent, hang, columns int, label styled, sentence string) {
	line, width := renderCell(label)
	line, width = strings.Repeat(" ", indent)+line, indent+width
	empty := label == ""
	for _, word := range strings.Fields(makeVisible(sentence)) {
		if !empty && width+1+len(word) > columns {
			p.WriteString(line + "\n")
			line, width, empty = strings.Repeat(" ", hang), hang, true
		}
		if !empty {
			line, width = line+" ", width+1
		}
		line, width, empty = line+word, width+len(word), false
	}
	p.WriteString(line + "\n")
}

// head returns the first row of a table.
func (p *page) head(names ...string) []any {
	return mapEach(names, func(name string) any { return p.paint(bold, name) })
}

// colours is what paint puts around a text.
var colours = regexp.MustCompile("\x1b\\[[0-9]*m")

// renderCell returns a cell's text and the columns that it takes on a terminal.
func renderCell(cell any) (text string, width int) {
	if s, is := cell.(styled); is {
		return string(s), len(colours.ReplaceAllString(string(s), ""))
	}
	text = makeVisible(fmt.Sprint(cell))
	return text, len(text)
}
