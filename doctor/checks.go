package doctor

// A check looks for one thing. Its name is stable: scripts go by it.
type check struct {
	name     string
	severity Severity // of its findings, unless docs/doctor.md says more
	find     func(*facts, *results)
	why      string // its findings matter
}

// checks are all checks, those whose findings matter most first. docs/doctor.md has a section for
// each, which says what it looks for.
var checks = []check{
	// What nothing works without.
	{"declaration", Problem, checkDeclaration,
		"As long as it is so, no command that changes anything does its work."},
	{"record", Problem, checkRecord,
		"Without it nothing can be derived for the clients."},
	{"permissions", Problem, checkPermissions,
		"Whoever can write there decides which servers the clients trust."},

	// Trust.
	{"key-changed", Problem, forEachServer(checkKeyChanged),
		"It was reinstalled, or somebody answers in its place; clients refuse it."},
	{"key-revoked", Problem, forEachServer(checkKeyRevoked),
		"Whoever has stolen the key can stand in for the server; clients refuse it."},
	{"same-key", Problem, checkSameKey,
		"Either it is one server declared twice, which gets twice its share of logins; or one was cloned from the " +
			"other, and whoever breaks into one can stand in for both."},
	{"known-hosts-local", Problem, forEachServer(checkKnownHostsLocal),
		"Clients accept that key for the server, whatever ltskeeper decides about it."},
	{"quarantined", Problem, forEachServer(checkQuarantined),
		"No new login goes there until it shows a trusted key again or you decide."},
	{"key-pending", Problem, forEachServer(checkKeyPending),
		"Clients do not get to know the server before you decide."},
	{"key-unknown", Problem, forEachServer(checkKeyUnknown),
		"Clients do not get to know the server before its keys were collected."},
	{"certificate", Problem, forEachServer(checkCertificate),
		"Clients refuse a server whose certificate is not valid now."},

	// Names.
	{"names-loopback", Problem, forEachServer(checkNamesLoopback),
		"Keys are collected from the wrong machine, or clients log in nowhere. Debian's installer writes " +
			"127.0.1.1 into /etc/hosts."},
	{"names-unresolved", Problem, forEachServer(checkNamesUnresolved),
		"Its keys cannot be collected."},
	{"names-differ", Problem, forEachServer(checkNamesDiffer),
		"Keys are collected at one machine, and clients may log in to another."},
	{"names-client", Problem, forEachServer(checkNamesClient),
		"Clients do not have this machine's /etc/hosts: the server is in their list, and no login gets there."},
	{"names-client-differ", Problem, forEachServer(checkNamesClientDiffer),
		"Clients log in to a machine whose keys nobody has looked at."},
	{"names-same-address", Problem, checkNamesSameAddress,
		"One of them is known under the keys of the other, and gets twice its share of logins."},
	{"alias-unresolved", Advice, forEachServer(checkAliasUnresolved),
		"It may be a name that nobody uses any more, or a slip of the keyboard."},

	// Servers.
	{"ssh-closed", Problem, forEachServer(checkSSHClosed),
		"Clients that are sent there wait, and then try another."},
	{"ssh-other", Problem, forEachServer(checkSSHOther),
		"Logins fail there."},
	{"address-silent", Problem, forEachServer(checkAddressSilent),
		"Clients that try that address first wait for it; often IPv6 is in DNS and not on the server."},
	{"clock-server", Problem, forEachServer(checkClockServer),
		"Host certificates and Kerberos tickets are refused where clocks are apart."},

	// What clients get.
	{"lts-conf-hidden", Problem, checkLTSConfHidden,
		"Clients that find one beside their kernel do not read the one in their image."},
	{"tftp-root", Problem, checkTFTPRoot,
		"Clients fetch kernel and lts.conf from where ltskeeper does not put them."},
	{"file-edited", Problem, checkFileEdited,
		"The next run overwrites it, and the change is lost."},
	{"file-foreign", Problem, checkFileForeign,
		"The next run leaves it alone and fails."},
	{"lts-conf-wrong", Problem, checkLTSConfWrong,
		"Clients lose settings without a word."},
	{"files-behind", Advice, checkFilesBehind,
		"They do not know a server that is new, or still know one that is gone."},
	{"get-hosts-foreign", Advice, forEachChroot(checkGetHostsForeign),
		"It says which server a login uses; [balance] has no say there."},

	// Images.
	{"no-image", Problem, forEachChroot(checkNoImage),
		"There is nothing for clients to boot."},
	{"image-replaced", Problem, forEachChroot(checkImageReplaced),
		"Clients boot it, with the kernel and the settings of another."},
	{"image-apart", Problem, forEachChroot(checkImageApart),
		"Clients boot a kernel that is not their image's."},
	{"image-held", Problem, forEachChroot(checkImageHeld),
		"Nothing new reaches its clients until you release it, security updates neither."},
	{"no-space", Problem, checkNoSpace,
		"The next run fails; clients keep what they have."},
	{"read-only", Problem, checkReadOnly,
		"The next run fails; clients keep what they have."},
	{"kernel-gone", Problem, forEachOpened(checkKernelGone),
		"An image without it is refused, and clients keep the one they have."},
	{"kernel-modules", Problem, forEachOpened(checkKernelModules),
		"Clients come up without network or disk drivers, or not at all."},
	{"kernel-initrd", Problem, forEachOpened(checkKernelInitrd),
		"Clients boot an older kernel, or one that does not find its modules."},
	{"image-old", Advice, forEachChroot(checkImageOld),
		"Clients do not have what was installed in it."},
	{"modules-alone", Advice, forEachOpened(checkModulesAlone),
		"They are left over, and every client's image carries them."},

	// LTSP since 2019.
	{"ltsp-initrd", Problem, checkLTSPInitrd,
		"Clients of LTSP since 2019 still have the one before."},
	{"ltsp-server", Problem, checkLTSPServer,
		"pamltsp refuses every login."},

	// The machine.
	{"run-failed", Problem, checkRunFailed,
		"What has changed since then has not reached the clients."},
	{"clock-future", Problem, forThisMachine(checkClockFuture),
		"The clock was wrong when they were written, or is now; certificates and ages are judged by it."},
	{"undone", Problem, checkUndone,
		"It writes the files and images that ltskeeper writes, and one undoes the other."},
	{"no-schedule", Advice, forThisMachine(checkNoSchedule),
		"Changed host keys and rotated ones are seen only when somebody thinks of it."},
	{"run-overdue", Advice, forThisMachine(checkRunOverdue),
		"Changed host keys and rotated ones go unseen."},
	{"clock-unsynchronised", Advice, forThisMachine(checkClockUnsynchronised),
		"It drifts, and certificates are judged by it."},
	{"weak-key", Advice, forEachServer(checkWeakKey),
		"It still holds, but not for long."},
	{"ldminfod-closed", Advice, forEachServer(checkLdminfodClosed),
		"Clients cannot tell how full the server is, and try it after those that say."},
	{"tftp-closed", Advice, forThisMachine(checkTFTPClosed),
		"Clients fetch their kernel and lts.conf over it, unless another machine serves them."},
	{"images-unserved", Advice, forThisMachine(checkImagesUnserved),
		"Clients cannot read their image from here."},
}
