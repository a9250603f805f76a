package main

import (
	"fmt"
	"slices"
	"strings"

	"ltskeeper/doctor"
	"ltskeeper/internal/remedy"

	"github.com/urfave/cli/v2"
)

func (t *tool) defineDoctor() *cli.Command {
	return &cli.Command{
		Name:      "doctor",
		Usage:     "find what commonly goes wrong, explain it and say what to do",
		ArgsUsage: "[CHROOT|SERVER]...",
		Description: `Looks at all of the farm and at this machine, or only at the chroots and servers that are named: names and
addresses, host keys, clocks, what clients get, images and kernels, space, ports, timers. It changes nothing,
takes no lock, and asks each server for one key. What needs a person is exit code 3; advice alone is not.

  ltskeeper doctor
  ltskeeper doctor app04
  ltskeeper doctor --json | jq -r '.findings[] | select(.severity == "problem") | .subject + ": " + .check'`,
		Action: t.doctor,
	}
}

func (t *tool) doctor(ctx *cli.Context) error {
	r, err := doctor.Examine(ctx.Context, t.config, ctx.Args().Slice())
	if err != nil {
		return err
	}
	if err := t.print(t.explainReport(r)); err != nil {
		return err
	}
	if r.CountProblems() > 0 {
		return outcome(exitDecision)
	}
	return nil
}

// A doctorDocument is what is wrong with a farm.
type doctorDocument struct {
	Findings []explainedFinding `json:"findings"`
	*doctor.Report
}

// An explainedFinding is a finding, and what to do next in words.
type explainedFinding struct {
	doctor.Finding
	Fix      string   `json:"fix"`                // a sentence
	Commands []string `json:"commands,omitempty"` // to type for that, in this order
}

// explainReport turns the remedies of findings into words.
func (t *tool) explainReport(r *doctor.Report) doctorDocument {
	d := doctorDocument{Findings: []explainedFinding{}, Report: r}
	for _, f := range r.Findings {
		explained := explainedFinding{Finding: f}
		var others []remedy.Remedy
		for _, r := range f.Remedies {
			if line, is := t.remedyLine(r); is {
				explained.Commands = append(explained.Commands, line)
			} else {
				others = append(others, r)
			}
		}
		end := "."
		if len(explained.Commands) > 0 {
			end = ":"
		}
		explained.Fix = capitalize(t.describeRemedies(others)) + end
		d.Findings = append(d.Findings, explained)
	}
	return d
}

// capitalize has a clause begin with a capital letter, unless its first word is not just letters.
func capitalize(clause string) string {
	first, _, _ := strings.Cut(clause, " ")
	if first == "" ||
		strings.ContainsFunc(strings.TrimRight(first, ",;:"), func(r rune) bool { return r < 'a' || r > 'z' }) {
		return clause
	}
	return strings.ToUpper(clause[:1]) + clause[1:]
}

func (d doctorDocument) text(p *page) {
	d.section(p, "Problems", red, doctor.Problem)
	if p.quiet {
		return
	}
	d.section(p, "Advice", yellow, doctor.Advice)
	if p.Len() > 0 {
		p.printf("\n")
	}
	problems := d.CountProblems()
	advice := len(d.Findings) - problems
	checked := d.checked()
	switch {
	case problems+advice > 0:
		p.paragraph(0,
			fmt.Sprintf("%s and %s. Looked at %s in %s.", countNoun(problems, "problem", "problems"),
				countNoun(advice, "piece of advice", "pieces of advice"), checked, formatDuration(d.Duration)))
	default:
		p.paragraph(0,
			fmt.Sprintf("Nothing is wrong that could be seen of %s in %s: %s.", checked, formatDuration(d.Duration),
				d.what()))
	}
	d.nothing(p)
	if len(d.Unseen) > 0 {
		p.printf("Not seen:\n")
		for _, sentence := range d.Unseen {
			p.paragraph(2, sentence)
		}
	}
}

// nothing says what to type where a declaration that is sound, and could be read, holds nothing.
func (d doctorDocument) nothing(p *page) {
	if !d.Machine || len(d.Unseen) > 0 ||
		slices.ContainsFunc(d.Findings, func(f explainedFinding) bool { return f.Kind == doctor.Declaration }) {
		return
	}
	if d.Chroots == 0 {
		p.printf("No client root is declared. Put one into %s as [[chroot]].\n", p.config)
	}
	if d.Servers == 0 {
		printNoServer(p)
	}
}

// checked says how much was looked at.
func (d doctorDocument) checked() string {
	parts := []string{countNoun(d.Servers, "server", "servers"), countNoun(d.Chroots, "chroot", "chroots")}
	if d.Machine {
		return strings.Join(parts, ", ") + " and this machine"
	}
	return strings.Join(parts, " and ")
}

// what says what was looked at.
func (d doctorDocument) what() string {
	parts := []string{"the declaration"}
	if d.Servers > 0 {
		parts = append(parts, "names and addresses, host keys and certificates, SSH, ldminfod and clocks")
	}
	if d.Chroots > 0 {
		parts = append(parts, "images, kernels and what clients get beside them")
	}
	if d.Machine {
		parts = append(parts, "room on disks, services, timers and who may write where")
	}
	return strings.Join(parts, "; ")
}

// alike is how many servers with the same finding are told as one, unless --verbose is given.
const alike = 3

// same is what findings have in common that are told as one.
func same(f explainedFinding) string { return f.Check + " " + f.Cause }

// section tells the findings of one severity, by subject.
func (d doctorDocument) section(p *page, heading string, colour style, severity doctor.Severity) {
	var findings []explainedFinding
	of := map[string][]string{} // subjects of the same
	for _, f := range d.Findings {
		if f.Severity == severity {
			findings = append(findings, f)
			if !slices.Contains(of[same(f)], f.Subject) {
				of[same(f)] = append(of[same(f)], f.Subject)
			}
		}
	}
	if len(findings) == 0 {
		return
	}
	p.heading(heading)
	many := func(f explainedFinding) bool {
		return !p.verbose && f.Kind == doctor.Server && len(of[same(f)]) >= alike
	}
	told := map[string]bool{}
	for i, f := range findings {
		switch {
		case many(f) && !told[same(f)]:
			told[same(f)] = true
			p.printf("\n%s\n",
				p.paint(bold,
					strings.Join(of[same(f)][:alike-1], ", ")+" and "+countNoun(len(of[same(f)])-alike+1, "more server",
						"more servers")))
			p.finding(f, colour, f.Subject+": ")
			p.paragraph(4, "The others are like it; --verbose shows each.")
		case many(f), told[" "+f.Subject]:
		default:
			told[" "+f.Subject] = true
			p.printf("\n%s\n", p.paint(bold, f.Subject))
			for _, g := range findings[i:] {
				if g.Subject == f.Subject && !many(g) {
					p.finding(g, colour, "")
				}
			}
		}
	}
}

// finding tells one, below its subject.
func (p *page) finding(f explainedFinding, colour style, prefix string) {
	p.labelled(2, p.paint(colour, f.Check)+":", f.Check+":", prefix+f.Message)
	p.labelled(4, p.paint(plain, "Why:"), "Why:", f.Why)
	p.labelled(4, p.paint(plain, "Fix:"), "Fix:", f.Fix)
	for _, c := range f.Commands {
		p.printf("         %s\n", c)
	}
}

// paragraph writes a sentence in lines of a terminal, each indented.
func (p *page) paragraph(indent int, sentence string) { p.labelled(indent, "", "", sentence) }

// labelled is paragraph behind a label, which is plain without its colours. What follows the first
// line stands under the sentence if the label is short, and a little indented if it is not.
func (p *page) labelled(indent int, label styled, plain, sentence string) {
	const columns, short = 80, 6
	hang := indent
	if plain != "" {
		hang = indent + 2
		if len(plain) <= short {
			hang = indent + len(plain) + 1
		}
	}
	p.fill(indent, hang, columns, label, sentence)
}
