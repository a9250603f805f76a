package doctor

// A check looks for one thing. Its name is stable: scripts go by it.
type check struct {
	id       string
	severity Severity // of what it finds, unless docs/doctor.md says more
	what     string   // it looks for
	why      string   // that matters
	look     func(*facts) []Finding
}

// checks are all there are, those whose findings matter most first. docs/doctor.md has a section
// for each.
var checks = []check{
	// What nothing works without.
	{"declaration", Problem, "The declaration is missing, or something in it is wrong.",
		"As long as it is so, no command that changes anything does its work.", declaration},
	{"record", Problem, "What ltskeeper keeps of keys and generations cannot be read.",
		"Without it nothing can be derived for the clients.", record},
	{"permissions", Problem,
		"Others than root may change the declaration or the keys, or read the keeper's private key.",
		"Whoever can write there decides which servers the clients trust.", permissions},

	// Trust.
	{"key-changed", Problem, "A server shows another host key than the one that is trusted.",
		"It was reinstalled, or somebody answers in its place; clients refuse it.", keyChanged},
	{"key-revoked", Problem, "A server shows a host key that is revoked.",
		"Whoever has stolen the key can stand in for the server; clients refuse it.", keyRevoked},
	{"same-key", Problem, "Two servers have the same host key.",
		"Either it is one server declared twice, which gets twice its share of logins; or one was cloned from the other, and whoever breaks into one can stand in for both.", sameKey},
	{"known-hosts-local", Problem,
		"A line of known_hosts.local vouches for a key of a declared server that is not trusted.",
		"Clients accept that key for the server, whatever ltskeeper decides about it.", knownHostsLocal},
	{"quarantined", Problem, "A server is kept out of the clients' lists.",
		"No new login goes there until it shows a trusted key again or you decide.", quarantined},
	{"key-pending", Problem, "A server has no trusted key, and those it showed wait for you.",
		"Clients do not get to know the server before you decide.", keyPending},
	{"key-unknown", Problem, "A server has no key on record.",
		"Clients do not get to know the server before its keys were collected.", keyUnknown},
	{"certificate", Problem,
		"A host certificate has expired, is not valid yet, is for another name or otherwise none that clients take, is missing where clients know the server by it alone, or ends within 14 days (advice).",
		"Clients refuse a server whose certificate is not valid now.", certificate},

	// Names.
	{"names-loopback", Problem,
		"A server's name resolves to this machine itself, or, on clients, to the client itself.",
		"Keys are collected from the wrong machine, or clients log in nowhere. Debian's installer writes 127.0.1.1 into /etc/hosts.", namesLoopback},
	{"names-unresolved", Problem, "A server's name does not resolve on this machine.",
		"Its keys cannot be collected.", namesUnresolved},
	{"names-differ", Problem,
		"A server's name resolves to addresses that are not the declared ones; if only some are not, that is advice.",
		"Keys are collected at one machine, and clients may log in to another.", namesDiffer},
	{"names-client", Problem, "A name in LDM_SERVER that clients cannot resolve.",
		"Clients do not have this machine's /etc/hosts: the server is in their list, and no login gets there.",
		namesClient},
	{"names-client-differ", Problem,
		"A name in LDM_SERVER that clients resolve to another address than this machine does.",
		"Clients log in to a machine whose keys nobody has looked at.", namesClientDiffer},
	{"names-same-address", Problem, "Two servers have the same address.",
		"One of them is known under the keys of the other, and gets twice its share of logins.", namesSameAddress},
	{"alias-unresolved", Advice, "An alias that does not resolve on this machine.",
		"It may be a name that nobody uses any more, or a slip of the keyboard.", aliasUnresolved},

	// Servers.
	{"ssh-closed", Problem, "Nothing answers on a server's SSH port.",
		"Clients that are sent there wait, and then try another.", sshClosed},
	{"ssh-other", Problem, "Something else than an SSH server answers on a server's SSH port.",
		"Logins fail there.", sshOther},
	{"address-silent", Problem, "One of a server's addresses answers, another does not.",
		"Clients that try that address first wait for it; often IPv6 is in DNS and not on the server.", addressSilent},
	{"clock-server", Problem, "A server's clock is apart from this machine's.",
		"Host certificates and Kerberos tickets are refused where clocks are apart.", clockServer},

	// What clients get.
	{"lts-conf-hidden", Problem, "An lts.conf under TFTP that is not ltskeeper's.",
		"Clients that find one beside their kernel do not read the one in their image.", ltsConfHidden},
	{"tftp-root", Problem, "The TFTP server serves another folder than the one that is declared.",
		"Clients fetch kernel and lts.conf from where ltskeeper does not put them.", tftpRoot},
	{"file-edited", Problem, "A file that ltskeeper wrote for the clients has been changed by somebody else.",
		"The next update-image overwrites it, and the change is lost.", fileEdited},
	{"file-foreign", Problem, "A file of somebody else's stands where ltskeeper would write.",
		"update-image leaves it alone and fails.", fileForeign},
	{"lts-conf-wrong", Problem,
		"An lts.conf in which clients' own reader would stop, or run text as code; what it only reads otherwise than it was meant is advice.",
		"Clients lose settings without a word.", ltsConfWrong},
	{"files-behind", Advice, "What is declared and decided has not reached the clients.",
		"They do not know a server that is new, or still know one that is gone.", filesBehind},
	{"get-hosts-foreign", Advice, "A get_hosts of somebody else's in a chroot.",
		"It says which server a login uses; [balance] has no say there.", getHostsForeign},

	// Images.
	{"no-image", Problem, "A chroot has no image, or is no client root.",
		"There is nothing for clients to boot.", noImage},
	{"image-replaced", Problem, "An image that something else than ltskeeper put in the place of its own.",
		"Clients boot it, with the kernel and the settings of another.", imageReplaced},
	{"image-apart", Problem, "Image, kernel, initrd and lts.conf are not of one generation.",
		"Clients boot a kernel that is not their image's.", imageApart},
	{"image-held", Problem, "A chroot is held after a rollback.",
		"Nothing new reaches its clients until you release it, security updates neither.", imageHeld},
	{"no-space", Problem, "A file system has no room for the next image, or for what is written every night.",
		"The next run fails; clients keep what they have.", noSpace},
	{"read-only", Problem, "A file system that update-image writes to is mounted read-only.",
		"The next run fails; clients keep what they have.", readOnly},
	{"kernel-gone", Problem, "A chroot has lost the kernel that its clients boot.",
		"update-image refuses an image without it, and clients keep the one they have.", kernelGone},
	{"kernel-modules", Problem, "The kernel that clients would boot has no modules in the chroot, or not all.",
		"Clients come up without network or disk drivers, or not at all.", kernelModules},
	{"kernel-initrd", Problem, "A kernel in the chroot has no initrd, or one that is empty or older than the kernel.",
		"Clients boot an older kernel, or one that does not find its modules.", kernelInitrd},
	{"image-old", Advice, "A chroot has changed since its image was built.",
		"Clients do not have what was installed in it.", imageOld},
	{"modules-alone", Advice, "Modules in the chroot of a kernel that is not there.",
		"They are left over, and every client's image carries them.", modulesAlone},

	// LTSP since 2019.
	{"ltsp-initrd", Problem, "LTSP's initrd is older than the known_hosts or the ltsp.conf that belongs into it.",
		"Clients of LTSP since 2019 still have the one before.", ltspInitrd},
	{"ltsp-server", Problem, "Clients of LTSP since 2019 log in to a name that known_hosts does not hold.",
		"pamltsp refuses every login.", ltspServer},

	// The machine.
	{"run-failed", Problem, "The last run of ltskeeper-update.service failed.",
		"What has changed since then has not reached the clients.", runFailed},
	{"clock-future", Problem, "Entries of the key log, or files, are from the future.",
		"The clock was wrong when they were written, or is now; certificates and ages are judged by it.", clockFuture},
	{"undone", Problem, "Something on this machine runs ltsp-update-sshkeys, ltsp image or the like by itself.",
		"It writes the files and images that ltskeeper writes, and one undoes the other.", undone},
	{"no-schedule", Advice, "Nothing runs update-image by itself.",
		"Changed host keys and rotated ones are seen only when somebody thinks of it.", noSchedule},
	{"run-overdue", Advice, "update-image has not looked at the servers for days.",
		"Changed host keys and rotated ones go unseen.", runOverdue},
	{"clock-unsynchronised", Advice, "This machine's clock is not synchronised.",
		"It drifts, and certificates are judged by it.", clockUnsynchronised},
	{"weak-key", Advice, "A trusted host key is RSA of less than 3,072 bits.",
		"It still holds, but not for long.", weakKey},
	{"ldminfod-closed", Advice, "No ldminfod answers on a server; a problem if the policy goes by ratings alone.",
		"Clients cannot tell how full the server is, and try it after those that say.", ldminfodClosed},
	{"tftp-closed", Advice, "Nothing on this machine answers to TFTP.",
		"Clients fetch their kernel and lts.conf over it, unless another machine serves them.", tftpClosed},
	{"images-unserved", Advice, "Nothing on this machine serves images, over NFS or HTTP.",
		"Clients cannot read their image from here.", imagesUnserved},
}
