package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ltskeeper/ldm"

	"charm.land/bubbles/v2/help"
	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// Nothing here needs colour: where the user is, is also marked and reversed, and what is grey is
// faint, too.
var (
	bold = lipgloss.NewStyle().Bold(true)
	grey = lipgloss.NewStyle().Foreground(lipgloss.BrightBlack).Faint(true)
	here = lipgloss.NewStyle().Reverse(true)
	good = lipgloss.NewStyle().Foreground(lipgloss.Green)
	fair = lipgloss.NewStyle().Foreground(lipgloss.Yellow)
	poor = lipgloss.NewStyle().Foreground(lipgloss.Red)
)

func (t *table) View() tea.View {
	v := tea.NewView(strings.Join(t.lines(), "\n"))
	v.AltScreen = true
	v.MouseMode = tea.MouseModeCellMotion
	return v
}

// What stands above and below the rows, where there is room for it.
const (
	titleFrom = 8 // lines of the terminal, from which on there is a title
	helpFrom  = 5
)

// head returns how many lines stand above the rows.
func (t *table) head() int {
	if t.height >= titleFrom {
		return 3 // title, an empty line, the columns' names
	}
	return 0
}

// room returns how many rows there is room for.
func (t *table) room() int {
	room := t.height - t.head()
	if t.height >= helpFrom {
		room -= 2
	}
	return max(1, room)
}

// at returns the row that is shown on a line of the terminal.
func (t *table) at(y int) (row int, ok bool) {
	shown := t.shown()
	n := y - t.head()
	if n < 0 || n >= t.room() || t.top+n >= len(shown) {
		return 0, false
	}
	return shown[t.top+n], true
}

func (t *table) lines() []string {
	shown, room := t.shown(), t.room()
	at := slices.Index(shown, t.cursor)
	t.top = min(max(t.top, at-room+1), at, max(0, len(shown)-room))

	columns := t.columns()
	var lines []string
	if t.height >= titleFrom {
		lines = append(lines, bold.Render(t.fit("Which server do you want to work on?")), "",
			t.fit("  "+header(columns)))
	}
	for _, i := range shown[t.top:min(t.top+room, len(shown))] {
		lines = append(lines, t.row(i, columns))
	}
	if t.height >= helpFrom {
		lines = append(lines, "", t.foot())
	}
	return lines
}

func (t *table) fit(s string) string { return ansi.Truncate(s, t.width, "") }

// foot says what the keys do, or what else there is to say.
func (t *table) foot() string {
	switch {
	case t.waits:
		return t.fit("Asking all servers ...")
	case t.filter != "":
		return t.fit("Filter: " + t.filter + "   (esc: all)")
	case !slices.ContainsFunc(t.rows[1:], func(r row) bool { return !r.asked || r.reply.State != ldm.Down }):
		return t.fit("No server answers. Check the network cable, or call your administrator.")
	}
	h := help.New()
	h.ShortSeparator = "   "
	h.Styles = help.Styles{}
	return t.fit(h.ShortHelpView([]key.Binding{keys.up, keys.enter, keys.back, keys.cancel}))
}

// A column is as wide as it needs to be, and is left out where the terminal is narrow.
type column struct {
	name  string
	width int
	style func(row) lipgloss.Style
	cell  func(row) string
}

// columns returns those that fit, from left to right.
func (t *table) columns() []column {
	name := column{name: "SERVER", cell: func(r row) string { return r.name }}
	groups := column{name: "GROUPS", cell: func(r row) string { return r.groups }}
	bar := column{name: "RATING", style: ratingStyle, cell: func(r row) string { return t.bar(r) }}
	number := column{name: "RATING", style: ratingStyle, cell: rating}
	sessions := column{name: "SESSIONS", cell: sessions}
	state := column{name: "STATE", cell: state}
	for _, columns := range [][]column{
		{name, groups, bar, sessions, state}, {name, bar, sessions, state}, {name, bar, state}, {name, number,
			state}, {name, state},
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
		if width(columns) <= t.width {
			return columns
		}
	}
	name.width = max(1, t.width-2)
	return []column{name}
}

const gap = 2 // between columns

func width(columns []column) int {
	w := 2 // the mark before each row
	for _, c := range columns {
		w += c.width + gap
	}
	return w - gap
}

func header(columns []column) string {
	var cells []string
	for _, c := range columns {
		cells = append(cells, pad(c.name, c.width))
	}
	return strings.TrimRight(strings.Join(cells, strings.Repeat(" ", gap)), " ")
}

func pad(s string, width int) string {
	s = ansi.Truncate(s, width, "")
	return s + strings.Repeat(" ", width-lipgloss.Width(s))
}

// row draws a row: reversed where the user is, grey what cannot be chosen, and all others too while
// automatic is.
func (t *table) row(i int, columns []column) string {
	r := t.rows[i]
	mark, greyed := "  ", i > 0 && (t.cursor == 0 || !t.selectable(i))
	if i == t.cursor {
		mark = "> "
	}
	var cells []string
	for _, c := range columns {
		cell := pad(c.cell(r), c.width)
		if c.style != nil && i != t.cursor && !greyed {
			cell = c.style(r).Render(cell)
		}
		cells = append(cells, cell)
	}
	line := t.fit(mark + strings.Join(cells, strings.Repeat(" ", gap)))
	switch {
	case i == t.cursor:
		return here.Render(line)
	case greyed:
		return grey.Render(line)
	}
	return line
}

func rating(r row) string {
	if r.reply.State != ldm.Rated {
		return ""
	}
	return strconv.Itoa(r.reply.Answer.Rating)
}

// bar draws a rating as ten blocks and a number.
func (t *table) bar(r row) string {
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

func ratingStyle(r row) lipgloss.Style {
	switch n := r.reply.Answer.Rating; {
	case n >= 50:
		return good
	case n >= 20:
		return fair
	}
	return poor
}

// sessions shows how many there are, of how many there is room for.
func sessions(r row) string {
	a := r.reply.Answer
	switch {
	case !r.asked || a.Logins < 0 || r.reply.State != ldm.Rated && r.reply.State != ldm.Draining:
		return ""
	case a.Capacity > 0:
		return fmt.Sprintf("%d of %d", a.Logins, a.Capacity)
	}
	return strconv.Itoa(a.Logins)
}

func state(r row) string {
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
