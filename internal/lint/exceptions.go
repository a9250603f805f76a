package main

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
			stale = append(stale, finding{file: exceptionsFile,
				message: "the exception for " + e.subject + " of " + e.in + " is not needed any more"})
		}
	}
	return rest, stale
}

const exceptionsFile = "internal/lint/exceptions.go"
