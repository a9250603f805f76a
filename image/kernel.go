package image

import (
	"errors"
	"fmt"
	"path/filepath"

	"ltskeeper/internal/kernels"
	"ltskeeper/internal/remedy"
)

// extractKernel copies the kernel and initrd of the image in the folder dir beside it, and returns
// the kernel's version. It must be the kernel that was chosen before the image was built; nil if
// there is none, and clients get their kernel some other way.
func (s *Store) extractKernel(dir string, chosen *kernels.Kernel) (version string, err error) {
	img, err := openImage(filepath.Join(dir, imageFile))
	if err != nil {
		return "", err
	}
	defer img.Close()
	kernel, err := kernels.Choose(img.FS())
	if err != nil {
		return "", err
	}
	if kernel == nil && chosen == nil {
		return "", nil
	}
	if kernel == nil || chosen == nil || *kernel != *chosen {
		return "",
			remedy.AttachTo(errors.New("the kernels in the tree changed while the image was built"),
				remedy.Advice("run it again"))
	}
	for _, f := range []struct{ place, name string }{{kernel.Path, kernelFile}, {kernel.Initrd, initrdFile}} {
		content, err := img.FS().Open(f.place)
		if err == nil {
			err = s.disk.Create(filepath.Join(dir, f.name), content)
		}
		if err != nil {
			return "", fmt.Errorf("copy %s out of the image: %w", f.place, err)
		}
	}
	return kernel.Version, nil
}
