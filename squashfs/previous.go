package squashfs

import (
	"fmt"
	"os"
)

// Previous is an image that Build made, and the index that it wrote with it.
type Previous struct {
	Image *os.File
	Index *os.File // nil: there is none
}

type errRot struct{ at int64 }

func (e *errRot) Error() string { return fmt.Sprintf("data at byte %d is not what was written", e.at) }

type previous struct{}
type oldContent struct {
	region *oldRegion
	blocks []uint32
	sparse uint64
	group  *oldGroup
	hashed bool
	hash   [32]byte
}
type oldRegion struct {
	start, length uint64
	sum           uint32
}
type oldGroup struct {
	region oldRegion
	size   uint32
}

func (b *builder) openPrevious()                        {}
func (g *oldGroup) holds(n *group) bool                 { return false }
func (p *previous) xattrs(stat) (*xattrSet, bool, bool) { return nil, false, false }
func (p *previous) content(stat) *oldContent            { return nil }
func (p *previous) knowsHash(stat) bool                 { return false }
func (p *previous) byHash(int64, [32]byte) *oldContent  { return nil }
func (p *previous) read([]byte, int64) error            { return nil }
