package main

import "slices"

// unfinished are the packages whose findings are held back. Whoever cleans one removes it.
var unfinished = []string{
	"doctor",
	"internal/remedy",
	"internal/state",
	"keeper",
}

// An exception is a finding that stays: its package, the name or file it is about, and the reason.
type exception struct{ in, subject, reason string }

var exceptions []exception

// excuse returns the findings that are not excepted, and one for each exception without a finding.
func excuse(found []finding, exceptions []exception) (rest, stale []finding) {
	used := map[exception]bool{}
	for _, f := range found {
		excepted := false
		for _, e := range exceptions {
			if e.in == f.in && e.subject == f.subject {
				excepted, used[e] = true, true
			}
		}
		if !excepted {
			rest = append(rest, f)
		}
	}
	for _, e := range exceptions {
		if !used[e] {
			stale = append(stale, finding{file: listsFile,
				message: "the exception for " + e.subject + " of " + e.in + " is not needed any more"})
		}
	}
	return rest, stale
}

// holdBack returns the findings of finished packages, and one for each unfinished package without
// findings.
func holdBack(found []finding, unfinished []string) (rest, finished []finding) {
	dirty := map[string]bool{}
	for _, f := range found {
		dirty[f.in] = true
		if !slices.Contains(unfinished, f.in) {
			rest = append(rest, f)
		}
	}
	for _, in := range unfinished {
		if !dirty[in] {
			finished = append(finished, finding{file: listsFile, message: in + " is not unfinished any more"})
		}
	}
	return rest, finished
}

const listsFile = "internal/lint/lists.go"
