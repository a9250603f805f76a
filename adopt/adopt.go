// Package adopt does the work of the first day. It looks at a machine for what LTSP has there
// (Discover), writes a declaration of it (Template), and takes over what clients trust and use
// (TakeOver), so that nothing of it is lost when ltskeeper writes their files.
//
// It asks no server and writes to no client root.
package adopt
