// Package dnstest runs a name server for tests.
package dnstest

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"
)

// A Server is a name server on 127.0.0.1. Its methods may be called while it answers.
type Server struct {
	Port string // UDP

	zone sync.Map // of netip.Addr, by name with a dot at its end

	// Refuses has it refuse to answer for names that it does not know, as dnsmasq does without
	// another server to ask.
	Refuses atomic.Bool
}

// Start starts a name server, which runs until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{}
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(s.answer)}
	go server.ActivateAndServe()
	t.Cleanup(func() { server.Shutdown() })
	if _, s.Port, err = net.SplitHostPort(conn.LocalAddr().String()); err != nil {
		t.Fatal(err)
	}
	return s
}

// Set has a name, with a dot at its end, stand for an IPv4 address.
func (s *Server) Set(name string, address netip.Addr) { s.zone.Store(name, address) }

// Forget has it know a name no more.
func (s *Server) Forget(name string) { s.zone.Delete(name) }

// Find returns the address of a name.
func (s *Server) Find(name string) (address netip.Addr, ok bool) {
	if v, known := s.zone.Load(name); known {
		return v.(netip.Addr), true
	}
	return netip.Addr{}, false
}

func (s *Server) answer(out dns.ResponseWriter, question *dns.Msg) {
	answer := new(dns.Msg)
	answer.SetReply(question)
	q := question.Question[0]
	address, known := s.Find(q.Name)
	switch {
	case !known && s.Refuses.Load():
		answer.SetRcode(question, dns.RcodeRefused)
	case !known:
		answer.SetRcode(question, dns.RcodeNameError)
	case q.Qtype == dns.TypeA:
		head := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET, Ttl: 1}
		answer.Answer = append(answer.Answer, &dns.A{Hdr: head, A: address.AsSlice()})
	}
	out.WriteMsg(answer)
}
