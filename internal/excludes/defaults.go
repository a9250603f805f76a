package excludes

import "slices"

// Defaults returns the patterns for what no image of a client's root should hold, in the form that
// Parse takes: what LTSP's own image.excludes leaves out, and a few secrets more. An image can be
// fetched by whoever reaches the network.
func Defaults() []string { return slices.Clone(defaultPatterns) }

var defaultPatterns = []string{
	// Filled when a client boots, or mounted over.
	"dev/*",
	"proc/*",
	"sys/*",
	"run/*",
	"tmp/*", "tmp/.*",
	"var/tmp/*", "var/tmp/.*",
	"mnt/*",
	"media/*",
	"cdrom/*", "cdrom/.*",
	"lost+found/*",
	"swapfile",
	"var/swap",

	// People's files, and other roots that may be kept on the same machine.
	"home/*",
	"root/*", "root/.*",
	"srv/*",
	"opt/ltsp*",
	"var/mail/*",
	"var/spool/cron/*/*",
	"var/lib/systemd/linger/*",

	// Keys and passwords. Whoever reads an image would be this machine.
	"etc/ssh/ssh_host_*",
	"etc/ssl/private/*",
	"etc/letsencrypt/*",
	"etc/krb5.keytab",
	"etc/epoptes/server.key",
	"etc/mysql/debian.cnf",
	"etc/NetworkManager/system-connections/*",
	"etc/wireguard/*",
	"etc/ppp/*-secrets",
	"etc/apt/auth.conf", "etc/apt/auth.conf.d/*",
	"etc/shadow?", "etc/gshadow?", // backups: shadow-, and editors' shadow~
	"etc/passwd?", "etc/group?",
	"etc/subuid?", "etc/subgid?",
	"var/backups/*", // of shadow, too
	"var/cache/debconf/passwords.dat*",
	"var/lib/samba/private/*",
	"var/lib/systemd/credential.secret",
	"var/lib/systemd/random-seed",
	"var/lib/sudo/*",

	// This machine's own hardware, logs, queues and databases.
	"etc/.!(java)",
	"etc/udev/rules.d/??-persistent-*.rules",
	"var/crash/*",
	"var/log/*/*",
	"var/log/*.gz",
	"var/log/*.old",
	"var/log/*.[1-9]",
	"var/lib/lightdm/*", "var/lib/lightdm/.*",
	"var/lib/mysql/*",
	"var/spool/cups/*",
	"var/spool/squid/*",
	"var/spool/squid3/*",

	// Caches that can be had again.
	"var/cache/apt/archives/*.deb",
	"var/cache/apt/archives/partial/*",
	"var/cache/apt/*.bin",
	"var/cache/apt-xapian-index/*",
	"var/cache/lightdm/dmrc/*",
	"var/cache/squid-deb-proxy/*",
	"var/lib/apt/lists/*",
}
