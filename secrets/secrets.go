// Package secrets recognises what a client's root holds and an image must not hold, because
// everybody on the network can fetch an image.
//
// There are three kinds of secrets, and one exception:
//
//   - Private keys, by their content, whatever file they are in: OpenSSH's own format, PEM (PKCS
//     #1, PKCS #8, SEC 1, encrypted or not), OpenPGP in armor, PuTTY's, and OpenVPN's static keys.
//   - Files whose path says that they hold passwords, tokens or keys, such as .netrc,
//     NetworkManager's connections and the credentials of clouds. If such a file may also exist
//     without a secret in it, its content decides.
//   - Password hashes and the machine's identity, in files that every root has: [RedactFile] makes
//     the version for the image.
//   - A file that is as its package installed it is not a secret: package
//     internal/packages tells.
//
// A [Scanner] recognises the first two. Given a file's path and content, it returns a [Finding] if
// there is one:
//
//	var s secrets.Scanner
//	s.Reset("etc/ssl/local.pem")
//	io.Copy(&s, f)
//	finding, found := s.Result()
//
// Paths are relative to the root, without a slash in front.
//
// It does not see what is compressed or encrypted as a whole (zip, initrd, a key ring), keys in
// binary (DER, PKCS #12, Java's key stores) or in UTF-16, nor a password in a file that no rule
// names. It finds what was left behind, not what somebody hides.
package secrets

import "bytes"

// Version names what is recognised. It changes whenever a file may be judged differently.
const Version = "1"

// A Finding says what secret a file holds.
type Finding struct {
	What   string // such as "RSA private key"
	Offset int64  // where in the file a private key begins; 0 if the path says it
}

// A Scanner looks for secrets in one file after the other while their content is written to it. The
// zero value is ready for a file without a name. It needs little memory whatever the file, and is
// for one goroutine at a time.
type Scanner struct {
	rule *rule  // what the path says; may be nil
	held []byte // the content so far, if there is a rule

	recent []byte // the last of the content so far, at most reach bytes
	seen   int64  // length of the content so far
	key    *key   // what may become a private key; may be nil

	finding Finding
	found   bool
}

const (
	// reach is how many bytes before a mark matter.
	reach = 1 << 10
	// maxHeld bounds how much of a file a rule gets to see.
	maxHeld = 1 << 20
)

// Reset makes s ready for the file at path.
func (s *Scanner) Reset(path string) {
	*s = Scanner{rule: findRule(path), held: s.held[:0], recent: s.recent[:0]}
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
	// First what is on both sides of the border, then the rest of p in place.
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
	// So many zeros fill what is held for a rule, and recent, and break a key. More zeros change
	// only the offset.
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

// scan takes text[from:], which is new. s has seen what is before it.
func (s *Scanner) scan(text []byte, from int) {
	start := s.seen - int64(from) // of text, in the file
	s.seen += int64(len(text) - from)
	var ends [len(marks)]int
	for from < len(text) && !s.found {
		end, mark := len(text), ""
		for i, m := range marks {
			if ends[i] <= from {
				ends[i] = findMarkEnd(text, from, m)
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

// findMarkEnd returns where the first mark ends that ends after from. That is after the text if
// there is none.
func findMarkEnd(text []byte, from int, mark string) int {
	from = max(0, from-len(mark)+1)
	if i := bytes.Index(text[from:], []byte(mark)); i >= 0 {
		return from + i + len(mark)
	}
	return len(text) + 1
}

// feed gives the key that s follows the next part of its text.
func (s *Scanner) feed(text []byte) {
	switch s.key.read(text) {
	case broken:
		s.key = nil
	case complete:
		s.finding, s.found = Finding{What: s.key.name(), Offset: s.key.offset}, true
		s.key = nil
	}
}

// Result returns what s has found when all of the file's content was written to it. A private key
// is found as soon as its end was written.
func (s *Scanner) Result() (Finding, bool) {
	if !s.found && s.rule != nil && s.rule.secret(s.held) {
		return Finding{What: s.rule.what}, true
	}
	return s.finding, s.found
}
