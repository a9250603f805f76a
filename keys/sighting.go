package keys

// Sighting is what one scan of a server saw.
type Sighting struct {
	Addresses []AddressSighting // at least one
}

// AddressSighting is what one address of a target showed. Every key in Keys has signed the key
// exchange it was shown in, so whoever answered has the private key.
type AddressSighting struct {
	Address   string     // IP address, or the name if that could not be resolved
	Offered   []string   // key types in the server's first KEXINIT, also those that cannot be asked for
	Keys      []Key      // at most one a type, in the order they were asked for; with a login only one
	Testimony *Testimony // of a login, nil without one

	// Certificates are those of the keys in Keys that were shown with one.
	Certificates []Key

	Err error // a *scan.Error, or nil if every type that can be asked for was shown, or a login told of them
}

// Types returns the key types that an address is taken to have: those it showed, and those it
// offers and could not be asked for. A type that it offers and does not show when asked (RSA with
// SHA-1 only, say) is not among them.
func (a *AddressSighting) Types() []string {
	var types []string
	for _, k := range a.Keys {
		types = append(types, k.Type)
	}
	for _, t := range a.Offered {
		if a.Err != nil || !CanVerify(t) {
			types = append(types, t)
		}
	}
	return types
}

// Testimony is what a server said about its host keys over a connection that one of its trusted
// keys authenticated (PROTOCOL in OpenSSH, section 2.5).
type Testimony struct {
	By       Key       // the trusted key, which vouches for what follows
	Listed   []Key     // all host keys that the server says it has; nil if it does not say
	Proven   []Key     // of these, those that it proved to have, of the ones that were not trusted
	Unproven []Refusal // of these, those that it was asked to prove and did not
}

// A Refusal is a key that was not proven, and why.
type Refusal struct {
	Key Key
	Err error
}
