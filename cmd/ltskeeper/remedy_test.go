package main

import (
	"errors"
	"fmt"
	"testing"

	"ltskeeper/farm"
	"ltskeeper/internal/remedy"
	"ltskeeper/ltsconf"
)

func TestExplainError(t *testing.T) {
	t.Parallel()
	full, wrong := errors.New("no room"), errors.New("wrong")
	prune := remedy.Steps{
		remedy.Setting{Section: "image", Key: "keep", Change: "lower"},
		remedy.Setting{Section: "image", Key: "keep-for", Change: "lower"},
		remedy.Command{"image", "prune"},
	}
	force := remedy.If{Condition: "it is meant so", Then: remedy.Option("force")}
	for _, test := range []struct {
		err    error
		config string
		want   string
	}{
		{wrong, "", "wrong"},
		{remedy.AttachTo(wrong, remedy.Command{"update-image"}), defaultConfig, "wrong; run ltskeeper update-image"},
		{remedy.AttachTo(wrong, remedy.Command{"keys", "trust", "a b"}), "lab.toml",
			"wrong; run ltskeeper --config lab.toml keys trust 'a b'"},
		{fmt.Errorf("build: %w", remedy.AttachTo(full, remedy.Advice("make room"), prune)), "lab.toml",
			"build: no room; make room, or set keep and keep-for in [image] lower, then run ltskeeper --config lab.toml image prune"},
		{remedy.AttachTo(remedy.AttachTo(wrong, remedy.Setting{Section: "image", Key: "compression", Value: `"gzip"`}),
			force), "",
			`wrong; write compression = "gzip" in [image]; if it is meant so, add --force`},
		{remedy.AttachTo(wrong, force, remedy.Advice("change the owner")), "",
			"wrong; if it is meant so, add --force; otherwise change the owner"},
		{remedy.AttachTo(wrong, remedy.Setting{Section: "chroot", Key: "id-offset", Value: "7"}), "",
			"wrong; write id-offset = 7 in its [[chroot]]"},
		{remedy.AttachTo(wrong, remedy.Setting{Section: "chroot", Name: "lab", Key: "exclude", Value: `["a"]`}), "",
			`wrong; write exclude = ["a"] in [[chroot]] lab`},
		{remedy.AttachTo(errors.New("secrets:\n  a"),
			remedy.Setting{Section: "chroot", Name: "lab", Key: "exclude", Add: `"a", "b"`},
			remedy.Setting{Section: "chroot", Key: "mounts", Remove: `"c"`}), "",
			"secrets:\n  a\nadd \"a\", \"b\" to exclude in [[chroot]] lab, or remove \"c\" from mounts in its [[chroot]]"},
		{errors.Join(fmt.Errorf("a: %w", remedy.AttachTo(wrong, force)), full,
			remedy.AttachTo(full, remedy.Advice("make room"))), "",
			"a: wrong; if it is meant so, add --force\nno room\nno room; make room"},
		{fmt.Errorf("%w and %w", remedy.AttachTo(wrong, force), remedy.AttachTo(full, remedy.Advice("make room"))), "",
			"wrong and no room; if it is meant so, add --force; otherwise make room"},
	} {
		tool := &tool{config: test.config}
		if got := tool.explainError(test.err); got != test.want {
			t.Errorf("got  %q\nwant %q", got, test.want)
		}
	}
}

// Joined errors are told apart by their type, whatever they say.
func TestSplitError(t *testing.T) {
	t.Parallel()
	a, b := errors.New("a"), errors.New("b")
	for _, test := range []struct {
		err  error
		want int
	}{
		{errors.Join(a, b), 2},
		{farm.Mistakes{{Msg: "x"}, {Msg: "y"}}, 2},
		{ltsconf.SyntaxErrors{{Msg: "x"}}, 1},
		{fmt.Errorf("%w\n%w", a, b), 0},
		{a, 0},
	} {
		if parts := splitError(test.err); len(parts) != test.want {
			t.Errorf("%q has %d parts, want %d", test.err, len(parts), test.want)
		}
	}
}
