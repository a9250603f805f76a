package farm

// A List is the servers between which some clients choose.
type List struct {
	Section string // of lts.conf: "default", or the client's Match
	Group   string // empty for the default list
	Port    int    // the SSH port of every server in it; 22 if there is none
	Servers []Server
}

// Lists returns the list of all servers, and one for each client that has a group, in the order of
// their declaration.
func (f *Farm) Lists() []List {
	port := 22
	if len(f.Servers) > 0 {
		port = f.Servers[0].Port
	}
	lists := []List{{Section: "default", Port: port, Servers: f.Servers}}
	for _, c := range f.Clients {
		if c.Group != "" {
			lists = append(lists, List{Section: c.Match, Group: c.Group, Port: port, Servers: f.Members(c.Group)})
		}
	}
	return lists
}

// ListEntry returns the entry of s in LDM_SERVER: its name, or its first address where clients are
// given addresses.
func (f *Farm) ListEntry(s Server) string {
	if !f.LTSConf.ByAddress || len(s.Addresses) == 0 {
		return s.Name // which may be an address itself
	}
	return s.Addresses[0]
}
