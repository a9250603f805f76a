package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"ltskeeper/chroot"
	"ltskeeper/farm"
	"ltskeeper/internal/mounts"
	"ltskeeper/internal/remedy"
	"ltskeeper/internal/state"
	"ltskeeper/keeper"
)

// Exit codes. They are part of what ltskeeper promises to cron jobs and scripts.
const (
	exitDone        = 0 // done, or nothing to do
	exitFailed      = 1
	exitUsage       = 2 // the command line or the declaration is wrong
	exitDecision    = 3 // done, but something needs a person's decision
	exitUnreachable = 4 // done, but some server did not answer; exitDecision wins
	exitLocked      = 5 // another run holds the lock
)

// A usageError is a command line that cannot be meant as it stands.
type usageError string

func (e usageError) Error() string { return string(e) }

func usagef(format string, args ...any) error {
	return usageError(fmt.Sprintf(format, args...))
}

// An outcome is the exit code of a command that did its work and has said on standard output why
// the code is not 0.
type outcome int

func (o outcome) Error() string { return fmt.Sprintf("exit %d", int(o)) }

// decideOutcome returns an outcome if a report asks for an exit code other than 0.
func decideOutcome(r *keeper.Report) error {
	switch {
	case r.NeedsDecision():
		return outcome(exitDecision)
	case r.SomeUnreachable():
		return outcome(exitUnreachable)
	}
	return nil
}

// exitCode returns the exit code for what a command returned.
func exitCode(err error) int {
	var (
		code     outcome
		usage    usageError
		mistakes farm.Mistakes
		unknown  *farm.UnknownError
	)
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &code):
		return int(code)
	case errors.Is(err, state.ErrLocked):
		return exitLocked
	case errors.As(err, &usage), errors.As(err, &mistakes), errors.As(err, &unknown):
		return exitUsage
	}
	return exitFailed
}

// complain writes an error as an admin reads it, with what to do about it: each line begins with
// the program's name, and nothing in it that came from a server or a file can move the cursor.
func (t *tool) complain(w io.Writer, err error) {
	var code outcome
	if err == nil || errors.As(err, &code) {
		return
	}
	for line := range strings.Lines(t.explainError(err)) {
		fmt.Fprintf(w, "ltskeeper: %s\n", makeVisible(strings.TrimSuffix(line, "\n")))
	}
	if hint := t.hint(err); hint != "" {
		fmt.Fprintf(w, "ltskeeper: %s\n", hint)
	}
}

// hint says what to do about an error of the operating system, which any command may return. It
// returns "" for other errors, and where the error has remedies that say it better.
func (t *tool) hint(err error) string {
	var lock *chroot.SilentError
	switch {
	case errors.As(err, &lock):
		return t.describeRemedy(lock.Remedy())
	case errors.Is(err, mounts.ErrSilent):
		return t.describeRemedy(mounts.SilentRemedy)
	case errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0:
		return "that takes root: put sudo in front of the command"
	case errors.Is(err, fs.ErrPermission):
		return "root may not do that either: is the file system mounted read-only or over NFS, or the file immutable (lsattr)?"
	case errors.Is(err, syscall.EIO):
		return "the disk has errors, or the server that it is on: see what the kernel says of it (dmesg)"
	case errors.Is(err, syscall.EROFS):
		return "the file system is mounted read-only: if nobody meant it to be, see what the kernel says of the disk (dmesg)"
	case len(remedy.FindIn(err)) > 0: // they say better what to do
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Sprintf("the disk is full (df): %s shows what generations take, and image prune deletes what keep and keep-for in [image] allow",
			t.commandLine("image list"))
	}
	return ""
}

// printWarning writes what a person should know although the work is done. It is said even with
// --quiet.
func printWarning(w io.Writer, warning string) {
	fmt.Fprintf(w, "ltskeeper: warning: %s\n", makeVisible(warning))
}
