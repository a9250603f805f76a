package main

import (
	"bytes"
	"fmt"
	"html"
	"io"
)

// printTable prints results as Markdown.
func printTable(w io.Writer, results []result) {
	fmt.Fprintln(w,
		"| farm | full | policy | largest load / mean | worst run | within 1.10 | largest herd | worst run |")
	fmt.Fprintln(w, "| --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, r := range results {
		fmt.Fprintf(w, "| %s | %.0f %% | %s | %.2f | %.2f | %.0f %% | %.1f | %.1f |\n",
			r.farm, 100*r.full, r.policy, r.mean.load, r.worst.load, 100*r.within, r.mean.herd, r.worst.herd)
	}
}

// A panel is one of the plot's two diagrams.
type panel struct {
	title string
	left  float64
	upTo  float64
	mark  float64 // where the bar is
	value func(outcome) float64
}

var panels = []panel{
	{"largest load of a server / mean", 330, 7, bar, func(o outcome) float64 { return o.load }},
	{"most arrivals in 30 s / fair share", 640, 22, 3, func(o outcome) float64 { return o.herd }},
}

const (
	panelWidth = 270
	rowHeight  = 17
	groupGap   = 14
	top        = 62
)

var colours = map[string]string{"two": "#0b6e4f", "weighted": "#3a7ca5", "random": "#8d8d8d", "best": "#c1440e"}

// drawPlot draws results: a row each, in it a dot at the mean of the runs and a line to the worst
// one.
func drawPlot(results []result) []byte {
	var b bytes.Buffer
	groups := len(results) / len(compared)
	height := top + len(results)*rowHeight + groups*(rowHeight+groupGap) + 30
	fmt.Fprintf(&b,
		`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 930 %d" font-family="sans-serif" font-size="12">`+"\n",
		height)
	fmt.Fprintf(&b, `<rect width="930" height="%d" fill="#fff"/>`+"\n", height)
	text := func(x, y float64, style, s string) {
		fmt.Fprintf(&b, `<text x="%.0f" y="%.0f" %s>%s</text>`+"\n", x, y, style, html.EscapeString(s))
	}
	line := func(x1, y1, x2, y2 float64, style string) {
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" %s/>`+"\n", x1, y1, x2, y2, style)
	}
	text(10, 20, `font-size="14" font-weight="bold"`, "Who gets how much when all clients come within two minutes")
	for _, p := range panels {
		text(p.left, 42, `fill="#333"`, p.title)
		for i := range 4 {
			v := 1 + float64(i)*(p.upTo-1)/3
			line(p.at(v), top-4, p.at(v), float64(height-24), `stroke="#e4e4e4"`)
			text(p.at(v), float64(height-10), `text-anchor="middle" fill="#777"`, fmt.Sprintf("%.3g", v))
		}
		line(p.at(p.mark), top-4, p.at(p.mark), float64(height-24), `stroke="#0b6e4f" stroke-dasharray="3 3"`)
		text(p.at(p.mark)+3, top-6, `fill="#0b6e4f" font-size="10"`, fmt.Sprintf("bar: %.3g", p.mark))
	}
	y := float64(top)
	for i, r := range results {
		if i%len(compared) == 0 { // of a farm and how full it is
			y += groupGap + rowHeight
			text(10, y-rowHeight+4, `font-weight="bold" font-size="11"`,
				fmt.Sprintf("%s, %.0f %% full in the end", r.farm, 100*r.full))
		}
		colour := colours[string(r.policy)]
		text(290, y+4, fmt.Sprintf(`text-anchor="end" fill="%s"`, colour), string(r.policy))
		for _, p := range panels {
			mean, worst := p.at(p.value(r.mean)), p.at(p.value(r.worst))
			line(mean, y, worst, y, fmt.Sprintf(`stroke="%s" stroke-width="2"`, colour))
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>`+"\n", mean, y, colour)
			text(worst+8, y+4, `fill="#777" font-size="10"`, fmt.Sprintf("%.2f", p.value(r.mean)))
		}
		y += rowHeight
	}
	text(290, float64(height-10), `text-anchor="end" fill="#777"`, "dot: mean of the runs; line: to the worst run")
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// at returns where a value stands.
func (p panel) at(v float64) float64 {
	return p.left + (v-1)/(p.upTo-1)*(panelWidth-40)
}
