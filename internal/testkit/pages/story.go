package pages

import (
	"errors"
	"fmt"
	"strings"
)

// follow has do do every step of a page, with today's fingerprints in the command. Its error has
// each step that prints something other than the page shows; with update that goes into the page's
// lines instead, and outdated counts such steps. What do cannot do, and a command that the page
// does not show and that fails, end the story.
func (p *Page) follow(
	do func(s Step, command string) (printed []string, err error), update bool,
) (outdated int, err error) {
	comparison := NewComparison()
	comparison.isExact = update
	outputs := map[int][]string{}
	var faults []error
	fail := func(s Step, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s:%d: %s%s", p.Path, s.Line, s.Command, fmt.Sprintf(format, args...)))
	}
	for i, s := range p.Steps {
		printed, err := do(s, comparison.toToday(s.Command))
		if err != nil {
			fail(s, ": %v", err)
			break
		}
		if s.isUnseen {
			if _, end := cutExit(printed); end != "(exit code 0)" {
				fail(s, "\n%s", strings.Join(printed, "\n"))
				break
			}
			continue
		}
		switch why := comparison.FindDifference(s.output, printed); {
		case why == "":
		case update:
			outputs[i] = comparison.rewrite(s.output, printed)
		default:
			fail(s, "\n%s; all of it:\n%s", why, strings.Join(printed, "\n"))
		}
	}
	p.replaceOutputs(outputs)
	return len(outputs), errors.Join(faults...)
}
