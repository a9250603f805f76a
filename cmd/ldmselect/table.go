package main

import (
	"slices"
	"strings"
	"time"

	"ltskeeper/ldm"

	tea "charm.land/bubbletea/v2"
)

const (
	refresh  = 2 * time.Second         // between an answer and the next question
	patience = 1500 * time.Millisecond // with a server
)

// A table is what the user sees, and the user's place in it. It is bubbletea's model.
type table struct {
	rows   []row
	cursor int    // an index of rows; 0 is automatic
	filter string // what the user typed
	choice string // once the user has chosen
	waits  bool   // automatic was chosen before all had answered

	width, height int
	top           int  // the first of the shown rows that is on the screen
	blocks        bool // bars may have more than ASCII

	ask    func(name string) tea.Cmd
	choose func([]ldm.Reply) string // "" if there is nothing to choose
}

// A row is a server, or the first one, automatic.
type row struct {
	name, groups string
	automatic    bool
	asked        bool // there is a reply
	reply        ldm.Reply
}

func newTable(names []string, groups map[string]string) *table {
	t := &table{rows: []row{{name: "automatic", automatic: true}}, width: 80, height: 24}
	for _, name := range names {
		t.rows = append(t.rows, row{name: name, groups: groups[name]})
	}
	return t
}

// A replyMsg is a server's reply. A dueMsg says that it is time to ask a server again.
type (
	replyMsg ldm.Reply
	dueMsg   string
)

// Init asks all servers.
func (t *table) Init() tea.Cmd {
	var cmds []tea.Cmd
	for _, r := range t.rows[1:] {
		cmds = append(cmds, t.ask(r.name))
	}
	return tea.Batch(cmds...)
}

// Update handles an event.
func (t *table) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		t.width, t.height = msg.Width, msg.Height
	case replyMsg:
		return t, tea.Batch(t.noteReply(ldm.Reply(msg)), tea.Tick(refresh, func(time.Time) tea.Msg {
			return dueMsg(msg.Name)
		}))
	case dueMsg:
		return t, t.ask(string(msg))
	case tea.KeyPressMsg:
		return t, t.press(msg)
	case tea.MouseWheelMsg:
		switch msg.Button {
		case tea.MouseWheelUp:
			t.move(-1)
		case tea.MouseWheelDown:
			t.move(1)
		}
	case tea.MouseClickMsg:
		if i, ok := t.at(msg.Y); ok && msg.Button == tea.MouseLeft && t.isSelectable(i) {
			if i == t.cursor {
				return t, t.enter()
			}
			t.cursor = i
		}
	}
	return t, nil
}

// noteReply notes a server's reply. If the user was on that server and it is down, the user is on
// automatic again.
func (t *table) noteReply(reply ldm.Reply) tea.Cmd {
	i := slices.IndexFunc(t.rows[1:], func(r row) bool { return r.name == reply.Name }) + 1
	t.rows[i].asked, t.rows[i].reply = true, reply
	if !t.isSelectable(t.cursor) {
		t.cursor = 0
	}
	if t.waits {
		return t.enter()
	}
	return nil
}

func (t *table) press(msg tea.KeyPressMsg) tea.Cmd {
	t.waits = false
	page := max(1, t.room()-1)
	switch msg.String() {
	case "ctrl+c":
		return tea.Quit
	case "esc":
		if t.filter == "" {
			return tea.Quit
		}
		t.narrow("")
	case "enter":
		return t.enter()
	case "up", "ctrl+p":
		t.move(-1)
	case "down", "ctrl+n", "tab":
		t.move(1)
	case "pgup":
		t.move(-page)
	case "pgdown":
		t.move(page)
	case "home":
		t.cursor = 0
	case "end":
		t.move(len(t.rows))
	case "backspace", "ctrl+h":
		if t.filter != "" {
			t.narrow(t.filter[:len(t.filter)-1])
		}
	default:
		if len(msg.Text) == 1 && msg.Text > " " && msg.Text < "\x7f" && len(t.filter) < 30 {
			t.narrow(t.filter + strings.ToLower(msg.Text))
		}
	}
	return nil
}

// enter chooses the row that the user is on.
func (t *table) enter() tea.Cmd {
	if t.cursor > 0 {
		t.choice = t.rows[t.cursor].name
		return tea.Quit
	}
	var replies []ldm.Reply
	all := true
	for _, r := range t.rows[1:] {
		all = all && r.asked
		if r.asked {
			replies = append(replies, r.reply)
		}
	}
	// The first to answer need not be the best one: automatic waits for all, as get_hosts does.
	if t.waits = !all; t.waits {
		return nil
	}
	if t.choice = t.choose(replies); t.choice != "" {
		return tea.Quit
	}
	return nil
}

// isSelectable reports whether the user may be on a row: on automatic, and on servers that answer.
func (t *table) isSelectable(i int) bool {
	return i == 0 || t.rows[i].asked && t.rows[i].reply.State != ldm.Down
}

// narrow shows only the servers whose name or groups hold the filter, and puts the user on the
// first of them.
func (t *table) narrow(filter string) {
	t.filter = filter
	t.cursor = 0
	if filter != "" {
		t.move(1)
	}
}

// listShown returns the rows that the filter lets through, and automatic.
func (t *table) listShown() []int {
	shown := []int{0}
	for i, r := range t.rows[1:] {
		if strings.Contains(strings.ToLower(r.name), t.filter) ||
			strings.Contains(strings.ToLower(r.groups), t.filter) {
			shown = append(shown, i+1)
		}
	}
	return shown
}

// move moves the user by a number of rows, past those that are down, but not past the last one.
func (t *table) move(by int) {
	shown := slices.DeleteFunc(t.listShown(), func(i int) bool { return !t.isSelectable(i) })
	at := max(0, slices.Index(shown, t.cursor))
	t.cursor = shown[min(max(at+by, 0), len(shown)-1)]
}
