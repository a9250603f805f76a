package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ltskeeper/keeper"
	"ltskeeper/keys"
)

// cronPatience is how long a nightly run waits for the nightly apt upgrade of a chroot, where a
// person would be told at once.
const cronPatience = 30 * time.Minute

// cronLine is what changed, in a line for the mail of a cron job; "" if nothing did.
//
//	ltskeeper: app04 now trusts ED25519 SHA256:8Xk... (first-use); x86_64: generation 13 with
//	new ssh_known_hosts and lts.conf, 598 MB, 1.2 MB of it read anew
func (d reportDocument) cronLine(p *page) string {
	if !d.SomethingChanged() {
		return ""
	}
	parts := d.cronKeys(p)
	var chroots []string
	for _, f := range d.Files {
		chroots = append(chroots, f.Chroot)
	}
	for _, i := range d.Images {
		chroots = append(chroots, i.Chroot)
	}
	done := map[string]bool{}
	for _, name := range chroots {
		if what := d.cronChroot(name); what != "" && !done[name] {
			parts = append(parts, name+": "+what)
		}
		done[name] = true
	}
	begin := "ltskeeper: "
	if d.failed {
		begin += "not finished; so far: "
	}
	return begin + strings.Join(parts, "; ")
}

// cronKeys names the keys that are newly trusted or no longer trusted, or counts them if they are
// too many for a line.
func (d reportDocument) cronKeys(p *page) []string {
	const few, some = 3, 6 // keys with their fingerprints, servers with their names
	type change struct {
		server, verb string
		keys         []keeper.Key
		how          string
	}
	var changes []change
	added, removed := 0, 0
	for _, s := range d.Servers {
		if len(s.Added) > 0 {
			changes = append(changes, change{s.Name, "now trusts", s.Added, describeOrigins(s.Added)})
		}
		if len(s.Removed) > 0 {
			changes = append(changes, change{s.Name, "no longer trusts", s.Removed, ""})
		}
		added, removed = added+len(s.Added), removed+len(s.Removed)
	}
	var parts []string
	if len(changes) > some {
		if added > 0 {
			parts = append(parts, countNoun(added, "key is", "keys are")+" trusted now")
		}
		if removed > 0 {
			parts = append(parts, countNoun(removed, "key is", "keys are")+" no longer trusted")
		}
		return append(parts, "to see them: "+p.commandLine("keys log"))
	}
	for _, c := range changes {
		what := countNoun(len(c.keys), "key", "keys")
		if added+removed <= few {
			what = allOf(mapEach(c.keys, func(k keeper.Key) string {
				return keys.ShortType(k.Type) + " " + k.Fingerprint()
			}))
		}
		parts = append(parts, c.server+" "+c.verb+" "+what+c.how)
	}
	return parts
}

// describeOrigins says how keys came to be trusted: " (first-use)".
func describeOrigins(list []keeper.Key) string {
	var words []string
	for _, k := range list {
		word := k.Origin.What()
		if k.Origin.How == keys.HowProven {
			word = "proven" // by which key is more than a line can hold
		}
		if word != "" && !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	if len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(words, ", ") + ")"
}

// cronChroot says what changed in a chroot and its image. It returns "" if nothing did.
func (d reportDocument) cronChroot(name string) string {
	var files []string
	for _, f := range d.Files {
		if f.Chroot == name && f.Changed {
			files = append(files, filepath.Base(f.Path))
		}
	}
	var parts []string
	for _, i := range d.Images {
		switch {
		case i.Chroot != name:
		case i.Changed:
			part := fmt.Sprintf("generation %d", i.Generation)
			if len(files) > 0 {
				part += " with new " + allOf(files)
				files = nil
			}
			parts = append(parts, part+", "+formatSize(i.Size)+describeContent(i))
		case i.Repaired:
			parts = append(parts,
				fmt.Sprintf("brought what clients fetch over TFTP back to generation %d", i.Generation))
		}
	}
	if len(files) > 0 {
		parts = append(parts, "wrote "+allOf(files))
	}
	return strings.Join(parts, ", ")
}
