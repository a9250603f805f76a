package docs

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A page is a Markdown file, as far as it can be tested.
type page struct {
	path   string
	lines  []string
	starts string // where its story starts: "bare", "farm", or "" for a page without one
	steps  []step

	declarations []declaration
	makes        []located
	demos        []demo
	inline       []located // commands of ltskeeper in sentences
	links        []located // to files
}

// A step is a command, or a client's boot.
type step struct {
	line    int // where it stands, from 1
	unseen  bool
	boot    string // the machine that boots
	farm    bool   // what stands now is the farm of the other pages
	user    string
	machine string
	command string
	output  []string // as the page shows it
	end     int      // the line behind its output
	printed []string // today, if that is something else
}

// A declaration is a file of ltskeeper's, or a part of one.
type declaration struct {
	line int
	name string // "" is ltskeeper.toml
	text string
}

// A demo is what a page shows of demo/run.
type demo struct {
	line  int
	lines []string
}

type located struct {
	line int
	text string
}

var (
	prompt     = regexp.MustCompile(`^(?:([a-z][a-z0-9]*)@)?([a-z][a-z0-9]*)?([#$]) (.*)$`)
	comment    = regexp.MustCompile(`^<!-- (starts|run|boot|farm):(.*)$`)
	inlineCode = regexp.MustCompile("`(ltskeeper(?: [^`]*)?)`")
	link       = regexp.MustCompile(`\]\(([^)#: ]+)(?:#[^)]*)?\)`)
	looksTyped = regexp.MustCompile(`^\s*([#$] |sudo |\S+[#$] |[A-Z_]+=\S* |[A-Z_]+=\$\()?(/\S*/)?(ltskeeper|ltsp|ldminfod|get_hosts|ldmselect|` +
		`apt|apt-get|systemctl|journalctl|ssh-keygen|ssh|scp|rsync|make|useradd|cat|cp|mv|rm|mkdir|echo|curl|jq)\b[ )]`)
)

// parse reads a page. The error names every place that is wrong.
func parse(path, text string) (*page, error) {
	p := &page{path: path, lines: strings.Split(text, "\n")}
	var problems []string
	wrong := func(line int, format string, args ...any) {
		problems = append(problems, fmt.Sprintf("%s:%d: %s", path, line, fmt.Sprintf(format, args...)))
	}
	for i := 0; i < len(p.lines); i++ {
		line := p.lines[i]
		if m := comment.FindStringSubmatch(line); m != nil {
			end := i
			for end < len(p.lines) && !strings.HasSuffix(p.lines[end], "-->") {
				end++
			}
			if end == len(p.lines) {
				wrong(i+1, "the comment has no end")
				break
			}
			switch what := strings.TrimSpace(strings.TrimSuffix(m[2], "-->")); m[1] {
			case "starts":
				p.starts = what
				if what != "bare" && what != "farm" {
					wrong(i+1, "a page starts bare or with the farm")
				}
			case "farm":
				p.steps = append(p.steps, step{line: i + 1, unseen: true, farm: true})
			case "boot":
				p.steps = append(p.steps, step{line: i + 1, unseen: true, boot: what})
			case "run":
				if err := p.console(i+1, end, true); err != nil {
					wrong(i+1, "%v", err)
				}
			}
			i = end
			continue
		}
		if fence, ok := strings.CutPrefix(line, "```"); ok {
			end := i + 1
			for end < len(p.lines) && p.lines[end] != "```" {
				end++
			}
			if end == len(p.lines) {
				wrong(i+1, "the block has no end")
				break
			}
			kind, name, _ := strings.Cut(fence, " ")
			switch kind {
			case "console":
				if err := p.console(i+1, end, false); err != nil {
					wrong(i+1, "%v", err)
				}
			case "make":
				for j := i + 1; j < end; j++ {
					call, _, _ := strings.Cut(p.lines[j], "  #")
					call = strings.TrimSpace(call)
					if !strings.HasPrefix(strings.TrimPrefix(call, "sudo "), "make ") {
						wrong(j+1, "%q is no call of make", call)
						continue
					}
					p.makes = append(p.makes, located{j + 1, call})
				}
			case "toml":
				p.declarations = append(p.declarations, declaration{i + 1, name, strings.Join(p.lines[i+1:end], "\n") + "\n"})
			case "demo":
				p.demos = append(p.demos, demo{i + 1, p.lines[i+1 : end]})
			default:
				for j := i + 1; j < end; j++ {
					if looksTyped.MatchString(p.lines[j]) {
						wrong(j+1, "no test runs %q: only blocks that are console or make have commands", strings.TrimSpace(p.lines[j]))
					}
				}
			}
			i = end
			continue
		}
		if strings.HasPrefix(line, "    ") && looksTyped.MatchString(line) {
			wrong(i+1, "no test runs %q: only blocks that are console or make have commands", strings.TrimSpace(line))
			continue
		}
		for _, m := range inlineCode.FindAllStringSubmatch(line, -1) {
			p.inline = append(p.inline, located{i + 1, m[1]})
		}
		for _, m := range link.FindAllStringSubmatch(line, -1) {
			p.links = append(p.links, located{i + 1, m[1]})
		}
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("%s", strings.Join(problems, "\n"))
	}
	return p, nil
}

// console reads the commands in lines from to end, which count from 0.
func (p *page) console(from, end int, unseen bool) error {
	var current *step
	for i := from; i < end; i++ {
		line := p.lines[i]
		m := prompt.FindStringSubmatch(line)
		if m != nil && (m[3] == "$") == (m[1] == "") {
			return fmt.Errorf("%q: root has a #, and a user a name and a $", line)
		}
		switch {
		case m != nil:
			p.steps = append(p.steps, step{line: i + 1, unseen: unseen, user: m[1], machine: m[2], command: m[4], end: i + 1})
			current = &p.steps[len(p.steps)-1]
			if current.machine == "" {
				current.machine = "primary"
			}
		case current == nil:
			return fmt.Errorf("%q stands before the first command", line)
		case len(current.output) == 0 && strings.HasPrefix(line, "> "):
			current.command += "\n" + line[2:]
			current.end = i + 1
		default:
			current.output = append(current.output, line)
			current.end = i + 1
		}
	}
	return nil
}

// replace puts other output behind a step. Steps are replaced from the last to the first, so that their lines hold.
func (p *page) replace(s step, output []string) {
	from := s.end - len(s.output)
	p.lines = slices.Replace(p.lines, from, s.end, output...)
}

func TestParse(t *testing.T) {
	p, err := parse("page.md", strings.Join([]string{
		"<!-- starts: farm -->", "# Title", "", "Look with `ltskeeper status`, then [on](other.md#there).", "",
		"```console", "# ltskeeper status", "SERVER", "app02# cat >x <<END", "> y", "> END", "alice@client$ ssh app02", "hello", "```",
		"<!-- run:", "app01# false", "-->", "<!-- boot: client -->", "```toml servers.d/a.toml", "port = 22", "```", "```make", "sudo make bench  # long", "```",
		"```demo", "$ ltskeeper status", "```",
	}, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []step{
		{line: 7, machine: "primary", command: "ltskeeper status", output: []string{"SERVER"}, end: 8},
		{line: 9, machine: "app02", command: "cat >x <<END\ny\nEND", end: 11},
		{line: 12, user: "alice", machine: "client", command: "ssh app02", output: []string{"hello"}, end: 13},
		{line: 16, unseen: true, machine: "app01", command: "false", end: 16},
		{line: 18, unseen: true, boot: "client"},
	}
	if fmt.Sprint(p.steps) != fmt.Sprint(want) {
		t.Errorf("steps are\n%v, want\n%v", p.steps, want)
	}
	if fmt.Sprint(p.inline, p.links, p.makes, p.declarations, p.demos) !=
		"[{4 ltskeeper status}] [{4 other.md}] [{23 sudo make bench}] [{19 servers.d/a.toml port = 22\n}] [{25 [$ ltskeeper status]}]" {
		t.Errorf("read %v %v %v %v %v", p.inline, p.links, p.makes, p.declarations, p.demos)
	}
	for _, bad := range []string{
		"    ltskeeper status\n", "```\n# apt-get install x\n```\n", "```sh\nsystemctl stop x\n```\n", "```console\nno prompt\n```\n",
		"```console\n$ ls\n```\n", "```console\nalice@client# ls\n```\n", "```console\n# ls\n", "<!-- run:\n# ls\n", "<!-- starts: somewhere -->",
		"```make\nltskeeper status\n```\n", "```text\nltskeeper status\n```\n", "    X=$(ldmselect) || exit\n",
		"    cp -r a b\n",
	} {
		if _, err := parse("page.md", bad); err == nil {
			t.Errorf("%q is no mistake", bad)
		}
	}
}
