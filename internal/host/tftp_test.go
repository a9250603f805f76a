package host

import (
	"reflect"
	"strings"
	"testing"
)

func TestReadTFTPFolders(t *testing.T) {
	t.Parallel()
	m := &Machine{Root: t.TempDir()}
	for name, text := range map[string]string{
		"etc/dnsmasq.conf":           "# tftp-root=/commented\n tftp-root = /main\nother=/x\n",
		"etc/dnsmasq.d/b":            "tftp-root=/b,eth0 # behind an interface\n",
		"etc/dnsmasq.d/a.conf":       "port=0\ntftp-root=/a",
		"etc/dnsmasq.d/a.conf~":      "tftp-root=/no\n",
		"etc/dnsmasq.d/.a.swp":       "tftp-root=/no\n",
		"etc/dnsmasq.d/#a.conf#":     "tftp-root=/no\n",
		"etc/dnsmasq.d/a.dpkg-old":   "tftp-root=/no\n",
		"etc/dnsmasq.d/folder/c":     "tftp-root=/no\n",
		"etc/default/tftpd-hpa":      "TFTP_USERNAME=\"tftp\"\nTFTP_DIRECTORY=\"/srv/my tftp\"\n",
		"etc/default/another-daemon": "TFTP_DIRECTORY=\"/no\"\n",
	} {
		writeFile(t, m, name, text)
	}
	folders, unread := m.ReadTFTPFolders()
	for i := range folders {
		folders[i].File = strings.TrimPrefix(folders[i].File, m.Root)
	}
	want := []TFTPFolder{
		{"/a", "/etc/dnsmasq.d/a.conf"}, {"/b", "/etc/dnsmasq.d/b"}, {"/main", "/etc/dnsmasq.conf"},
		{"/srv/my tftp", "/etc/default/tftpd-hpa"},
	}
	if !reflect.DeepEqual(folders, want) || len(unread) > 0 {
		t.Errorf("got %v, %v, want %v", folders, unread, want)
	}
	if folders, unread := (&Machine{Root: t.TempDir()}).ReadTFTPFolders(); len(folders)+len(unread) > 0 {
		t.Errorf("of an empty machine: %v, %v", folders, unread)
	}
}
