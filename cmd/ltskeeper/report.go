package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ltskeeper/keeper"
	"ltskeeper/keys"

	"github.com/rogpeppe/go-internal/diff"
)

// A reportDocument is what update-image, image build and keys collect print. What needs a decision
// stands last, with the commands to type.
type reportDocument struct {
	*keeper.Report
	Warnings []string   `json:"warnings,omitempty"`
	Diffs    []fileDiff `json:"diffs,omitempty"` // of a dry run
	failed   bool       // half-way, for a reason that is told elsewhere
}

// A fileDiff is how a dry run would change a file.
type fileDiff struct {
	Path string `json:"path"`
	Diff string `json:"diff"` // as diff -u prints it
}

func newReportDocument(r *keeper.Report) reportDocument {
	r.Servers = notNil(r.Servers)
	d := reportDocument{Report: r}
	for _, f := range r.Files {
		if r.DryRun && f.Changed {
			d.Diffs = append(d.Diffs, fileDiff{f.Path, diffFile(f)})
		}
	}
	return d
}

func (d reportDocument) text(p *page) {
	if !p.quiet {
		d.changes(p)
		for _, f := range d.Diffs {
			p.diffLines(f.Diff)
		}
		p.printf("%s\n", d.summary())
		if p.verbose {
			d.details(p)
		}
		printExtraKeys(p, d.Servers...)
	}
	if p.cron {
		if line := d.cronLine(p); line != "" {
			p.printf("%s\n", line)
		}
	}
	d.attention(p)
	d.decisions(p)
}

// decisions writes what a person has to decide: in full for a few servers, for more of them the
// command that lists them.
func (d reportDocument) decisions(p *page) {
	open := 0
	for _, s := range d.Servers {
		if !s.Decision {
			continue
		}
		if open++; open <= screenful || p.verbose {
			printDecision(p, s)
		}
	}
	if more := open - screenful; more > 0 && !p.verbose {
		p.heading(countNoun(more, "more server needs a decision:", "more servers need a decision:"))
		p.printf("  %s\n", p.commandLine("status"))
	}
	for _, i := range d.Images {
		if i.Held != nil {
			printHold(p, i)
		}
	}
}

// printHold writes that a chroot is held, and how to end that.
func printHold(p *page, i keeper.Image) {
	p.heading(fmt.Sprintf("%s is held at generation %d since %s: nothing is built or published for it.",
		i.Chroot, i.Generation, formatTime(*i.Held)))
	if i.Problem != "" {
		p.wrapped(2, i.Problem)
	}
	p.printf("  To build from its tree again: %s\n", p.commandLine("image release", i.Chroot))
}

// changes writes a line for each thing that changed.
func (d reportDocument) changes(p *page) {
	trusts, retires, wrote, brought := "now trusts", "no longer trusts", "wrote", "brought"
	if d.DryRun {
		trusts, retires, wrote, brought = "would trust", "would no longer trust", "would write", "would bring"
	}
	var t rows
	for _, s := range d.Servers {
		for _, k := range s.Added {
			t.add(s.Name, trusts+" "+keys.ShortType(k.Type), k.Fingerprint(), describeProvenance(k))
		}
		for _, k := range s.Removed {
			t.add(s.Name, retires+" "+keys.ShortType(k.Type), k.Fingerprint())
		}
	}
	if len(t) > 3*screenful && !p.verbose {
		p.printf("%s are or were trusted; to see them: %s\n", countNoun(len(t), "key", "keys"),
			p.commandLine("keys list"))
	} else {
		p.table(0, t)
	}
	for _, f := range d.Files {
		switch {
		case !f.Changed:
		case f.Inside != "":
			p.printf("%s: %s %s, in the image only\n", f.Chroot, wrote, f.Inside)
		default:
			p.printf("%s: %s %s\n", f.Chroot, wrote, f.Path)
		}
	}
	for _, i := range d.Images {
		switch {
		case i.Changed:
			p.printf("%s: %s\n", i.Chroot, describeImageChange(i, d.DryRun))
		case i.Repaired:
			p.printf("%s: %s what clients fetch over TFTP back to generation %d\n", i.Chroot, brought, i.Generation)
		}
	}
}

// describeImageChange says what became of an image that changed.
func describeImageChange(i keeper.Image, dry bool) string {
	if dry {
		return "would make a new generation of " + i.Path
	}
	var b strings.Builder
	fmt.Fprintf(&b, "made generation %d of %s: %s, %s", i.Generation, i.Path, formatSize(i.Size),
		countNoun(i.Files, "file", "files"))
	b.WriteString(describeContent(i))
	if i.Full != "" {
		fmt.Fprintf(&b, "; built from nothing: %s", i.Full)
	}
	if len(i.Pruned) > 0 {
		fmt.Fprintf(&b, "; deleted what nobody needs any more: %s", joinNumbers(i.Pruned))
	}
	return b.String()
}

// describeContent says how much of an image was read anew, and its kernel: ", 1.2 MB of it read
// anew, kernel 6.1.0-13-amd64".
func describeContent(i keeper.Image) (text string) {
	if i.Reused > 0 {
		text += ", " + formatSize(i.Read) + " of it read anew"
	}
	if i.Kernel != "" {
		text += ", kernel " + i.Kernel
	}
	return text
}

// joinNumbers joins generations: "9, 10".
func joinNumbers(generations []int) string {
	return strings.Join(mapEach(generations, strconv.Itoa), ", ")
}

// summary returns one line about the whole run.
func (d reportDocument) summary() string {
	var parts []string
	if len(d.Servers) > 0 {
		parts = append(parts, countStates(d.Servers))
	}
	for _, i := range d.Images {
		if i.Generation >= 0 {
			at := "at"
			if i.Held != nil {
				at = "held at"
			}
			parts = append(parts, fmt.Sprintf("%s %s generation %d", makeVisible(i.Chroot), at, i.Generation))
		}
	}
	what := strings.Join(parts, ", ")
	if what == "" {
		what = "nothing is declared"
	}
	switch {
	case d.failed && len(parts) == 0:
		return "Not finished."
	case d.failed:
		return "Not finished: " + what + "."
	case d.DryRun && d.SomethingChanged():
		return "Nothing was written: " + what + "."
	case d.SomethingChanged():
		return fmt.Sprintf("Done in %s: %s.", formatDuration(d.Duration), what)
	}
	return "Nothing to do: " + what + "."
}

// details writes what --verbose adds: every server, every file, and how long each step took.
func (d reportDocument) details(p *page) {
	var servers, files, steps rows
	for _, s := range d.Servers {
		servers.add(s.Name, p.state(s.State), joinTypes(s.Keys), describeServer(s))
	}
	for _, f := range d.Files {
		if !f.Changed {
			files.add("unchanged", f.Path)
		}
	}
	for _, s := range d.Steps {
		steps.add(s.Name, s.Chroot, s.Duration.Round(time.Millisecond))
	}
	for _, t := range []rows{servers, files, steps} {
		p.table(2, t)
	}
}

// attention writes what is not in order but needs no decision about a key: servers that did not
// answer.
func (d reportDocument) attention(p *page) {
	var t rows
	for _, s := range d.Servers {
		if !s.Unreachable {
			continue
		}
		for i, a := range s.Addresses {
			name := s.Name
			if i > 0 {
				name = ""
			}
			t.add(name, a.Address, a.Error)
		}
		if len(s.Addresses) == 0 {
			t.add(s.Name, s.Message)
		}
	}
	if len(t) > 0 {
		p.heading("No answer (a server keeps its keys and its place in the list):")
		p.table(2, t)
	}
}

// diffFile returns what a dry run would change in a file, in the form that diff -u prints and patch
// reads.
func diffFile(f keeper.File) string {
	out := diff.Diff(f.Path, []byte(f.Old), f.Path, []byte(f.New))
	_, out, _ = bytes.Cut(out, []byte("\n")) // the "diff old new" line says nothing more
	return string(out)
}

// diffLines writes a diff with its removed and added lines coloured.
func (p *page) diffLines(text string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		style := plain
		switch {
		case strings.HasPrefix(line, "--- "), strings.HasPrefix(line, "+++ "):
			style = bold
		case strings.HasPrefix(line, "-"):
			style = red
		case strings.HasPrefix(line, "+"):
			style = green
		}
		p.printf("%s\n", p.paint(style, line))
	}
}
