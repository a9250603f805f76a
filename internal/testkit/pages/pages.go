// Package pages keeps documentation true: it reads Markdown pages, types every command in them on
// machines that it boots, and compares what a page shows with what is printed today.
//
// How a page is written:
//
//	```console             commands and what they print, on machines that a test boots:
//	# ltskeeper status       as root on the primary
//	app01# sshd -T           as root on another machine
//	alice@client$ ssh app01  as a user on a client, which is the published image
//	> more                   goes on with the line before, as a shell shows it
//	...                      stands for any lines
//	(exit code 3)            ends what a command prints that does not end with 0
//	Go on? (yes/no) yes      what follows the question is typed, and the command has a terminal;
//	                         so it has for a password, and for the table of ldmselect, where
//	                         Enter is pressed
//
//	```make                a line is a call of make, whose targets and variables there have to be
//	```demo                what make demo prints, or a part of it
//	```toml                a whole ltskeeper.toml, or a part of one, which ltskeeper takes; with
//	                       "toml servers.d/app01.toml" that file
//	```text                anything but commands
//
// A command in any other block is a mistake, because no test runs it.
//
// Comments say the rest, and readers do not see them:
//
//	<!-- starts: bare -->  the page begins on machines that have nothing yet
//	<!-- farm: here -->    what stands now is the farm of all other pages
//	<!-- starts: farm -->  the page begins with that farm
//	<!-- run: ... -->      lines as in a console block, run unseen: what happens to the farm, not
//	                       what the reader types
//	<!-- boot: client -->  a client fetches the image that is current now; "client from primary2":
//	                       from there
//
// How long something took, and when it was, counts for nothing in the comparison: it depends on the
// machine. What depends on the packages of the day has to be about right, and the same throughout a
// page: a size is of today's magnitude; a kernel, or a number of files, stands for one of today's
// for as long as a page lasts, and so does a fingerprint or key, in what is printed as in what is
// typed.
//
// The machines are Debian 12. To type all of it on Debian 13, with clients of Debian 13:
//
//	export XDG_CACHE_HOME=/var/cache/debian13 LTSKEEPER_DEBIAN=trixie CI=true
//	scripts/need test && go test ./docs
package pages

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// A Page is a Markdown file, as far as it can be tested.
type Page struct {
	Path   string
	Starts string // where its story starts: "bare", "farm", or "" for a page without one
	Steps  []Step

	Declarations []Declaration
	Makes        []Line // calls of make
	Demos        []Demo
	Inline       []Line // commands of ltskeeper in sentences
	Links        []Line // to files

	lines []string
}

// A Step is a command, a client's boot, or the moment at which the farm is kept for other pages.
type Step struct {
	Line    int    // where it is, from 1
	Command string // "" for the other kinds

	isUnseen bool
	keeps    bool   // what stands now is the farm of the other pages
	boots    string // the machine that boots
	user     string
	machine  string
	output   []string // as the page shows it
	end      int      // the line after its output
}

// A Declaration is a file of ltskeeper's, or a part of one.
type Declaration struct {
	Line int
	Name string // "" is ltskeeper.toml
	Text string
}

// A Demo is what a page shows of demo/run.
type Demo struct {
	Line  int
	Lines []string
}

// A Line is a part of the line with that number, from 1.
type Line struct {
	Line int
	Text string
}

var (
	prompt     = regexp.MustCompile(`^(?:([a-z][a-z0-9]*)@)?([a-z][a-z0-9]*)?([#$]) (.*)$`)
	comment    = regexp.MustCompile(`^<!-- (starts|run|boot|farm):(.*)$`)
	inlineCode = regexp.MustCompile("`(ltskeeper(?: [^`]*)?)`")
	link       = regexp.MustCompile(`\]\(([^)#: ]+)(?:#[^)]*)?\)`)
	typed      = regexp.MustCompile(`^\s*([#$] |sudo |\S+[#$] |[A-Z_]+=\S* |[A-Z_]+=\$\()?(/\S*/)?` +
		`(ltskeeper|ltsp|ldminfod|get_hosts|ldmselect|` +
		`apt|apt-get|systemctl|journalctl|ssh-keygen|ssh|scp|rsync|make|useradd|cat|cp|mv|rm|mkdir|echo|curl|jq)\b[ )]`)
)

// FindCommand returns the beginning of a line that looks like a command to type, or "".
func FindCommand(line string) string { return typed.FindString(line) }

// Parse reads a page. The error names every place that is wrong.
func Parse(path, text string) (*Page, error) {
	p := &parser{page: &Page{Path: path, lines: strings.Split(text, "\n")}}
	for p.next < len(p.page.lines) {
		line := p.page.lines[p.next]
		fence, isBlock := strings.CutPrefix(line, "```")
		switch m := comment.FindStringSubmatch(line); {
		case m != nil:
			p.readComment(m[1], m[2])
		case isBlock:
			p.readBlock(fence)
		default:
			p.readSentence(line)
		}
	}
	if len(p.mistakes) > 0 {
		return nil, fmt.Errorf("%s", strings.Join(p.mistakes, "\n"))
	}
	return p.page, nil
}

// A parser is at a line of its page, which counts from 0.
type parser struct {
	page     *Page
	next     int
	mistakes []string
}

func (p *parser) fail(line int, format string, args ...any) {
	p.mistakes = append(p.mistakes, fmt.Sprintf("%s:%d: %s", p.page.Path, line+1, fmt.Sprintf(format, args...)))
}

// skipPast goes on after the first line from a number on that is an end. It returns that line's
// number.
func (p *parser) skipPast(from int, isEnd func(string) bool) (end int) {
	n := slices.IndexFunc(p.page.lines[from:], isEnd)
	if n < 0 {
		p.fail(p.next, "it has no end")
		n = len(p.page.lines) - from
	}
	p.next = from + n + 1
	return from + n
}

func (p *parser) readComment(kind, text string) {
	begin := p.next
	end := p.skipPast(begin, func(line string) bool { return strings.HasSuffix(line, "-->") })
	page, text := p.page, strings.TrimSpace(strings.TrimSuffix(text, "-->"))
	switch kind {
	case "starts":
		if text != "bare" && text != "farm" {
			p.fail(begin, "a page starts bare or with the farm")
		}
		page.Starts = text
	case "farm":
		page.Steps = append(page.Steps, Step{Line: begin + 1, isUnseen: true, keeps: true})
	case "boot":
		page.Steps = append(page.Steps, Step{Line: begin + 1, isUnseen: true, boots: text})
	case "run":
		p.readConsole(begin+1, end, true)
	}
}

func (p *parser) readBlock(fence string) {
	begin := p.next + 1
	end := p.skipPast(begin, func(line string) bool { return line == "```" })
	page, lines := p.page, p.page.lines[begin:end]
	switch kind, name, _ := strings.Cut(fence, " "); kind {
	case "console":
		p.readConsole(begin, end, false)
	case "make":
		for i, line := range lines {
			call, _, _ := strings.Cut(line, "  #")
			call = strings.TrimSpace(call)
			if !strings.HasPrefix(strings.TrimPrefix(call, "sudo "), "make ") {
				p.fail(begin+i, "%q is no call of make", call)
			}
			page.Makes = append(page.Makes, Line{begin + i + 1, call})
		}
	case "toml":
		page.Declarations = append(page.Declarations, Declaration{begin, name, strings.Join(lines, "\n") + "\n"})
	case "demo":
		page.Demos = append(page.Demos, Demo{begin, lines})
	default:
		for i, line := range lines {
			p.refuseCommand(begin+i, line)
		}
	}
}

func (p *parser) readSentence(line string) {
	if strings.HasPrefix(line, "    ") {
		p.refuseCommand(p.next, line)
	}
	p.next++
	for _, m := range inlineCode.FindAllStringSubmatch(line, -1) {
		p.page.Inline = append(p.page.Inline, Line{p.next, m[1]})
	}
	for _, m := range link.FindAllStringSubmatch(line, -1) {
		p.page.Links = append(p.page.Links, Line{p.next, m[1]})
	}
}

// refuseCommand makes a command a mistake.
func (p *parser) refuseCommand(at int, line string) {
	if FindCommand(line) != "" {
		p.fail(at, "no test runs %q: only blocks that are console or make have commands", strings.TrimSpace(line))
	}
}

// readConsole reads the commands in lines.
func (p *parser) readConsole(from, end int, isUnseen bool) {
	steps := &p.page.Steps
	var current *Step
	for i, line := range p.page.lines[from:end] {
		m := prompt.FindStringSubmatch(line)
		switch {
		case m != nil && (m[3] == "$") == (m[1] == ""):
			p.fail(from+i, "%q: root has a #, and a user a name and a $", line)
		case m != nil:
			*steps = append(*steps, Step{Line: from + i + 1, isUnseen: isUnseen, user: m[1],
				machine: cmp.Or(m[2], "primary"), Command: m[4], end: from + i + 1})
			current = &(*steps)[len(*steps)-1]
		case current == nil:
			p.fail(from+i, "%q is before the first command", line)
		default:
			if more, is := strings.CutPrefix(line, "> "); is && len(current.output) == 0 {
				current.Command += "\n" + more
			} else {
				current.output = append(current.output, line)
			}
			current.end = from + i + 1
		}
	}
}

// replaceOutputs puts other outputs after steps, by the steps' numbers.
func (p *Page) replaceOutputs(outputs map[int][]string) {
	for _, n := range slices.Backward(slices.Sorted(maps.Keys(outputs))) {
		s := p.Steps[n]
		p.lines = slices.Replace(p.lines, s.end-len(s.output), s.end, outputs[n]...)
	}
}

// Text returns the page's Markdown.
func (p *Page) Text() string { return strings.Join(p.lines, "\n") }
