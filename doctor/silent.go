package doctor

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// errSilent means that a file system does not answer, as NFS does not whose server is gone. Whoever asks it waits, for ever
// mostly.
var errSilent = errors.New("its file system does not answer, as NFS does not whose server is gone")

// silent returns those of the folders whose file systems do not answer in time.
func silent(folders []string, patience time.Duration) map[string]bool {
	answers := make(chan string, len(folders))
	for _, folder := range folders {
		go func() { // as long as it takes: nothing ends it but an answer
			os.Stat(folder + "/.")
			answers <- folder
		}()
	}
	waiting := map[string]bool{}
	for _, folder := range folders {
		waiting[folder] = true
	}
	for late := time.After(patience); len(waiting) > 0; {
		select {
		case folder := <-answers:
			delete(waiting, folder)
		case <-late:
			return waiting
		}
	}
	return waiting
}

// findSilent keeps away from the roots of chroots that do not answer. Without one of the farm's own folders there is
// nothing to look at.
func (f *facts) findSilent() error {
	own := []string{f.farm.State, f.farm.Image.Directory, f.farm.TFTP.Directory}
	folders := own
	for _, c := range f.farm.Chroots {
		folders = append(folders, c.Path)
	}
	f.silent = silent(folders, patience)
	for _, folder := range own {
		if f.silent[folder] {
			return fmt.Errorf("%s: %w; to see what is mounted: findmnt", folder, errSilent)
		}
	}
	return nil
}
