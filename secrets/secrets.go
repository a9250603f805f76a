// Package secrets recognises what a client's root holds and an image must not, as whoever reaches
// the network can fetch an image.
//
// There are three kinds of it, and one excuse:
//
//   - Private keys, by their content, whatever file they are in: OpenSSH's own
//     format, PEM (PKCS #1, PKCS #8, SEC 1, encrypted or not), OpenPGP in
//     armor, PuTTY's, and OpenVPN's static keys.
//   - Files whose path says that they hold passwords, tokens or keys, such as
//     .netrc, NetworkManager's connections and the credentials of clouds. Where
//     such a file may also be there without a secret in it, its content decides.
//   - Password hashes and the machine's identity, in files that no root is
//     without: [Redact] makes the version for the image.
//   - A file that is as its package installed it is no secret: [Packages].
//
// The first two are a [Scanner]'s work. Given a file's path and content, it has a [Finding] or
// none:
//
//	var s secrets.Scanner
//	s.Reset("etc/ssl/local.pem")
//	io.Copy(&s, f)
//	finding, found := s.Finding()
//
// Paths are relative to the root, without a slash in front.
//
// It does not see what is compressed or encrypted as a whole (zip, initrd, a key ring), keys in
// binary (DER, PKCS #12, Java's key stores) or in UTF-16, nor a password in a file that no rule
// names. It finds what was left lying about, not what somebody hides.
package secrets

import "bytes"

// Rules names what is recognised. It changes whenever a file may be judged otherwise than by the
// version before.
const Rules = "1"

// A Finding says what secret a file holds.
type Finding struct {
	What   string // such as "RSA private key"
	Offset int64  // where in the file a private key begins; 0 for what the path tells
}

// A Scanner looks for secrets in one file after the other as their content streams by. The zero
// value is ready for a file without a name. It needs little memory whatever the file, and is for
// one goroutine at a time.
type Scanner struct {
	rule *rule  // what the path says; nil is nothing
	held []byte // the content so far, if the rule wants to see it

	recent []byte // the last of the content so far, at most reach bytes
	seen   int64  // length of the content so far
	key    *key   // what may become a private key; nil is nothing

	finding Finding
	found   bool
}

const (
	// reach is how far back what stands before a mark matters.
	reach = 1 << 10
	// maxHeld bounds how much of a file a rule gets to see.
	maxHeld = 1 << 20
)

// Reset makes s ready for the file at path.
func (s *Scanner) Reset(path string) {
	*s = Scanner{rule: ruleFor(path), held: s.held[:0], recent: s.recent[:0]}
}

// Write takes the next piece of the file's content, of any length. It always takes all of it, and
// never fails.
func (s *Scanner) Write(p []byte) (int, error) {
	if s.rule != nil {
		s.held = append(s.held, p[:min(len(p), maxHeld-len(s.held))]...)
	}
	if s.found || len(p) == 0 {
		return len(p), nil
	}
	// What lies across the border first, then the rest of p where it is.
	before := len(s.recent)
	s.recent = append(s.recent, p[:min(len(p), reach)]...)
	s.scan(s.recent, before)
	if len(p) > reach {
		s.scan(p, reach)
		s.recent = append(s.recent[:0], p[len(p)-reach:]...)
	}
	if extra := len(s.recent) - reach; extra > 0 {
		s.recent = append(s.recent[:0], s.recent[extra:]...)
	}
	return len(p), nil
}

// WriteZeros takes n zero bytes, as Write would, in time and memory that do not grow with n.
func (s *Scanner) WriteZeros(n int64) {
	// So many zeros fill what is kept for a rule, and recent, and break a key. Any more change
	// nothing but the offset.
	const enough = max(maxHeld, maxLine+1, reach)
	few := min(n, enough)
	for left := few; left > 0; left -= min(left, int64(len(zeros))) {
		s.Write(zeros[:min(left, int64(len(zeros)))])
	}
	if !s.found {
		s.seen += n - few
	}
}

var zeros [64 << 10]byte

// scan takes text[from:], which is new. What is before it, s has seen.
func (s *Scanner) scan(text []byte, from int) {
	start := s.seen - int64(from) // of text, in the file
	s.seen += int64(len(text) - from)
	var ends [len(marks)]int
	for from < len(text) && !s.found {
		end, mark := len(text), ""
		for i, m := range marks {
			if ends[i] <= from {
				ends[i] = markEnd(text, from, m)
			}
			if ends[i] <= end {
				end, mark = ends[i], m
			}
		}
		if s.key != nil {
			s.feed(text[from:end])
		}
		if at := end - len(mark); mark != "" && !s.found && opensLine(text, at, start) {
			s.key = &key{putty: mark == puttyMark, offset: start + int64(at)}
		}
		from = end
	}
}

// markEnd returns where the first mark ends that ends behind from. That is behind the text if there
// is none.
func markEnd(text []byte, from int, mark string) int {
	from = max(0, from-len(mark)+1)
	if i := bytes.Index(text[from:], []byte(mark)); i >= 0 {
		return from + i + len(mark)
	}
	return len(text) + 1
}

// feed gives the key that s follows what comes next of it.
func (s *Scanner) feed(text []byte) {
	switch s.key.read(text) {
	case broken:
		s.key = nil
	case complete:
		s.finding, s.found = Finding{What: s.key.name(), Offset: s.key.offset}, true
		s.key = nil
	}
}

// Finding returns what s has found, once all of the file's content was written to it; a private key
// already as soon as its end was.
func (s *Scanner) Finding() (Finding, bool) {
	if !s.found && s.rule != nil && s.rule.secret(s.held) {
		return Finding{What: s.rule.what}, true
	}
	return s.finding, s.found
}
