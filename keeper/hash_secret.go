package keeper

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"

	"ltskeeper/internal/regular"
	"ltskeeper/internal/remedy"
	"ltskeeper/internal/state"
)

const removeSecret = remedy.Advice("remove it: known_hosts is then hashed anew")

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
		return nil, remedy.AttachTo(fmt.Errorf("read the secret of hashed names: %w", err),
			remedy.Advice("restore it from a backup"), removeSecret)
	case err != nil:
		return nil, fmt.Errorf("read the secret of hashed names: %w", err)
	case len(data) < 16:
		return nil,
			remedy.AttachTo(fmt.Errorf("read the secret of hashed names: %s is too short", file.Path()), removeSecret)
	}
	return data, nil
}

// saveSecret writes the secret of hashed names, if it is new.
func (t *record) saveSecret() error {
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
