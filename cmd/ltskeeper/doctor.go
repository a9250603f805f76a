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
	d.printSection(p, "Problems", red, doctor.Problem)
	if p.quiet {
		return
	}
	d.printSection(p, "Advice", yellow, doctor.Advice)
	if p.Len() > 0 {
		p.printf("\n")
	}
	scope, took := d.describeScope(), formatDuration(d.Duration)
	if len(d.Findings) == 0 {
		p.paragraph(0,
			fmt.Sprintf("Nothing is wrong that could be seen of %s in %s: %s.", scope, took, d.describeAspects()))
	} else {
		problems := d.CountProblems()
		p.paragraph(0, fmt.Sprintf("%s and %s. Looked at %s in %s.", countNoun(problems, "problem", "problems"),
			countNoun(len(d.Findings)-problems, "piece of advice", "pieces of advice"), scope, took))
	}
	d.printNothingDeclared(p)
	if len(d.Unseen) > 0 {
		p.printf("Not seen:\n")
		for _, sentence := range d.Unseen {
			p.paragraph(2, sentence)
		}
	}
}

// printNothingDeclared says what to type where a declaration that is sound, and could be read,
// holds nothing.
func (d doctorDocument) printNothingDeclared(p *page) {
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

// describeScope describes how much was looked at.
func (d doctorDocument) describeScope() string {
	parts := []string{countNoun(d.Servers, "server", "servers"), countNoun(d.Chroots, "chroot", "chroots")}
	if d.Machine {
		return strings.Join(parts, ", ") + " and this machine"
	}
	return strings.Join(parts, " and ")
}

// describeAspects describes what was looked at.
func (d doctorDocument) describeAspects() string {
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

// fewAlike is how many servers with the same finding are printed as one, unless --verbose is given.
const fewAlike = 3

// printSection prints the findings of one severity, by subject. Those of several servers that have
// the same check and cause are printed once.
func (d doctorDocument) printSection(p *page, heading string, colour style, severity doctor.Severity) {
	trouble := func(f explainedFinding) string { return f.Check + " " + f.Cause }
	subjects := map[string][]string{} // by trouble
	var findings []explainedFinding
	for _, f := range d.Findings {
		if f.Severity != severity {
			continue
		}
		findings = append(findings, f)
		if !slices.Contains(subjects[trouble(f)], f.Subject) {
			subjects[trouble(f)] = append(subjects[trouble(f)], f.Subject)
		}
	}
	if len(findings) == 0 {
		return
	}
	p.heading(heading)
	alike := func(f explainedFinding) []string {
		all := subjects[trouble(f)]
		if p.verbose || f.Kind != doctor.Server || len(all) < fewAlike {
			return nil
		}
		return all
	}
	printed := map[string]bool{}
	for i, f := range findings {
		switch all := alike(f); {
		case all != nil && !printed[trouble(f)]:
			printed[trouble(f)] = true
			shown := fewAlike - 1
			p.printf("\n%s\n", p.paint(bold,
				strings.Join(all[:shown], ", ")+" and "+countNoun(len(all)-shown, "more server", "more servers")))
			p.printFinding(f, colour, f.Subject+": ")
			p.paragraph(4, "The others are like it; --verbose shows each.")
		case all == nil && !printed[" "+f.Subject]:
			printed[" "+f.Subject] = true
			p.printf("\n%s\n", p.paint(bold, f.Subject))
			for _, g := range findings[i:] {
				if g.Subject == f.Subject && alike(g) == nil {
					p.printFinding(g, colour, "")
				}
			}
		}
	}
}

// printFinding prints one, below its subject.
func (p *page) printFinding(f explainedFinding, colour style, prefix string) {
	p.fill(2, 4, doctorColumns, p.paint(colour, f.Check)+":", prefix+f.Message)
	p.fill(4, 9, doctorColumns, "Why:", f.Why)
	p.fill(4, 9, doctorColumns, "Fix:", f.Fix)
	for _, c := range f.Commands {
		p.printf("         %s\n", c)
	}
}

// doctorColumns is how wide the text of findings is.
const doctorColumns = 80

func (p *page) paragraph(indent int, sentence string) {
	p.fill(indent, indent, doctorColumns, "", sentence)
}
