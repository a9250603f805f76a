package farm

import (
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"

	"ltskeeper/internal/names"
)

var (
	noWordChars = regexp.MustCompile(`[^A-Za-z0-9._-]+`)
	dotted      = regexp.MustCompile(`^[0-9.]+$`)
)

// nameProblem says why a server cannot have that name or alias.
func nameProblem(name string) string {
	switch problem := names.FindFault(name); {
	case problem != "":
		return problem
	case IsPrimary(name):
		return "on LTSP clients that is the name of the machine they boot from"
	}
	return addressProblem(name)
}

// IsPrimary reports whether clients know the machine that they boot from by that name: pamltsp,
// remoteapps and NFS homes of LTSP since 2019 do.
func IsPrimary(name string) bool { return strings.EqualFold(name, "server") }

// addressProblem says why a server cannot have that address, which is an IP address or a name.
func addressProblem(address string) string {
	_, err := netip.ParseAddr(address)
	switch {
	case strings.ContainsRune(address, '%'):
		return "an address that holds for one interface only means something else on each client"
	case err == nil:
		return ""
	case strings.ContainsRune(address, ':'), dotted.MatchString(address):
		return "it looks like an IP address, and is none"
	}
	return names.FindFault(address)
}

// chrootNameProblem says why a chroot cannot have that name, under which files and folders stand
// beside those of other chroots.
func chrootNameProblem(name string) string {
	switch problem := names.FindFault(name); {
	case problem != "":
		return problem
	case name == "current":
		return "that is what the current image is called"
	case strings.HasSuffix(name, ".img"):
		return "that is what the image of another chroot is called"
	}
	return ""
}

// NameChroot returns a valid name for the chroot at path: that of its folder, with whatever a name
// may not have replaced.
func NameChroot(path string) string {
	name := strings.Trim(noWordChars.ReplaceAllString(filepath.Base(path), "-"), "-.")
	name = name[:min(len(name), names.MaxLength)]
	if chrootNameProblem(name) != "" {
		return "client"
	}
	return name
}
