package doctor

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"

	"ltskeeper/farm"
	"ltskeeper/internal/mounts"
	"ltskeeper/keeper"
	"ltskeeper/keys"
	"ltskeeper/keys/trust"
)

// record is what ltskeeper keeps of keys, images and its own work.
type record struct {
	keeper    *keeper.Keeper
	store     *trust.Store // nil without a status
	status    *keeper.Status
	statusErr error // why there is none
	revoked   []keys.Key
	log       []trust.Entry
	lastRun   time.Time // that succeeded, as far as is known

	ltspKnownHosts *keeper.FileStatus // LTSP's known_hosts, nil if none is declared
	rendered       []byte             // known_hosts as it would be written, nil if it cannot be
}

// readRecord reads it, unless nobody knows where it is.
func (f *facts) readRecord() {
	f.keeper = keeper.New(f.farm)
	for _, m := range f.mistakes {
		if m.File == f.farm.Path && (m.Key == "state" || m.Syntax) {
			f.couldNotSee("what is on record of keys and images, for %s cannot be read", f.farm.Path)
			return
		}
	}
	if f.status, f.statusErr = f.keeper.ReadStatus(); f.statusErr != nil {
		if errors.Is(f.statusErr, fs.ErrPermission) {
			f.couldNotSee("the record of keys: %v", f.statusErr)
		}
		return
	}
	f.lastRun = f.keeper.LastSuccess()
	if store, err := trust.OpenReadOnly(f.farm.State.KeysPath()); err == nil { // otherwise the status has told
		f.store, f.revoked = store, keys.PlainKeys(store.Revoked())
		f.log, _, _ = store.Log()
	}
	if f.farm.LTSP.KnownHosts == "" || len(f.mistakes) > 0 {
		return
	}
	var err, err2 error
	f.ltspKnownHosts, err = f.keeper.ReadLTSPStatus()
	f.rendered, err2 = f.keeper.KnownHosts()
	if err = errors.Join(err, err2); err != nil {
		f.couldNotSee("LTSP's known_hosts: %v", err)
	}
}

// findSilentRoots returns the paths of the chroots that do not answer, each with the error that
// says so.
func findSilentRoots(k *keeper.Keeper) map[string]error {
	chroots := k.Farm().Chroots
	answers := make([]error, len(chroots))
	var all sync.WaitGroup
	for i, c := range chroots {
		all.Go(func() { answers[i] = k.CheckRootAnswers(c, patience) })
	}
	all.Wait()
	silent := map[string]error{}
	for i, err := range answers {
		if errors.Is(err, mounts.ErrSilent) {
			silent[chroots[i].Path] = err
		}
	}
	return silent
}

// A certificate is a host certificate that a server showed, or that is on record of it.
type certificate struct {
	begins, ends time.Time
	key          keys.Key // that it certifies
	refusal      error    // why clients refuse it, though it is valid now
}

// judgeCertificates looks at the certificates that servers showed, or that are on record of those
// that showed none.
func (f *facts) judgeCertificates() {
	for _, s := range f.servers {
		shown := s.shownCertificates()
		if len(shown) == 0 && f.store != nil {
			shown, _ = f.store.Certificates(s.Name)
		}
		policy := trust.Policy{Name: s.Name, Authorities: f.farm.Authorities, ClientNames: s.listedNames()}
		for _, k := range shown {
			parsed, err := keys.ParseCertificate(k.Key)
			if err != nil {
				continue
			}
			c := certificate{begins: parsed.Begins, ends: parsed.Ends, key: parsed.Certified}
			if f.store != nil {
				c.refusal = f.store.Refused(policy, k, f.now)
			}
			s.certificates = append(s.certificates, c)
		}
	}
}

// imageStatus returns what is on record of a chroot's image.
func (r *record) imageStatus(c farm.Chroot) (keeper.ImageStatus, bool) {
	if r.status != nil {
		for _, i := range r.status.Images {
			if i.Chroot == c.Name {
				return i, true
			}
		}
	}
	return keeper.ImageStatus{}, false
}

// isStale reports whether the next image of a chroot would differ from the current one.
func (r *record) isStale(ctx context.Context, c farm.Chroot) (bool, error) {
	stale, err := r.keeper.IsStale(ctx, c)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("whether " + c.Path +
			" has changed since its image was built: its disk is too slow for a look")
	}
	return stale, err
}
