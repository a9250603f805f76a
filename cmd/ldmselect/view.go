package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ltskeeper/ldm"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// Nothing here needs colour: the user's row is also marked and reversed, and what is grey is also
// faint.
var (
	bold = lipgloss.NewStyle().Bold(true)
	grey = lipgloss.NewStyle().Foreground(lipgloss.BrightBlack).Faint(true)
	here = lipgloss.NewStyle().Reverse(true)
	good = lipgloss.NewStyle().Foreground(lipgloss.Green)
	fair = lipgloss.NewStyle().Foreground(lipgloss.Yellow)
	poor = lipgloss.NewStyle().Foreground(lipgloss.Red)
)

// View draws the table.
func (t *table) View() tea.View {
	v := tea.NewView(strings.Join(t.drawLines(), "\n"))
	v.AltScreen = true
	v.MouseMode = tea.MouseModeCellMotion
	return v
}

// The number of lines that a terminal needs to show more than rows.
const (
	titleFrom = 8
	helpFrom  = 5
)

// head returns how many lines are above the rows.
func (t *table) head() int {
	if t.height >= titleFrom {
		return 3 // title, an empty line, the columns' names
	}
	return 0
}

// room returns how many rows fit.
func (t *table) room() int {
	room := t.height - t.head()
	if t.height >= helpFrom {
		room -= 2
	}
	return max(1, room)
}

// at returns the row that is shown on a line of the terminal.
func (t *table) at(y int) (row int, ok bool) {
	shown := t.listShown()
	n := y - t.head()
	if n < 0 || n >= t.room() || t.top+n >= len(shown) {
		return 0, false
	}
	return shown[t.top+n], true
}

func (t *table) drawLines() []string {
	shown, room := t.listShown(), t.room()
	at := slices.Index(shown, t.cursor)
	t.top = min(max(t.top, at-room+1), at, max(0, len(shown)-room))

	columns := t.chooseColumns()
	var lines []string
	if t.height >= titleFrom {
		lines = append(lines, bold.Render(t.fit("Which server do you want to work on?")), "",
			t.fit("  "+formatHeader(columns)))
	}
	for _, i := range shown[t.top:min(t.top+room, len(shown))] {
		lines = append(lines, t.drawRow(i, columns))
	}
	if t.height >= helpFrom {
		lines = append(lines, "", t.drawFoot())
	}
	return lines
}

func (t *table) fit(s string) string { return ansi.Truncate(s, t.width, "") }

// drawFoot shows what the keys do, or what else there is to report.
func (t *table) drawFoot() string {
	switch {
	case t.waits:
		return t.fit("Asking all servers ...")
	case t.filter != "":
		return t.fit("Filter: " + t.filter + "   (esc: all)")
	case !slices.ContainsFunc(t.rows[1:], func(r row) bool { return !r.asked || r.reply.State != ldm.Down }):
		return t.fit("No server answers. Check the network cable, or call your administrator.")
	}
	return t.fit("up/down move   enter log in there   letters filter   esc cancel")
}

// A column is as wide as it needs to be, and is left out if the terminal is narrow.
type column struct {
	name  string
	width int
	style func(row) lipgloss.Style
	cell  func(row) string
}

// chooseColumns returns the columns that fit, from left to right.
func (t *table) chooseColumns() []column {
	name := column{name: "SERVER", cell: func(r row) string { return r.name }}
	groups := column{name: "GROUPS", cell: func(r row) string { return r.groups }}
	bar := column{name: "RATING", style: chooseStyle, cell: func(r row) string { return t.drawBar(r) }}
	number := column{name: "RATING", style: chooseStyle, cell: formatRating}
	sessions := column{name: "SESSIONS", cell: formatSessions}
	state := column{name: "STATE", cell: formatState}
	for _, columns := range [][]column{
		{name, groups, bar, sessions, state}, {name, bar, sessions, state},
		{name, bar, state}, {name, number, state}, {name, state},
	} {
		for i := range columns {
			c := &columns[i]
			c.width = len(c.name)
			for _, r := range t.rows {
				c.width = max(c.width, lipgloss.Width(c.cell(r)))
			}
		}
		columns = slices.DeleteFunc(columns, func(c column) bool {
			return c.name == "GROUPS" && !slices.ContainsFunc(t.rows, func(r row) bool { return r.groups != "" })
		})
		if sumWidths(columns) <= t.width {
			return columns
		}
	}
	name.width = max(1, t.width-2)
	return []column{name}
}

const gap = 2 // between columns

func sumWidths(columns []column) int {
	w := 2 // the mark before each row
	for _, c := range columns {
		w += c.width + gap
	}
	return w - gap
}

func formatHeader(columns []column) string {
	var cells []string
	for _, c := range columns {
		cells = append(cells, padText(c.name, c.width))
	}
	return strings.TrimRight(strings.Join(cells, strings.Repeat(" ", gap)), " ")
}

func padText(s string, width int) string {
	s = ansi.Truncate(s, width, "")
	return s + strings.Repeat(" ", width-lipgloss.Width(s))
}

// drawRow draws a row: reversed if the user is on it, grey if it cannot be chosen or if the user is
// on automatic.
func (t *table) drawRow(i int, columns []column) string {
	r := t.rows[i]
	mark, isGrey := "  ", i > 0 && (t.cursor == 0 || !t.isSelectable(i))
	if i == t.cursor {
		mark = "> "
	}
	var cells []string
	for _, c := range columns {
		cell := padText(c.cell(r), c.width)
		if c.style != nil && i != t.cursor && !isGrey {
			cell = c.style(r).Render(cell)
		}
		cells = append(cells, cell)
	}
	line := t.fit(mark + strings.Join(cells, strings.Repeat(" ", gap)))
	switch {
	case i == t.cursor:
		return here.Render(line)
	case isGrey:
		return grey.Render(line)
	}
	return line
}

func formatRating(r row) string {
	if r.reply.State != ldm.Rated {
		return ""
	}
	return strconv.Itoa(r.reply.Answer.Rating)
}

// drawBar draws a rating as ten blocks and a number.
func (t *table) drawBar(r row) string {
	if r.reply.State != ldm.Rated {
		return ""
	}
	full, empty := "#", "."
	if t.blocks {
		full, empty = "█", "░"
	}
	n := (r.reply.Answer.Rating + 5) / 10
	return strings.Repeat(full, n) + strings.Repeat(empty, 10-n) + fmt.Sprintf(" %3d", r.reply.Answer.Rating)
}

func chooseStyle(r row) lipgloss.Style {
	switch n := r.reply.Answer.Rating; {
	case n >= 50:
		return good
	case n >= 20:
		return fair
	}
	return poor
}

// formatSessions shows how many sessions there are, of how many.
func formatSessions(r row) string {
	a := r.reply.Answer
	switch {
	case !r.asked || a.Logins < 0 || r.reply.State != ldm.Rated && r.reply.State != ldm.Draining:
		return ""
	case a.Capacity > 0:
		return fmt.Sprintf("%d of %d", a.Logins, a.Capacity)
	}
	return strconv.Itoa(a.Logins)
}

func formatState(r row) string {
	switch {
	case r.automatic:
		return ""
	case !r.asked:
		return "asking"
	case r.reply.State == ldm.Alive:
		return "up, not rated"
	}
	return r.reply.State.String()
}
