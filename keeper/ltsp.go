package keeper

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"ltskeeper/internal/durable"
	"ltskeeper/internal/regular"
	"ltskeeper/internal/state"
)

// updateLTSP writes the known_hosts of LTSP since 2019 and has it packed into the initrd that
// clients fetch. It comes before the lists of servers do: clients know a server before they are
// sent to it. A note in the state remembers that the initrd is behind, should a run end in between.
func (r *run) updateLTSP(ctx context.Context, t *record) error {
	path := r.farm.LTSP.KnownHosts
	if path == "" {
		return nil
	}
	defer r.step("ltsp", "")()
	old, err := regular.Read(path, regular.MaxText)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write LTSP's known_hosts: %w", err)
	}
	if err == nil {
		if err := refuseStranger(path, old, r.farm.AdoptedFolder()); err != nil {
			return err
		}
	}
	data := t.KnownHosts()
	changed := !bytes.Equal(old, data)
	mark := r.farm.State.InitrdBehind()
	if changed && !r.DryRun {
		if r.farm.LTSP.Initrd {
			if err := mark.Write(nil); err != nil {
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
		File{Chroot: "ltsp", Path: path, Changed: changed, Old: string(old), New: string(data)})
	if behind, err := mark.Exists(); r.DryRun || err != nil || !behind || !r.farm.LTSP.Initrd {
		return nil
	}
	if out, err := exec.CommandContext(ctx, "ltsp", "initrd").CombinedOutput(); err != nil {
		return fmt.Errorf("run ltsp initrd: %w", explainLTSP(err, lastLine(out)))
	}
	return mark.Remove()
}

// explainLTSP adds to an error what LTSP said, or what to do where it is not there.
func explainLTSP(err error, said string) error {
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("%w; if LTSP is not here any more: initrd = false in [ltsp]", err)
	case said == "":
		return err
	}
	return fmt.Errorf("%w: %s", err, said)
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

// loadSecret reads the secret of hashed names. Where there is none yet and none can be made, as in
// a dry run of the first day, it is another one each time.
func loadSecret(file state.File) ([]byte, error) {
	data, err := file.Read()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		fresh := make([]byte, 32)
		rand.Read(fresh)
		return fresh, nil
	case regular.IsOdd(err):
		return nil,
			fmt.Errorf("read the secret of hashed names: %w; restore it from a backup, or remove it, and known_hosts is hashed anew", err)
	case err != nil:
		return nil, fmt.Errorf("read the secret of hashed names: %w", err)
	case len(data) < 16:
		return nil,
			fmt.Errorf("read the secret of hashed names: %s is too short; remove it, and known_hosts is hashed anew",
				file.Path())
	}
	return data, nil
}

// keepSecret writes the secret of hashed names, if it is new.
func (t *record) keepSecret() error {
	if len(t.Secret) == 0 {
		return nil
	}
	file := t.Farm.State.KnownHostsSecret()
	if exists, err := file.Exists(); exists || err != nil {
		return err
	}
	if err := file.Write(t.Secret); err != nil {
		return fmt.Errorf("write the secret of hashed names: %w", err)
	}
	return nil
}
