// Package host reads facts about the machine that it runs on: its files, what its kernel and
// systemd tell, the name servers that it and its clients ask, what its TFTP servers serve, and what
// LTSP since 2019 is told in ltsp.conf. It changes nothing and judges nothing.
//
// Paths are below a root folder, which is "/", or a tree like it in tests.
package host
