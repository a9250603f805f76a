package farm

import "errors"

var errUnwritten = errors.New("not written yet")

// Load reads the declaration whose ltskeeper.toml is at path. If anything in
// it is wrong, the error is Mistakes and names all of it.
func Load(path string) (*Farm, error) { return nil, errUnwritten }

// Server returns the server with that name, without regard to case. If there
// is none, the error names the nearest.
func (f *Farm) Server(name string) (Server, error) { return Server{}, errUnwritten }

// Chroot returns the chroot with that name. If there is none, the error names
// the nearest.
func (f *Farm) Chroot(name string) (Chroot, error) { return Chroot{}, errUnwritten }

// Lists returns the list of all servers, followed by one for each client with
// a group, as declared.
func (f *Farm) Lists() []List { return nil }

// ListEntry returns what stands for s in LDM_SERVER: its name, or its first
// address if clients are given addresses.
func (f *Farm) ListEntry(s Server) string { return s.Name }

// KnownHostsLocalPath returns the path of the admin's known_hosts.local.
func (f *Farm) KnownHostsLocalPath() string { return "" }

// ServerPath returns the path of the file that declares the server name.
func (f *Farm) ServerPath(name string) string { return "" }

// AddServer declares s in a file of its own and adds it to f. A zero Port or
// Weight stands for the default. Nothing is written if the file or a server
// of that name exists, or if the declaration would have mistakes with it: the
// error is then Mistakes.
func (f *Farm) AddServer(s Server) error { return errUnwritten }

// RemoveServer removes the file that declares the server name, and the server
// from f. Nothing is removed if there is no such server, or if the
// declaration would have mistakes without it: the error is then Mistakes.
func (f *Farm) RemoveServer(name string) error { return errUnwritten }

// Nearest returns the candidate that word was most likely meant to be, or ""
// if none is near.
func Nearest(word string, candidates []string) string { return "" }

// Found is what Discover found on a machine: what a new declaration starts
// from. A path that is empty was not found.
type Found struct {
	Chroots []Chroot // Name and Path
	Images  string   // the folder of the images
	TFTP    string   // the folder with a folder for each chroot
}

// Discover looks for LTSP below root, which is "/" or a tree like it: the
// client roots and images of LTSP 5 in /opt/ltsp, those of LTSP since 2019 in
// /srv/ltsp, and their TFTP folders. What it cannot read it leaves out.
func Discover(root string) Found { return Found{} }

// Template returns an ltskeeper.toml that declares what was found, with every
// other setting as a comment that shows its default. Load accepts it.
func Template(found Found) []byte { return nil }
