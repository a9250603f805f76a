package farm

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
)

// maxName keeps the files that are named after a server within what a file system takes, 255 bytes,
// with every ending that they may have.
const maxName = 200

var (
	wordChars   = regexp.MustCompile(`^[A-Za-z0-9._-]*$`)
	noWordChars = regexp.MustCompile(`[^A-Za-z0-9._-]+`)
	dotted      = regexp.MustCompile(`^[0-9.]+$`)
)

// wordProblem says why a word cannot be a name of any kind, "" if it can.
func wordProblem(word string) string {
	switch {
	case word == "":
		return "it is empty"
	case !wordChars.MatchString(word):
		return "names are letters, digits, dots, hyphens and underscores"
	case word[0] == '-':
		return "it begins with a hyphen, as options do"
	case len(word) > maxName:
		return fmt.Sprintf("it has more than %d letters", maxName)
	}
	return ""
}

// nameProblem says why a server cannot have that name or alias.
func nameProblem(name string) string {
	switch problem := wordProblem(name); {
	case problem != "":
		return problem
	case name[0] == '.':
		return "it begins with a dot, as hidden files do"
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
	return wordProblem(address)
}

// chrootNameProblem says why a chroot cannot have that name, under which files and folders stand
// beside those of other chroots.
func chrootNameProblem(name string) string {
	switch problem := wordProblem(name); {
	case problem != "":
		return problem
	case name[0] == '.':
		return "it begins with a dot, as hidden files do"
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
	name = name[:min(len(name), maxName)]
	if chrootNameProblem(name) != "" {
		return "client"
	}
	return name
}
