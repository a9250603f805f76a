package adopt

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"ltskeeper/farm"
	"ltskeeper/internal/excludes"
)

// Template returns an ltskeeper.toml for what was found, with every other setting as a comment that
// shows its default or an example. Load accepts it.
func Template(found Found) []byte {
	var b bytes.Buffer
	// setting writes a setting, as a comment if it is the default.
	setting := func(key, value, byDefault string) {
		if value == "" {
			fmt.Fprintf(&b, "# %s = %s\n", key, farm.Quote(byDefault))
		} else {
			fmt.Fprintf(&b, "%s = %s\n", key, farm.Quote(value))
		}
	}
	text := func(s string) { b.WriteString(s) }

	text(`# The thin-client farm of this machine. ltskeeper update-image puts it into effect.
# A line that begins with "# " and a setting shows its default.
# A relative path counts from the folder of this file. man ltskeeper.toml explains every setting.

`)
	setting("state", found.State, "/var/lib/ltskeeper")
	text(`
[collect]
# timeout = "5s"          # for each connection to a server
# parallel = 64           # connections at once
# first-use = "accept"    # "refuse": trust no server before a person does
# retire-after = "336h"   # how long a key stays trusted that its server has no more

[image]
`)
	setting("directory", found.Images, "/srv/ltsp/images")
	text(`# compression = "zstd"    # or "gzip", "lz4"
# keep = 3                # generations, and each of them
# keep-for = "336h"       # for at least this long after it was replaced
# allow-secrets = []      # private keys and the like that are meant to be in images

[tftp]
`)
	setting("directory", found.TFTP, "/srv/tftp/ltsp")
	for _, c := range found.Chroots {
		text("\n[[chroot]]\n")
		fmt.Fprintf(&b, "name = %s\npath = %s\n", farm.Quote(c.Name), farm.Quote(c.Path))
		text("# write = true            # false: known_hosts and lts.conf go into the image only\n")
		found.excludes(text)
		if c.LTSConf == "" {
			text("# lts-conf = \"lts.conf\"   # the source of its lts.conf\n")
		} else {
			fmt.Fprintf(&b, "lts-conf = %s\n", farm.Quote(c.LTSConf))
		}
	}
	if len(found.Chroots) == 0 {
		text(`
# A client root that an image is made of:
# [[chroot]]
# name = "x86_64"
# path = "/srv/ltsp/x86_64"
`)
	}
	text(`
[lts-conf]
# list = "name"           # "address": clients without DNS get addresses in LDM_SERVER
# set = { LDM_DIRECTX = "True" }    # for all clients

[balance]
# policy = "two"          # how clients choose: two, weighted, best, random or fixed
# binaries = "client"     # their programs, in a folder per architecture, like amd64/get_hosts;
#                         # without it they are found where make install puts them

# Settings of some clients, by MAC, IP address or host name, and the servers
# that they choose from:
# [[client]]
# match = "00:11:22:*"
# group = "cad"           # as in groups of a file in servers.d
# set = { XSERVER = "vesa" }

# A CA that signs host keys: clients take its certificates, and a new server
# that has one needs no new image.
# [[ca]]
# hosts = ["*.example.org"]
# key = "ssh-ed25519 AAAA..."

# A name that several servers answer to: all of their keys are good for it.
# [[alias]]
# name = "server"         # where LTSP's clients log in
# groups = ["cad"]        # none: all servers

`)
	if found.KnownHosts == "" {
		text(`# LTSP since 2019 keeps its own known_hosts and packs it into an initrd.
# [ltsp]
# known-hosts = "/etc/ltsp/ssh_known_hosts"
# initrd = true           # run ltsp initrd after it changed
`)
	} else {
		text("# LTSP since 2019 keeps its own known_hosts and packs it into an initrd.\n[ltsp]\n")
		fmt.Fprintf(&b, "known-hosts = %s\ninitrd = %t           # run ltsp initrd after it changed\n",
			farm.Quote(found.KnownHosts), found.Initrd)
	}
	text(`
# [known-hosts]
# hash = true             # clients' known_hosts does not tell the servers' names

# Numbers for Prometheus, which node_exporter reads after each update-image.
# [metrics]
# textfile = "/var/lib/prometheus/node-exporter/ltskeeper.prom"

# An account on the servers that may do nothing but log in: with it they prove
# new host keys, and nobody is asked.
# [collect.login]
# user = "ltskeeper"
# identity = "id_ed25519" # a private key, or "agent"
`)
	return b.Bytes()
}

// excludes writes what stays out of a chroot's image.
func (found Found) excludes(text func(string)) {
	list := func(key string, patterns []string) {
		text(key + " = [\n")
		for _, p := range patterns {
			text("    " + farm.Quote(p) + ",\n")
		}
		text("]\n")
	}
	if len(found.Exclude)+len(found.Include) == 0 {
		text(`# exclude = []            # left out of the image, beside the usual
# exclude-defaults = true # false: what is usually left out is not
`)
		return
	}
	text("# As LTSP has it, from " + strings.Join(found.ExcludesFrom, ", ") + ":\n")
	if len(found.Include) == 0 {
		list("exclude", found.Exclude)
		text("# exclude-defaults = true # false: what is usually left out is not\n")
		return
	}
	usual := slices.DeleteFunc(excludes.Defaults(), func(p string) bool { return slices.Contains(found.Include, p) })
	list("exclude", append(usual, found.Exclude...))
	text("exclude-defaults = false  # the usual, but for what is to be in the image, is in the list\n")
}
