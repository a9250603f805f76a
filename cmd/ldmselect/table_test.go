package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"ltskeeper/ldm"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
)

// quiet makes a table that asks nobody, and whose automatic choice is the last server that answers.
func quiet(names ...string) *table {
	t := newTable(names, map[string]string{"app02": "cad"})
	t.ask = func(string) tea.Cmd { return nil }
	t.choose = func(replies []ldm.Reply) string {
		for _, r := range slices.Backward(replies) {
			if r.State != ldm.Down {
				return r.Name
			}
		}
		return ""
	}
	return t
}

func up(name string, rating int) replyMsg {
	return replyMsg{Name: name, State: ldm.Rated, Answer: ldm.Answer{Rating: rating, Logins: -1}}
}

// Who takes automatic before all have answered gets the best of all, not the first to answer.
func TestAutomaticWaits(t *testing.T) {
	t.Parallel()
	m := quiet("app01", "app02")
	m.Update(up("app01", 10))
	if _, cmd := m.Update(tea.KeyPressMsg{Code: tea.KeyEnter}); cmd != nil || m.choice != "" || !m.waits {
		t.Errorf("it does not wait: %q", m.choice)
	}
	m.Update(up("app02", 90))
	if m.choice != "app02" {
		t.Errorf("it chose %q", m.choice)
	}
}

func TestAutomaticWaitsNoMore(t *testing.T) {
	t.Parallel()
	m := quiet("app01", "app02")
	m.Update(up("app01", 10))
	m.Update(tea.KeyPressMsg{Code: tea.KeyEnter})
	m.Update(tea.KeyPressMsg{Code: tea.KeyDown}) // another thought
	m.Update(up("app02", 90))
	if m.choice != "" || m.rows[m.cursor].name != "app01" {
		t.Errorf("it chose %q, the user is on %s", m.choice, m.rows[m.cursor].name)
	}
}

// Whatever happens: the user is on a row that can be chosen, and the picture fits the terminal.
func TestTableProperties(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	codes := []rune{tea.KeyUp, tea.KeyDown, tea.KeyPgUp, tea.KeyPgDown, tea.KeyHome, tea.KeyEnd, tea.KeyBackspace,
		tea.KeyEscape}
	for range 200 {
		var names []string
		for i := range r.IntN(30) {
			names = append(names, fmt.Sprintf("app%02d", i))
		}
		m := quiet(names...)
		for range 60 {
			var msg tea.Msg
			switch name := fmt.Sprintf("app%02d", r.IntN(max(1, len(names)))); r.IntN(6) {
			case 0:
				msg = tea.WindowSizeMsg{Width: 1 + r.IntN(100), Height: 1 + r.IntN(30)}
			case 1:
				msg = tea.KeyPressMsg{Code: codes[r.IntN(len(codes))]}
			case 2:
				msg = tea.KeyPressMsg{Code: 'p', Text: string("ap0cd1"[r.IntN(6)])}
			case 3:
				msg = tea.MouseClickMsg{Button: tea.MouseLeft, X: 3, Y: r.IntN(30)}
			case 4:
				msg = tea.MouseWheelMsg{Button: tea.MouseWheelDown}
			default:
				if len(names) == 0 {
					continue
				}
				msg = replyMsg{Name: name, State: ldm.State(r.IntN(4)),
					Answer: ldm.Answer{Rating: r.IntN(101), Logins: r.IntN(100)}}
			}
			m.Update(msg)
			if !m.isSelectable(m.cursor) || !slices.Contains(m.listShown(), m.cursor) && m.filter == "" {
				t.Fatalf("after %+v the user is on %+v", msg, m.rows[m.cursor])
			}
			lines := m.drawLines()
			if len(lines) > m.height {
				t.Fatalf("%d lines on %d", len(lines), m.height)
			}
			marked := 0
			for _, line := range lines {
				if lipgloss.Width(line) > m.width {
					t.Fatalf("%q is wider than %d", line, m.width)
				}
				if strings.Contains(line, ">") {
					marked++
				}
			}
			if marked != 1 {
				t.Fatalf("%d rows are marked, after %+v:\n%s", marked, msg, strings.Join(lines, "\n"))
			}
		}
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]map[string]string{
		"":                                   {},
		"app01=cad,office app02=office":      {"app01": "cad office", "app02": "office"},
		"app01 =cad app02= $(x)=y a=\x1b[2J": {},
	} {
		if got := parseGroups(list); !maps.Equal(got, want) {
			t.Errorf("%q: %v, want %v", list, got, want)
		}
	}
}
