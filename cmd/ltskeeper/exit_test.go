package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"ltskeeper/farm"
	"ltskeeper/internal/mounts"
	"ltskeeper/internal/remedy"
	"ltskeeper/internal/state"
)

func TestExitCode(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("disk full"), 1},
		{usagef("no such command"), 2},
		{fmt.Errorf("chroot x86_64: %w", farm.Mistakes{{Msg: "wrong"}}), 2},
		{outcome(exitDecision), 3},
		{outcome(exitUnreachable), 4},
		{fmt.Errorf("add server: %w", state.ErrLocked), 5},
	} {
		if got := exitCode(test.err); got != test.want {
			t.Errorf("%v: exit code %d, want %d", test.err, got, test.want)
		}
	}
}

func TestComplain(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{outcome(exitDecision), ""}, // standard output has said why
		{errors.New("disk full"), "ltskeeper: disk full\n"},
		{farm.Mistakes{{File: "a", Msg: "x"}, {File: "b", Msg: "y"}}, "ltskeeper: a: x\nltskeeper: b: y\n"},
		{&fs.PathError{Op: "read", Path: "a", Err: syscall.EIO}, "ltskeeper: read a: input/output error\n" +
			"ltskeeper: the disk has errors, or the server that it is on: see what the kernel says of it (dmesg)\n"},
		{fmt.Errorf("a: %w", mounts.ErrSilent),
			"ltskeeper: a: its file system does not answer, as NFS does not whose server is gone\n" +
				"ltskeeper: what is mounted where: findmnt; bring back the server that it comes from, or unmount it (umount -l)\n"},
		{syscall.ENOSPC, "ltskeeper: no space left on device\n" +
			"ltskeeper: the disk is full (df): ltskeeper image list shows what generations take, and image prune deletes what keep and keep-for in [image] allow\n"},
		{fmt.Errorf("build image: %w", remedy.AttachTo(syscall.ENOSPC, remedy.Advice("make room"))),
			"ltskeeper: build image: no space left on device; make room\n"},
		{errors.New("app01: \x1b[2Jbanner"), "ltskeeper: app01: \\x1b[2Jbanner\n"},
	} {
		var b bytes.Buffer
		if new(tool).complain(&b, test.err); b.String() != test.want {
			t.Errorf("got %q, want %q", b.String(), test.want)
		}
	}
}
