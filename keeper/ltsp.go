package keeper

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"ltskeeper/internal/durable"
	"ltskeeper/internal/regular"
	"ltskeeper/internal/remedy"
)

// ltspFiles is what a report has in place of a chroot for LTSP's own files.
const ltspFiles = "ltsp"

// updateLTSP writes the known_hosts of LTSP since 2019 and has it packed into the initrd that
// clients fetch. It comes before the lists of servers do: clients know a server before they are
// sent to it. A note in the state remembers that the initrd is behind, should a run end in between.
func (r *run) updateLTSP(ctx context.Context, rec *record) error {
	path := r.farm.LTSP.KnownHosts
	if path == "" {
		return nil
	}
	defer r.beginStep("ltsp", "")()
	old, err := regular.Read(path, regular.MaxText)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write LTSP's known_hosts: %w", err)
	}
	if err == nil {
		if err := r.checkReplaceable(path, old); err != nil {
			return err
		}
	}
	data := rec.KnownHosts()
	changed := !bytes.Equal(old, data)
	behind := r.farm.State.InitrdBehind()
	if changed && !r.DryRun {
		if r.farm.LTSP.Initrd {
			if err := behind.Write(nil); err != nil {
				return fmt.Errorf("note that LTSP's initrd is behind: %w", err)
			}
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("write LTSP's known_hosts: %w", err)
		}
		if err := durable.WriteFile(path, data, 0o644); err != nil {
			return fmt.Errorf("write LTSP's known_hosts: %w", err)
		}
	}
	r.report.Files = append(r.report.Files,
		File{Chroot: ltspFiles, Path: path, Changed: changed, Old: string(old), New: string(data)})
	if isBehind, err := behind.Exists(); r.DryRun || err != nil || !isBehind || !r.farm.LTSP.Initrd {
		return nil
	}
	if out, err := exec.CommandContext(ctx, "ltsp", "initrd").CombinedOutput(); err != nil {
		return fmt.Errorf("run ltsp initrd: %w", explainLTSPError(err, cutLastLine(out)))
	}
	return behind.Remove()
}

// explainLTSPError adds to an error what LTSP said, or what to do where it is not there.
func explainLTSPError(err error, said string) error {
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return remedy.AttachTo(err, remedy.If{
			Condition: "LTSP is not here any more",
			Then:      remedy.Setting{Section: "ltsp", Key: "initrd", Value: "false"},
		})
	case said == "":
		return err
	}
	return fmt.Errorf("%w: %s", err, said)
}

func cutLastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}
