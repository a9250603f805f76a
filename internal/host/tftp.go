package host

import (
	"path/filepath"
	"slices"
	"strings"
)

// LTSPTFTPFolders is where LTSP puts kernels for its clients, relative to the root: since 2019 and
// on Debian, and with older TFTP servers.
var LTSPTFTPFolders = []string{"srv/tftp/ltsp", "var/lib/tftpboot/ltsp", "tftpboot/ltsp"}

// A TFTPFolder is a folder that a TFTP server is configured to serve.
type TFTPFolder struct {
	Path string // as it is configured, not below the root of the machine
	File string // the file that configures it
}

// ReadTFTPFolders returns the folders that dnsmasq and tftpd-hpa are configured to serve, in the
// order of the files. Files that cannot be read are returned as errors.
func (m *Machine) ReadTFTPFolders() (folders []TFTPFolder, unread []error) {
	files, unread := m.readDnsmasqFiles()
	others, unreadOthers := m.ReadAll("etc/default/tftpd-hpa")
	for _, file := range append(files, others...) {
		for _, line := range file.Lines() {
			key, value, _ := strings.Cut(line, "=")
			switch strings.TrimSpace(key) {
			case "tftp-root", "TFTP_DIRECTORY":
				value, _, _ = strings.Cut(value, ",") // dnsmasq: an interface may follow
				folders = append(folders, TFTPFolder{strings.Trim(value, " \t\"'"), file.Path})
			}
		}
	}
	return folders, append(unread, unreadOthers...)
}

// readDnsmasqFiles returns the files that dnsmasq reads on Debian: those of its folder, without
// what editors and dpkg left there, and the main one.
func (m *Machine) readDnsmasqFiles() (files []File, unread []error) {
	files, unread = m.ReadAll("etc/dnsmasq.d/*", "etc/dnsmasq.conf")
	return slices.DeleteFunc(files, func(f File) bool {
		name := filepath.Base(f.Path)
		return name[0] == '.' || name[0] == '#' || strings.HasSuffix(name, "~") || strings.Contains(name, ".dpkg-")
	}), unread
}
